"""Random workflows with more of the language than :mod:`tests.conformance.generate` has.

Lifecycle hooks, aggregates of loops in expressions, global outputs, templates kept elsewhere and inline, group retries
with expressions, deep ``depends``. Leaves are still suspend templates, so the cluster needs no pods for them.
"""

from __future__ import annotations

from typing import Any

from tests.conformance.generate import Generator, path_of

Json = Any

__all__ = ["LIBRARY", "RICH", "generate_rich"]

RICH = 20_000
"""Seeds from here on are rich ones."""

_X = {"parameters": [{"name": "x", "value": "lib"}]}
LIBRARY: dict[str, Json] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "td-library"},
    "spec": {
        "templates": [
            {
                "name": "leaf",
                "inputs": _X,
                "suspend": {"duration": "0"},
                "outputs": {
                    "parameters": [
                        {"name": "r", "valueFrom": {"supplied": {}, "default": "{{inputs.parameters.x}}+"}}
                    ]
                },
            },
            {
                "name": "pair",
                "inputs": _X,
                "steps": [
                    [
                        {
                            "name": "p",
                            "template": "leaf",
                            "arguments": {"parameters": [{"name": "x", "value": "{{inputs.parameters.x}}"}]},
                        },
                        {"name": "q", "template": "leaf", "when": "{{inputs.parameters.x}} != lib"},
                    ]
                ],
                "outputs": {
                    "parameters": [
                        {"name": "r", "valueFrom": {"parameter": "{{steps.p.outputs.parameters.r}}"}}
                    ]
                },
            },
            {
                "name": "graph",
                "inputs": _X,
                "dag": {
                    "tasks": [
                        {"name": "m", "template": "leaf", "withItems": [1, 2]},
                        {"name": "n", "template": "leaf", "depends": "m"},
                    ]
                },
                "outputs": {
                    "parameters": [
                        {
                            "name": "r",
                            "valueFrom": {"expression": "join(fromJSON(tasks.m.outputs.parameters.r), ',')"},
                        }
                    ]
                },
            },
        ]
    },
}
_RESULTS = [
    "Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed",
]  # fmt: skip


class _Rich(Generator):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.looped: set[str] = set()
        self.exported: list[str] = []

    def workflow(self) -> dict[str, Json]:
        made = super().workflow()
        spec = made["spec"]
        for template in spec["templates"]:
            if ("steps" in template or "dag" in template) and self.chance(0.12):
                strategy: dict[str, Json] = {"limit": 1}
                if self.chance(0.5):
                    strategy["expression"] = self.random.choice(
                        [
                            "lastRetry.status == 'Failed'",
                            "asInt(retries) < 1",
                            "lastRetry.message contains 'child'",
                        ]
                    )
                template.setdefault("retryStrategy", strategy)
        if self.chance(0.2) and "exit" not in (spec.get("hooks") or {}):
            spec.setdefault("hooks", {})["late"] = {
                "expression": self.random.choice(
                    [
                        "workflow.status == 'Succeeded'",
                        "workflow.status != 'Succeeded' && workflow.status != ''",
                    ]
                ),
                "template": "ok",
                "arguments": {"parameters": [{"name": "x", "value": "{{workflow.status}}"}]},
            }
        if self.chance(0.1):
            spec["templateDefaults"] = {"retryStrategy": {"limit": 1, "retryPolicy": "OnError"}}
        return made

    def composite(self, name: str, names: list[str], big: bool = False) -> dict[str, Json]:
        self.looped = set()
        template = super().composite(name, names, big)
        parameter = template["outputs"]["parameters"][0]
        if self.chance(0.3):
            parameter.setdefault("globalName", f"g-{name}")
        if "globalName" in parameter:
            self.exported.append(parameter["globalName"])
        return template

    def step(
        self, name: str, names: list[str], refs: list[str], prefix: str
    ) -> tuple[dict[str, Json], list[str]]:
        step, offered = super().step(name, names, refs, prefix)
        own = f"{prefix}['{name}']"
        if any(key in step for key in ("withItems", "withParam", "withSequence")):
            self.looped.update(offered)
        if self.chance(0.12):
            del step["template"]
            chosen = self.random.choice(["leaf", "pair", "graph"])
            step["templateRef"] = {"name": LIBRARY["metadata"]["name"], "template": chosen}
        elif self.chance(0.05):
            del step["template"]
            step["inline"] = {
                "suspend": {"duration": "0"},
                "inputs": {"parameters": [{"name": "x", "value": "inl"}]},
                "outputs": {
                    "parameters": [
                        {"name": "r", "valueFrom": {"supplied": {}, "default": "{{inputs.parameters.x}}"}}
                    ]
                },
            }
        if self.chance(0.12) and "onExit" not in step:
            phase = self.random.choice(["Succeeded", "Failed", "Error"])
            hook: dict[str, Json] = {"template": "ok", "expression": f"{own}.status == '{phase}'"}
            if self.chance(0.6):
                tag = self.random.choice(
                    [f"{{{{{prefix}.{name}.status}}}}", f"{{{{{prefix}.{name}.outputs.parameters.r}}}}", "h"]
                )
                hook["arguments"] = {"parameters": [{"name": "x", "value": tag}]}
            step.setdefault("hooks", {})["look"] = hook
        return step, offered

    def loop(self, step: dict[str, Json], refs: list[str]) -> str:
        lists = [ref for ref in refs if ref in self.looped]
        if lists and self.chance(0.4):
            ref = self.random.choice(lists)
            step["withParam"] = self.random.choice(
                [f"{{{{{ref}}}}}", f"{{{{=toJson(map(fromJSON({path_of(ref)}), # + '~'))}}}}"]
            )
            return "item"
        if self.chance(0.15):
            step["withSequence"] = {"count": "{{=len(inputs.parameters.x)}}"}
            return "item"
        return super().loop(step, refs)

    def value(self, refs: list[str], looped: str) -> str:
        choices = [super().value(refs, looped)] * 3
        lists = [ref for ref in refs if ref in self.looped]
        if lists:
            path = path_of(self.random.choice(lists))
            choices += [
                f"{{{{=len(fromJSON({path}))}}}}",
                f"{{{{=join(fromJSON({path}), '|')}}}}",
                f"{{{{=filter(fromJSON({path}), # != 'a')}}}}",
                f"{{{{=first(fromJSON({path})) ?? 'none'}}}}",
            ]
        if refs:
            path = path_of(self.random.choice(refs))
            choices += [
                f"{{{{=sprig.upper({path} ?? 'gone')}}}}",
                f"{{{{={path} == nil ? 'nil' : 'set'}}}}",
                f"{{{{=sprig.trunc(3, {path})}}}}",
            ]
        if self.exported:
            choices.append(f"<{{{{workflow.outputs.parameters.{self.random.choice(self.exported)}}}}}>")
        choices.append(
            "{{=sprig.replace('d', 'D', inputs.parameters.x) + string(len(workflow.parameters.p))}}"
        )
        return self.random.choice(choices)

    def depends(self, names: list[str]) -> str:
        if self.chance(0.6):
            return super().depends(names)
        terms = []
        for name in names:
            chosen = self.random.sample(_RESULTS, 2)
            if not self.is_looped(name):
                chosen = [item for item in chosen if not item.startswith("A")] or ["Succeeded"]
            terms.append(
                "(" + self.random.choice([" || ", " && "]).join(f"{name}.{item}" for item in chosen) + ")"
            )
        joined = self.random.choice([" || ", " && "]).join(terms)
        return f"!({joined})" if self.chance(0.3) else f"{joined} || {names[0]}.Succeeded"

    def is_looped(self, name: str) -> bool:
        """Return whether the task is a loop."""
        return f"tasks.{name}.outputs.parameters.r" in self.looped


def generate_rich(seed: int) -> dict[str, Json]:
    """Return the workflow of ``seed`` (without a name)."""
    return _Rich(seed).workflow()
