"""Strict decoding: fields that do not exist, values of the wrong type."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.argo.decode import Misfit
from tiphys.argo.spec import written
from tiphys.lint.model import WorkflowView
from tiphys.lint.registry import Issue, rule

_DECODING = "argo-workflows v4.1.2, workflow/common/parse.go (sigs.k8s.io/json UnmarshalStrict)"


def _misfits(workflow: WorkflowView, kind: str, lax: bool = False) -> Iterator[Misfit]:
    return (item for item in workflow.misfits if item.kind == kind and item.lax == lax)


@rule(
    "L110",
    "unknown-field",
    "error",
    what="A field that the API does not have, at any depth.",
    why="Strict decoding refuses the object. Without it the field is dropped and the setting has no effect.",
    source=_DECODING,
    fixable=True,
)
def unknown_field(workflow: WorkflowView) -> Iterator[Issue]:
    for item in _misfits(workflow, "unknown"):
        yield Issue(item.path, f'unknown field "{written(item.path)}"', near=item.known, key=True)


@rule(
    "L111",
    "dropped-field",
    "warning",
    what="An unknown field below a step's first level (in its arguments, hooks or inline template).",
    why="Steps have a decoder of their own that drops such fields without a word, even under --strict.",
    source="argo-workflows v4.1.2, ParallelSteps.UnmarshalJSON",
    fixable=True,
)
def dropped_field(workflow: WorkflowView) -> Iterator[Issue]:
    for item in _misfits(workflow, "unknown", lax=True):
        words = f'unknown field "{written(item.path)}": Argo drops it in silence'
        yield Issue(item.path, words, near=item.known, key=True)


@rule(
    "L112",
    "wrong-type",
    "error",
    what="A value of the wrong type: a list where a mapping is needed, text where a number is needed.",
    why="The object cannot be decoded; `argo lint` then stops for all files of the call.",
    source=_DECODING,
)
def wrong_type(workflow: WorkflowView) -> Iterator[Issue]:
    for item in _misfits(workflow, "type"):
        yield Issue(item.path, f"{written(item.path)}: {item.message}", fix=_hint(item))


@rule(
    "L113",
    "unquoted-string",
    "error",
    what="A bare number or boolean where the API has a string, such as `duration: 20` or a label `a: 1`.",
    why="It cannot be decoded. Applied with kubectl it crashes the whole 4.1.2 controller, at each restart.",
    source="sigs.k8s.io/yaml (YAML 1.1: y, n, on, off are booleans; 012, 1e3 are numbers)",
    fixable=True,
)
def unquoted_string(workflow: WorkflowView) -> Iterator[Issue]:
    for item in _misfits(workflow, "bare"):
        yield Issue(item.path, f"{written(item.path)}: {item.message}", fix="put the value in quotes")


@rule(
    "L114",
    "bad-value",
    "error",
    what="A number out of range, or text that is no quantity or time.",
    why="The type's own decoder refuses it.",
    source=_DECODING,
)
def bad_value(workflow: WorkflowView) -> Iterator[Issue]:
    for kind in ("range", "shape"):
        for item in _misfits(workflow, kind):
            yield Issue(item.path, f"{written(item.path)}: {item.message}")


@rule(
    "L115",
    "plugin-keys",
    "error",
    what="A plugin template must name exactly one plugin.",
    why="The decoder of `plugin` refuses anything else.",
    source="argo-workflows v4.1.2, Plugin.UnmarshalJSON",
    needs="plugin",
)
def plugin_keys(workflow: WorkflowView) -> Iterator[Issue]:
    for template in workflow.every_template():
        plugin = template.data.get("plugin")
        if isinstance(plugin, dict) and len(plugin) != 1:
            words = f"{template.label}.plugin: expected exactly one key, got {len(plugin)}"
            yield Issue((*template.path, "plugin"), words)


def _hint(item: Misfit) -> str:
    last = item.path[-1] if item.path else ""
    if "steps" in item.path and last != "steps" and "must be a list" in item.message:
        return "steps is a list of lists: `- - name: ...` begins a group, `  - name: ...` adds to it"
    return "give the field a value of that type"
