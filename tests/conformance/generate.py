"""Random valid workflows without pods: leaves are suspend templates that resume at once, succeed, fail or err.

A seed always gives the same workflow, so that an outcome recorded from the real controller can be kept beside it.
"""

from __future__ import annotations

from random import Random
from typing import Any

Json = Any

__all__ = ["Generator", "generate", "path_of"]

ITEMS: list[list[Json]] = [
    [1, 2],
    ["a", "b", "c"],
    [{"k": "v", "n": 1}, {"k": "w", "n": 2}],
    [True],
    [[1, "x"], [2]],
    ["p q"],
]
RESULTS = ["Succeeded", "Failed", "Errored", "Skipped", "Omitted"]


def _leaf(name: str, *, default: bool, duration: str = "0") -> dict[str, Json]:
    source: dict[str, Json] = {"supplied": {}}
    if default:
        source["default"] = "{{inputs.parameters.x}}"
    return {
        "name": name,
        "inputs": {"parameters": [{"name": "x", "value": "d"}]},
        "suspend": {"duration": duration},
        "outputs": {"parameters": [{"name": "r", "valueFrom": source}]},
    }


class Generator:
    """Makes one workflow; what is drawn, and in which order, decides what a seed means."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.templates: list[dict[str, Json]] = []

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def workflow(self) -> dict[str, Json]:
        random = self.random
        self.templates = [_leaf("ok", default=True), _leaf("err", default=False)]
        self.templates.append(
            {
                "name": "fail",
                "inputs": {"parameters": [{"name": "x", "value": "d"}]},
                "steps": [[{"name": "e", "template": "err"}]],
                "outputs": {
                    "parameters": [
                        {
                            "name": "r",
                            "valueFrom": {"parameter": "{{steps.e.outputs.parameters.r}}", "default": "fd"},
                        }
                    ]
                },
            }
        )
        self.retried()
        callable_names = ["ok"] * 6 + ["err", "fail", "again"]
        for index in range(random.randint(0, 3)):
            name = f"t{index}"
            self.templates.append(self.composite(name, callable_names))
            callable_names += [name] * 2
        self.templates.append(self.composite("main", callable_names, big=True))
        spec: dict[str, Json] = {
            "entrypoint": "main",
            "arguments": {
                "parameters": [{"name": "p", "value": random.choice(["1", "d", "true", '{"a": [1, 2]}'])}]
            },
            "templates": self.templates,
        }
        if self.chance(0.2):
            self.templates.append(_leaf("bye", default=True))
            if self.chance(0.5):
                spec["onExit"] = "bye"
            else:
                arguments = {
                    "parameters": [{"name": "x", "value": "{{workflow.status}}-{{workflow.parameters.p}}"}]
                }
                spec["hooks"] = {"exit": {"template": "bye", "arguments": arguments}}
                if self.chance(0.3):
                    spec["hooks"]["exit"]["expression"] = "workflow.status == 'Succeeded'"
        if self.chance(0.1):
            spec["parallelism"] = random.randint(1, 3)
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "spec": spec}

    def retried(self) -> None:
        strategy: dict[str, Json] = {"limit": self.random.choice([0, 1, 2, "1"])}
        if self.chance(0.7):
            strategy["retryPolicy"] = self.random.choice(["Always", "OnFailure", "OnError"])
        if self.chance(0.3):
            strategy["expression"] = self.random.choice(
                [
                    "asInt(retries) < 1",
                    "lastRetry.status == 'Error'",
                    "lastRetry.message contains 'raw' || retries == '0'",
                    "true",
                ]
            )
        template = self.random.choice(
            [
                _leaf("again", default=False),
                _leaf("again", default=True),
                {
                    "name": "again",
                    "inputs": {"parameters": [{"name": "x", "value": "d"}]},
                    "steps": [[{"name": "s", "template": self.random.choice(["err", "ok", "fail"])}]],
                    "outputs": {
                        "parameters": [{"name": "r", "valueFrom": {"expression": "inputs.parameters.x"}}]
                    },
                },
            ]
        )
        self.templates.append({**template, "retryStrategy": strategy})

    # -- composites ------------------------------------------------------------------------------------------------

    def composite(self, name: str, names: list[str], big: bool = False) -> dict[str, Json]:
        template: dict[str, Json] = {"name": name}
        template["inputs"] = {"parameters": [{"name": "x", "value": "dx"}]}
        kind = self.random.choice(["steps", "dag", "dag"])
        known = self.steps(template, names, big) if kind == "steps" else self.dag(template, names, big)
        if known:
            ref = self.random.choice(known)
            source: dict[str, Json] = {"parameter": f"{{{{{ref}}}}}"}
            if self.chance(0.35):
                source = {
                    "expression": self.random.choice(
                        [path_of(ref) + " ?? 'nil'", f"len({path_of(ref)} ?? '')", "inputs.parameters.x"]
                    )
                }
            if self.chance(0.7):
                source["default"] = "none"
            parameter: dict[str, Json] = {"name": "r", "valueFrom": source}
            if self.chance(0.15):
                parameter["globalName"] = f"g-{name}"
            template["outputs"] = {"parameters": [parameter]}
        else:
            template["outputs"] = {
                "parameters": [{"name": "r", "valueFrom": {"expression": "inputs.parameters.x"}}]
            }
        if self.chance(0.12):
            template["parallelism"] = self.random.randint(1, 2)
        if self.chance(0.08):
            template["retryStrategy"] = {
                "limit": 1,
                "retryPolicy": self.random.choice(["Always", "OnFailure", "OnError"]),
            }
        return template

    def step(
        self, name: str, names: list[str], refs: list[str], prefix: str
    ) -> tuple[dict[str, Json], list[str]]:
        random = self.random
        step: dict[str, Json] = {"name": name, "template": random.choice(names)}
        looped = ""
        if self.chance(0.2):
            looped = self.loop(step, refs)
        if self.chance(0.6):
            step["arguments"] = {"parameters": [{"name": "x", "value": self.value(refs, looped)}]}
        if self.chance(0.25):
            step["when"] = self.when(refs, looped)
        if self.chance(0.1):
            step["onExit"] = random.choice(["ok", "ok", "fail"])
        elif self.chance(0.08):
            hook: dict[str, Json] = {"template": "ok"}
            hook["arguments"] = {"parameters": [{"name": "x", "value": f"{{{{{prefix}.{name}.status}}}}"}]}
            if self.chance(0.4):
                hook["expression"] = f"{prefix}['{name}'].status == 'Succeeded'"
            step["hooks"] = {"exit": hook}
        return step, [f"{prefix}.{name}.outputs.parameters.r"]

    def loop(self, step: dict[str, Json], refs: list[str]) -> str:
        kind = self.random.choice(["items", "items", "sequence", "param"])
        if kind == "items":
            items = self.random.choice(ITEMS)
            step["withItems"] = items
            return "map" if isinstance(items[0], dict) else "item"
        if kind == "sequence":
            step["withSequence"] = self.random.choice(
                [
                    {"count": "2"},
                    {"start": "3", "end": "1"},
                    {"count": 0},
                    {"start": 1, "end": 2, "format": "n%02X"},
                ]
            )
            return "item"
        step["withParam"] = self.random.choice(
            ['[1, "two", {"k": [1]}]', "[]", '["{{inputs.parameters.x}}"]', "not json"]
        )
        return "item"

    def value(self, refs: list[str], looped: str) -> str:
        choices = [
            "lit",
            "{{inputs.parameters.x}}",
            "{{workflow.parameters.p}}",
            "{{=inputs.parameters.x + '!'}}",
        ]
        if refs:
            ref = self.random.choice(refs)
            choices += [f"{{{{{ref}}}}}"] * 4
            choices += [
                f"<{{{{{ref}}}}}>",
                f"{{{{={path_of(ref)} ?? 'absent'}}}}",
                f"{{{{=toJson([{path_of(ref)}])}}}}",
            ]
            status = ref.replace(".outputs.parameters.r", ".status")
            choices.append(f"{{{{{status}}}}}")
        if looped:
            choices += ["{{item}}"] * 5
            choices += ["{{=item}}"] if looped == "item" else ["{{item.k}}"] * 5
        return self.random.choice(choices)

    def when(self, refs: list[str], looped: str) -> str:
        choices = [
            "true",
            "1 == 2",
            "{{inputs.parameters.x}} == dx",
            "'{{workflow.parameters.p}}' != d",
            "{{=inputs.parameters.x == 'd'}}",
        ]
        if refs:
            ref = self.random.choice(refs)
            choices += [f"'{{{{{ref}}}}}' == d", f"{{{{=({path_of(ref)} ?? '') == 'lit'}}}}"]
            choices.append("{{" + ref.replace(".outputs.parameters.r", ".status") + "}} == Succeeded")
        if looped == "item":
            choices += ["'{{item}}' != a"] * 3
        if looped == "map":
            choices += ["{{item.n}} < 2"] * 3
        return self.random.choice(choices)

    def steps(self, template: dict[str, Json], names: list[str], big: bool) -> list[str]:
        refs: list[str] = []
        groups: list[list[dict[str, Json]]] = []
        for number in range(self.random.randint(1, 4 if big else 2)):
            group, made = [], []
            for index in range(self.random.randint(1, 3)):
                step, offered = self.step(f"s{number}{'abc'[index]}", names, refs, "steps")
                if self.chance(0.3):
                    step["continueOn"] = self.random.choice(
                        [{"failed": True}, {"error": True}, {"failed": True, "error": True}]
                    )
                group.append(step)
                made += offered
            groups.append(group)
            refs += made
        template["steps"] = groups
        return refs

    def dag(self, template: dict[str, Json], names: list[str], big: bool) -> list[str]:
        tasks: list[dict[str, Json]] = []
        above: dict[str, set[str]] = {}
        style = self.random.choice(["depends", "dependencies"])
        for index in range(self.random.randint(2, 7 if big else 4)):
            name = f"a-{index}" if self.chance(0.3) else f"a{index}"
            earlier = self.random.sample(sorted(above), min(len(above), self.random.randint(0, 2)))
            seen = {other for parent in earlier for other in [parent, *above[parent]]}
            above[name] = seen
            refs = [f"tasks.{other}.outputs.parameters.r" for other in sorted(seen)]
            task, _ = self.step(name, names, refs, "tasks")
            if earlier and style == "dependencies":
                task["dependencies"] = earlier
            elif earlier:
                task["depends"] = self.depends(earlier)
            if style == "dependencies" and self.chance(0.25):
                task["continueOn"] = self.random.choice(
                    [{"failed": True}, {"error": True}, {"failed": True, "error": True}]
                )
            tasks.append(task)
        template["dag"] = {"tasks": tasks}
        if self.chance(0.2):
            template["dag"]["failFast"] = False
        if self.chance(0.1):
            template["dag"]["target"] = " ".join(self.random.sample(sorted(above), self.random.randint(1, 2)))
        return [f"tasks.{name}.outputs.parameters.r" for name in above]

    def depends(self, names: list[str]) -> str:
        parts = []
        for name in names:
            term = name if self.chance(0.4) else f"{name}.{self.random.choice(RESULTS)}"
            if self.chance(0.35):
                term = f"({term} || {name}.{self.random.choice(RESULTS)})"
            if self.chance(0.15):
                term = f"!{term}"
            parts.append(term)
        return self.random.choice([" && ", " || "]).join(parts)


def path_of(ref: str) -> str:
    """Return a reference as an expression writes it."""
    kind, name, rest = ref.split(".", 2)
    return f"{kind}['{name}'].{rest}" if "-" in name else ref


def generate(seed: int) -> dict[str, Json]:
    """Return the workflow of ``seed`` (without a name)."""
    return Generator(seed).workflow()
