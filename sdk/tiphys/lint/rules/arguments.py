"""Arguments: what is passed, and what the inputs need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.reader import Path
from tiphys.lint.analysis import walk_of
from tiphys.lint.model import WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.walk import has_location

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments

    Listing = tuple[str, Path, Arguments, bool]

_SOURCE = "argo-workflows v4.1.2, workflow/validate/validate.go (validateArgumentsValues)"
_FORBIDDEN = ("path", "jsonPath", "parameter", "expression")


def _arguments(workflow: WorkflowView) -> Iterator[Listing]:
    """Every set of arguments: (how Argo names it, its path, the data, whether values may be left out)."""
    given = workflow.spec.get("arguments") or {}
    yield "spec.arguments", workflow.at("arguments"), given, workflow.kind != "CronWorkflow"
    for template in workflow.every_template():
        for call in template.calls():
            data = call.data.get("arguments") or {}
            yield f"{call.label}.arguments", (*call.path, "arguments"), data, False


@rule(
    "L240",
    "input-not-supplied",
    "error",
    what="An input without a default that a call gives no value.",
    why="The template cannot start. An argument with only a name even wipes the default of the input.",
    source="argo-workflows v4.1.2, workflow/common/util.go (ProcessArgs)",
)
def input_not_supplied(workflow: WorkflowView) -> Iterator[Issue]:
    yield from walk_of(workflow).of("supply")


@rule(
    "L241",
    "argument-without-value",
    "error",
    what="An argument of a step, task or CronWorkflow with neither value nor valueFrom.",
    why="There is nothing to pass.",
    source=_SOURCE,
)
def argument_without_value(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, data, empty in _arguments(workflow):
        for index, item in enumerate(data.get("parameters") or []):
            if not empty and "value" not in item and "valueFrom" not in item:
                name = item.get("name", "")
                words = f"{label}.{name}.value or {label}.{name}.valueFrom is required"
                yield Issue((*path, "parameters", index), words, fix="give it a value, or remove it")


@rule(
    "L361",
    "default-not-read",
    "warning",
    what="A workflow parameter with a `default` and no value.",
    why="Argo reads the default of an input only: a workflow that is given no value for it ends with `invalid spec`. "
    "`argo submit` refuses it; `argo lint` does not say so.",
    source="argo-workflows v4.1.2, workflow/controller/operator.go (setGlobalParameters); seen on the real controller",
    needs="default",
)
def default_not_read(workflow: WorkflowView) -> Iterator[Issue]:
    for index, item in enumerate((workflow.spec.get("arguments") or {}).get("parameters") or []):
        source = item.get("valueFrom")
        if "default" in item and "value" not in item and (source or workflow.kind != "CronWorkflow"):
            words = f"spec.arguments.{item.get('name', '')}.default is not read"
            mapped = "configMapKeyRef" in (source or {})
            fix = f"write {'valueFrom.default' if mapped else 'value'}: {item['default']!r}"
            yield Issue((*workflow.at("arguments"), "parameters", index, "default"), words, fix=fix, key=True)


@rule(
    "L242",
    "argument-value-from",
    "error",
    what="The valueFrom of an argument may only be a configMapKeyRef, supplied or an event.",
    why="path, jsonPath, parameter and expression are for outputs. Pass an output with `value: '{{...}}'`.",
    source=_SOURCE,
    needs="valueFrom",
)
def argument_value_from(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, data, _ in _arguments(workflow):
        for index, item in enumerate(data.get("parameters") or []):
            source = item.get("valueFrom")
            if source is None:
                continue
            given = "configMapKeyRef" in source or source.get("event") or "supplied" in source
            if not given or any(source.get(key) for key in _FORBIDDEN):
                name = item.get("name", "")
                words = f"{label}.{name}.valueFrom only allows: default, configMapKeyRef and supplied"
                reference = source.get("parameter") or source.get("expression")
                fix = f"write value: {reference!r}" if reference else "use value, or a configMapKeyRef"
                yield Issue((*path, "parameters", index, "valueFrom"), words, fix=fix)


@rule(
    "L243",
    "enum-value",
    "error",
    what="An empty enum, or a value that is not among it.",
    why="Argo refuses the workflow.",
    source=_SOURCE,
    needs="enum",
)
def enum_value(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, data, empty in _arguments(workflow):
        for index, item in enumerate(data.get("parameters") or []):
            choices = item.get("enum")
            if choices is None:
                continue
            place, name = (*path, "parameters", index), item.get("name", "")
            if not choices:
                yield Issue((*place, "enum"), f"{label}.{name}.enum should contain at least one value")
            elif "value" not in item:
                if not empty:
                    yield Issue(place, f"{label}.{name}.value is required")
            elif item["value"] not in choices:
                words = f"{label}.{name}.value should be present in {label}.{name}.enum list"
                yield Issue((*place, "value"), words, near=tuple(str(choice) for choice in choices))


@rule(
    "L244",
    "artifact-argument",
    "error",
    what="An artifact argument needs a from, a whole location or a key; not both from and fromExpression.",
    why="It must be clear where the artifact comes from.",
    source=_SOURCE,
    needs="artifacts",
)
def artifact_argument(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, data, _ in _arguments(workflow):
        for index, item in enumerate(data.get("artifacts") or []):
            place, name = (*path, "artifacts", index), item.get("name", "")
            if not item.get("from") and not has_location(item):
                words = f"{label}.{name}.from, artifact location, or key is required"
                yield Issue(place, words, fix='add from: "{{...outputs.artifacts...}}"')
            if item.get("from") and item.get("fromExpression"):
                words = f"{label}.{name} shouldn't have both `from` and `fromExpression` in Artifact"
                yield Issue((*place, "fromExpression"), words, fix="keep one of them", key=True)


@rule(
    "L245",
    "timeout-argument",
    "error",
    what="A bare number given to a template that uses it as its timeout.",
    why="A timeout is a duration with a unit, such as 10m.",
    source="argo-workflows v4.1.2, workflow/validate/validate.go",
    needs="timeout",
)
def timeout_argument(workflow: WorkflowView) -> Iterator[Issue]:
    yield from walk_of(workflow).of("timeout")
