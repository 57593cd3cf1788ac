"""The way through a workflow's spec: its templates, what they call, the containers of their pods.

Only objects are walked: what else stands there is for the linter to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec, SetContainer
    from tiphys.argo.types import DAGTask, Template, WorkflowSpec, WorkflowStep


__all__ = [
    "TYPES",
    "Path",
    "SpecCall",
    "calls",
    "containers",
    "every_template",
    "holders",
    "set_containers",
    "step_groups",
    "tasks",
    "template_kind",
    "template_type",
    "workflow_spec",
    "written",
]

Path = tuple[str | int, ...]
T = TypeVar("T")
Given = Mapping[str, object]  # of the type that the function's name says, or wrong

# The field that makes a template one of a type, and the type's name; the first that is present counts.
TYPES = {
    "container": "Container",
    "containerSet": "ContainerSet",
    "steps": "Steps",
    "dag": "DAG",
    "script": "Script",
    "resource": "Resource",
    "data": "Data",
    "suspend": "Suspend",
    "http": "HTTP",
    "plugin": "Plugin",
}
_DEEPEST = 100  # inline templates in inline templates: more are no workflow


class SpecCall(NamedTuple):
    """A step or a task. ``path`` leads to it from its template; ``family`` is how its outputs are referred to."""

    holder: WorkflowStep
    family: str  # "steps" or "tasks"
    path: Path
    group: int = 0

    @property
    def label(self) -> str:
        """As Argo's messages name it: ``steps[0].a``, ``tasks.a``."""
        place = f"steps[{self.group}]" if self.family == "steps" else "tasks"
        return f"{place}.{self.holder.get('name')}"


def written(path: Path) -> str:
    """A path as Argo's messages have it: ``spec.templates[0].name``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def workflow_spec(document: Given) -> WorkflowSpec:
    """The spec of a workflow or a template; of a CronWorkflow that of the workflows which it makes."""
    spec = document.get("spec")
    if document.get("kind") == "CronWorkflow" and isinstance(spec, dict):
        spec = spec.get("workflowSpec")
    return cast("WorkflowSpec", spec) if isinstance(spec, dict) else {}


def template_type(template: Given) -> str:
    """The field that says what a template is, or an empty string; steps without any are none (``omitempty``)."""
    for field in TYPES:
        if template.get(field) is not None and (field != "steps" or template[field]):
            return field
    return ""


def template_kind(reference: Given) -> str:
    """The kind of the object that a ``templateRef`` or a ``workflowTemplateRef`` names."""
    return "ClusterWorkflowTemplate" if reference.get("clusterScope") else "WorkflowTemplate"


def step_groups(template: Given) -> list[list[WorkflowStep]]:
    """The groups of a steps template, one after the other; those of a group run side by side."""
    return [[step for _, step in group] for group in _groups(template)]


def _groups(template: Given) -> Iterator[list[tuple[Path, WorkflowStep]]]:
    rows = template.get("steps")
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        path: Path = ("steps", index)
        if isinstance(row, dict):  # as protobuf writes it, or one step without its list
            inner: list[tuple[int, WorkflowStep]] = _items(row.get("steps"))
            lone: list[tuple[int, WorkflowStep]] = _items([row])
            yield [((*path, "steps", place), step) for place, step in inner] or [(path, lone[0][1])]
        elif isinstance(row, list):
            side_by_side: list[tuple[int, WorkflowStep]] = _items(row)
            yield [((*path, place), step) for place, step in side_by_side]


def tasks(template: Given) -> list[DAGTask]:
    """The tasks of a DAG template, in the order of the text."""
    return [task for _, task in _tasks(template)]


def _tasks(template: Given) -> list[tuple[int, DAGTask]]:
    dag = template.get("dag")
    return _items(dag.get("tasks")) if isinstance(dag, dict) else []


def calls(template: Given) -> Iterator[SpecCall]:
    """The steps and tasks of a template, in the order of the text."""
    for group, steps in enumerate(_groups(template)):
        for path, step in steps:
            yield SpecCall(step, "steps", path, group)
    for place, task in _tasks(template):
        yield SpecCall(task, "tasks", ("dag", "tasks", place))


def set_containers(template: Given) -> list[SetContainer]:
    """The containers of a containerSet."""
    return [item for _, item in _set_containers(template)]


def _set_containers(template: Given) -> list[tuple[int, SetContainer]]:
    found = template.get("containerSet")
    return _items(found.get("containers")) if isinstance(found, dict) else []


def containers(template: Given) -> Iterator[tuple[Path, ContainerSpec]]:
    """Every container of a template's pod with its path: main ones, sidecars, init containers."""
    for key in ("container", "script"):
        only = template.get(key)
        if isinstance(only, dict):
            yield (key,), cast("ContainerSpec", only)
    for place, each in _set_containers(template):
        yield ("containerSet", "containers", place), each
    for key in ("sidecars", "initContainers"):
        found: list[tuple[int, ContainerSpec]] = _items(template.get(key))
        for place, item in found:
            yield (key, place), item


def every_template(templates: object, path: Path = ("templates",)) -> Iterator[tuple[Path, Template]]:
    """Templates and those written inline in their steps and tasks, each with its path."""
    found: list[tuple[int, Template]] = _items(templates)
    for place, template in found:
        yield from _with_inline(template, (*path, place), 0)


def _with_inline(template: Template, path: Path, depth: int) -> Iterator[tuple[Path, Template]]:
    yield path, template
    for below, holder in _inlining(template) if depth < _DEEPEST else ():
        inline = holder.get("inline")
        if isinstance(inline, dict):
            yield from _with_inline(inline, (*path, *below, "inline"), depth + 1)


def _inlining(template: Template) -> Iterator[tuple[Path, WorkflowStep | DAGTask]]:
    """The steps and tasks of a template, without what else :func:`calls` knows of them."""
    for group in _groups(template):
        yield from group
    for place, task in _tasks(template):
        yield ("dag", "tasks", place), task


def holders(spec: Given) -> Iterator[WorkflowStep]:
    """Everything that names a template (``template``, ``templateRef`` or ``inline``): entrypoint, exit handlers and
    hooks of the workflow; steps, tasks and theirs."""
    if spec.get("entrypoint"):
        yield {"template": str(spec["entrypoint"])}
    yield from _handlers(spec)
    for _, template in every_template(spec.get("templates")):
        for call in calls(template):
            yield call.holder
            yield from _handlers(call.holder)


def _handlers(holder: Given) -> Iterator[WorkflowStep]:
    if holder.get("onExit"):
        yield {"template": str(holder["onExit"])}
    hooks = holder.get("hooks")
    found: list[tuple[int, WorkflowStep]] = _items(list(hooks.values()) if isinstance(hooks, dict) else ())
    yield from (hook for _, hook in found)


def _items(found: object) -> list[tuple[int, T]]:
    """The objects of a list, each with its place; they are of the type that the caller knows to stand there."""
    if not isinstance(found, list):
        return []
    return [(place, cast("T", item)) for place, item in enumerate(found) if isinstance(item, dict)]
