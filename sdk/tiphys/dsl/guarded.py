"""A cached step with conditions, in Argo's words: a guard before it computes the answer into its key.

``NAME`` becomes a graph that holds the mutex of the key and has two tasks: ``guard``, which looks at the file that the
last computed result left (:mod:`tiphys.step.guard`) and returns that result's generation or a new one, and ``kept``,
the cached template with the generation in its key. In ``NAME-kept`` the work (``NAME-kept-run``) is followed by
``record``, which leaves the file: only what was computed and came to its end is recorded, and equal runs, which wait at
the mutex, then find it. Guard and recorder are two templates for all steps of a workflow, and need nothing but Python.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.cache_mode import JUDGED, RECORDER
from tiphys.compiler.line import Site
from tiphys.dsl.cached_retry import RUN, handed_on, results_of, split
from tiphys.dsl.literals import access, literal
from tiphys.dsl.pod import Defaults, executor_patch, secured
from tiphys.dsl.policies import Conditions
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.source.brought import brought_along
from tiphys.dsl.types import Field
from tiphys.errors import DefinitionError
from tiphys.large import LONGEST
from tiphys.step.guard import TOO_LONG
from tiphys.step.kinds import unwrap

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Outputs, Template

__all__ = ["GENERATED", "GENERATION", "guarded", "unguarded"]

GENERATION = "generation"
"""The input of the cached template that the guard fills."""

_GUARD, _KEPT = "guard", "kept"
_GUARD_TEMPLATE = "tiphys-guard"
_OUTPUTS = "/tmp/tiphys/outputs"
GENERATED = f"{{{{tasks.{_GUARD}.outputs.parameters.{GENERATION}}}}}"


def guarded(
    body: Template,
    conditions: Conditions,
    inputs: Sequence[Field],
    outputs: Sequence[Field],
    *,
    key: str,
    mutex: str,
    arguments: Mapping[str, str],
    defaults: Defaults,
    site: Site,
) -> list[Template]:
    """The templates of a cached step with conditions.

    ``body`` is the cached template with the generation in its key; ``key`` is the key without it, where the graph
    around it stands, ``mutex`` the lock of that key ("" for none), ``arguments`` what the cached template is given
    besides the inputs. Raises DefinitionError (TIP104) when the pipeline has no volume for the file.
    """
    name = str(body["name"])
    if not defaults.volumes:
        raise DefinitionError(
            "TIP104",
            f"the cache of {name} has conditions, and the pipeline has no volume",
            where=str(site),
            cause="what the conditions look at is kept in a file beside the References",
            fix='Pipeline(…, volumes=[Volume("tiphys")])',
        )
    judged = {field.name: field for field in inputs if field.python in conditions.judged}
    rules = [rule for each in conditions.rules if (rule := each.json(inputs, outputs))]
    looked_at = sorted({str(rule["input"]) for rule in rules if "input" in rule} & set(judged))
    values = _pairs((each, access(("inputs", "parameters", each))) for each in looked_at)
    outer, inner = cast("list[Template]", split({**body, "name": f"{name}-{_KEPT}"}, always=True))
    if judged:
        notes = {**(outer.pop("annotations", {})), JUDGED: ",".join(sorted(judged))}
        outer = {"name": outer.pop("name"), "annotations": notes, **outer}
    outer["dag"]["tasks"].append(
        {
            "name": "record",
            "template": RECORDER,
            "depends": RUN,
            "arguments": _arguments(
                key=body["memoize"]["key"], values=values, outputs=_pairs(_told(outputs, conditions))
            ),
        }
    )
    given = {item["name"]: item for item in handed_on(body).get("parameters", [])}
    given |= {each: {"name": each, "value": value} for each, value in arguments.items()}
    parameters = (body.get("inputs") or {}).get("parameters") or []
    own = [item for item in parameters if item["name"] != GENERATION]
    whole: Template = {"name": name}
    if own:
        whole["inputs"] = {"parameters": own}
    handed = handed_on(body).get("artifacts", [])
    if handed:
        artifacts = outer["inputs"]["artifacts"]
        whole["inputs"] = {**whole.get("inputs", {}), "artifacts": artifacts}
    if mutex:
        whole["synchronization"] = {"mutexes": [{"name": mutex}]}
    asked = _arguments(
        key=key, values=values, conditions=json.dumps(rules, sort_keys=True, separators=(",", ":"))
    )
    whole["dag"] = {
        "tasks": [
            {"name": _GUARD, "template": _GUARD_TEMPLATE, "arguments": asked},
            {
                "name": _KEPT,
                "template": outer["name"],
                "depends": _GUARD,
                "arguments": {
                    "parameters": list(given.values()),
                    **({"artifacts": handed} if handed else {}),
                },
            },
        ]
    }
    if results := results_of(body, _KEPT):
        whole["outputs"] = cast("Outputs", results)
    return [whole, outer, inner, *_helpers(defaults)]


def unguarded(
    templates: Iterable[Template],
) -> tuple[list[Template], dict[str, list[Template]]]:
    """Templates in which each guarded step is the work alone, and the templates that each of these was, by its name."""
    found = {str(template["name"]): template for template in templates if "name" in template}
    parts: dict[str, list[Template]] = {}
    for name, whole in list(found.items()):
        tasks = (whole.get("dag") or {}).get("tasks") or []
        names = [f"{name}-{_KEPT}", f"{name}-{_KEPT}-{RUN}"]
        if [task.get("template") for task in tasks] == [_GUARD_TEMPLATE, names[0]] and found.keys() >= set(
            names
        ):
            parts[name] = [whole, *(found.pop(each) for each in names)]
            work: Template = {**parts[name][-1], "name": name}
            if "inputs" in whole:
                work["inputs"] = whole["inputs"]
            found[name] = work
    return list(found.values()), parts


def _arguments(**texts: str) -> Arguments:
    return {"parameters": [{"name": name, "value": text} for name, text in texts.items()]}


def _pairs(items: Iterable[tuple[str, str]]) -> str:
    """Names and expressions as a flat JSON list."""
    flat = [part for name, expression in items for part in (literal(name), expression)]
    return "{{=toJson([" + ", ".join(flat) + "])}}" if flat else "[]"


def _told(outputs: Sequence[Field], conditions: Conditions) -> Iterable[tuple[str, str]]:
    """The outputs that the recorder looks at: what is judged, and what may point to something."""
    for field in outputs:
        if field.is_file:
            continue
        if {field.name, field.python} & conditions.bars or unwrap(field.type) not in (int, float, bool):
            value = access(("tasks", RUN, "outputs", "parameters", field.name))
            pointing = f"{value} contains '://' ? {literal(TOO_LONG)} : ''"
            yield field.name, f"(len({value}) <= {LONGEST} ? {value} : {pointing})"


def _helpers(defaults: Defaults) -> list[Template]:
    """The guard and the recorder."""
    guard = _helper(_GUARD_TEMPLATE, "guard", ("key", "values", "conditions"), defaults)
    guard["outputs"] = {
        "parameters": [
            {"name": name, "valueFrom": {"path": f"{_OUTPUTS}/{name}"}} for name in (GENERATION, "reason")
        ]
    }
    return [guard, _helper(RECORDER, "record", ("key", "values", "outputs"), defaults)]


def _helper(name: str, verb: str, inputs: Sequence[str], defaults: Defaults) -> Template:
    env = [
        {"name": f"TIPHYS_INPUT_{each.upper()}", "value": f"{{{{inputs.parameters.{each}}}}}"}
        for each in inputs
    ]
    script: dict[str, object] = {
        "image": defaults.image,
        "command": ["python"],
        "source": _source(verb),
        "env": [
            *env,
            {"name": "TIPHYS_OUTPUTS", "value": _OUTPUTS},
            {"name": "TIPHYS_CLAIM", "value": defaults.volumes[0].claim},
            *defaults.volumes_env(),
        ],
        "resources": Resources(cpu="50m", memory="64Mi").mapping(),
    }
    template: dict[str, object] = {
        "name": name,
        "inputs": {"parameters": [{"name": each} for each in inputs]},
        "retryStrategy": Retry.on_infrastructure().strategy(),
        "script": script,
        "podSpecPatch": executor_patch(resource=False),
    }
    secured(script, template, defaults.volumes)
    return cast("Template", template)


@functools.cache  # each guarded step asks for it
def _source(verb: str) -> str:
    """A script that needs nothing of its image but Python."""
    return (
        "# the part of tiphys that judges an earlier result, so that the image needs nothing but Python\n"
        + brought_along("tiphys.step.guard")
        + f"sys.modules['tiphys.step.guard'].main({verb!r})\n"
    )
