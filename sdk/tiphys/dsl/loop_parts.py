"""The pieces of a loop's templates: outputs that are handed on, lists that are joined, and the step that judges."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.dsl.literals import access

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Parameter, Template, WorkflowStep
    from tiphys.dsl.components import Component

__all__ = [
    "arguments_of",
    "evaluated",
    "gives",
    "joined",
    "judge",
    "later",
    "listed",
    "same",
    "takes",
    "too_many",
]


def _tag(place: tuple[str, ...]) -> str:
    return "{{" + ".".join(place) + "}}"


def same(name: str, place: tuple[str, ...]) -> Parameter:
    return {"name": name, "valueFrom": {"parameter": _tag(place)}}


def listed(name: str, place: tuple[str, ...]) -> Parameter:
    """What a loop collected; where no item went well there is nothing to collect."""
    return {"name": name, "valueFrom": {"parameter": _tag(place), "default": "[]"}}


def evaluated(name: str, expression: str) -> Parameter:
    return {"name": name, "valueFrom": {"expression": expression}}


def later(name: str, otherwise: str = "[]") -> str:
    """What the rounds after this one gave, if there were any."""
    value = access(("steps", "rest", "outputs", "parameters", name))
    return f"(steps.rest.outputs?.parameters == nil ? '{otherwise}' : {value} ?? '{otherwise}')"


def joined(first: str, then: str) -> str:
    """Two JSON lists as one, as text: every element stays as it is."""
    both = f"trimSuffix({first}, ']') + ',' + trimPrefix({then}, '[')"
    return f"{first} == '[]' ? {then} : {then} == '[]' ? {first} : {both}"


def judge(failed: str, tolerated: str, when: str) -> WorkflowStep:
    given = {"failed": f"{{{{{failed}}}}}", "tolerated": f"{{{{{tolerated}}}}}"}
    return {
        "name": "judge",
        "template": too_many().name,
        "when": f"{{{{={when}}}}}",
        "arguments": arguments_of(given),
    }


def arguments_of(given: Mapping[str, str]) -> Arguments:
    return {"parameters": [{"name": name, "value": value} for name, value in given.items()]}


def takes(template: Template, names: list[str]) -> None:
    if names:
        template["inputs"] = {"parameters": [{"name": name} for name in names]}


def gives(template: Template, parameters: list[Parameter]) -> Template:
    if parameters:
        template["outputs"] = {"parameters": parameters}
    return template


def too_many_failed(failed: int, tolerated: int) -> None:
    """Fails the loop."""
    raise SystemExit(f"TIP732: {failed} items failed, and {tolerated} more may: for_each(…, tolerate=…)")


@functools.cache
def too_many() -> Component:
    from tiphys.dsl.component_options import ComponentOptions
    from tiphys.dsl.components import Component
    from tiphys.dsl.retry import Retry

    return Component(too_many_failed, ComponentOptions(retry=Retry.on_infrastructure(), embed=True))
