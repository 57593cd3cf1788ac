"""The pieces of a loop's templates: outputs that are handed on, lists that are joined, and the step that judges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from tiphys.compiler.line import Site
from tiphys.dsl.files import declared, passed, unplaced
from tiphys.dsl.literals import access
from tiphys.dsl.pod import Defaults, executor_patch, secured
from tiphys.dsl.resources import Resources
from tiphys.dsl.retry import Retry
from tiphys.dsl.template import StepTemplate
from tiphys.jsontypes import JsonObject
from tiphys.step.kinds import form, members

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Artifact, Parameter, Template, WorkflowStep

__all__ = [
    "TOO_MANY",
    "arguments_of",
    "element",
    "evaluated",
    "gives",
    "handed_on",
    "joined",
    "judge",
    "later",
    "listed",
    "same",
    "takes",
]


def element(kind: object) -> str:
    """How an expression makes JSON of one element (``#``) of what a loop collected, if it is not read as it is.

    Argo collects the texts of the outputs (or, if all are JSON objects or lists, these); whether the text of a union
    is text or JSON, only its type says.
    """
    of = members(kind)
    if of is None:
        return ""
    if {form(each) for each in of} - {"null"} == {"text"}:
        return "type(#) != 'string' ? toJson(toJson(#)) : # == 'null' ? 'null' : toJson(#)"
    return "type(#) != 'string' ? toJson(#) : #"


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
        "template": TOO_MANY.name,
        "when": f"{{{{={when}}}}}",
        "arguments": arguments_of(given),
    }


def arguments_of(given: Mapping[str, str], files: Mapping[str, Artifact] | None = None) -> Arguments:
    """``files``: artifacts by their names."""
    parameters: list[Parameter] = [{"name": name, "value": value} for name, value in given.items()]
    artifacts = [cast("Artifact", {"name": name, **each}) for name, each in (files or {}).items()]
    return cast("Arguments", declared(parameters, artifacts))


def takes(template: Template, names: list[str], files: Mapping[str, Artifact] | None = None) -> None:
    """``files``: the artifacts that it takes; one that may be absent says so in its argument."""
    artifacts = [unplaced({"name": name, **each}) for name, each in (files or {}).items()]
    if names or artifacts:
        template["inputs"] = cast("Any", declared([{"name": name} for name in names], artifacts))


def handed_on(files: Mapping[str, Artifact]) -> dict[str, Artifact]:
    """The artifacts that a template takes, as arguments of what is in it."""
    return {name: passed({"name": name, **each}, "inputs") for name, each in files.items()}


def gives(template: Template, parameters: list[Parameter]) -> Template:
    if parameters:
        template["outputs"] = {"parameters": parameters}
    return template


class _TooMany(StepTemplate):
    """The step that fails a loop; it runs only then."""

    def body(self, defaults: Defaults) -> JsonObject:
        script: JsonObject = {
            "image": defaults.image,
            "command": ["python"],
            "source": _TOO_MANY,
            "env": [
                {"name": "FAILED", "value": "{{inputs.parameters.failed}}"},
                {"name": "TOLERATED", "value": "{{inputs.parameters.tolerated}}"},
                {
                    "name": "TIPHYS_OUTPUTS",
                    "value": "/tmp/tiphys/outputs",
                },  # as in each step of ours; it writes none
            ],
            "resources": Resources(cpu="50m", memory="64Mi").mapping(),
        }
        template: JsonObject = {
            "name": self.name,
            "inputs": {"parameters": [{"name": "failed"}, {"name": "tolerated"}]},
            "retryStrategy": Retry.on_infrastructure().strategy(),
            "script": script,
            "podSpecPatch": executor_patch(resource=False),
        }
        secured(script, template, ())
        return template


_TOO_MANY = """\
import os
import sys

failed, tolerated = os.environ["FAILED"], os.environ["TOLERATED"]
sys.exit(f"CODE: {failed} items failed, and {tolerated} may (for_each(..., tolerate=...))")
""".replace("CODE", "TIP732")
TOO_MANY = _TooMany("tiphys-too-many-failed", (), (), site=Site(__file__, 0))
