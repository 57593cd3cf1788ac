"""The way through a workflow's spec: its templates, what they call, the containers of their pods.

Only objects are walked: what else stands there is for the linter to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "TYPES",
    "Holder",
    "Path",
    "SpecCall",
    "Template",
    "calls",
    "containers",
    "every_template",
    "holders",
    "set_containers",
    "step_groups",
    "tasks",
    "template_kind",
    "template_type",
    "written",
]

Json = Any
Template = Mapping[str, Json]
Holder = dict[str, Json]
Path = tuple[str | int, ...]

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


@dataclass(frozen=True, slots=True)
class SpecCall:
    """A step or a task. ``path`` leads to it from its template; ``family`` is how its outputs are referred to."""

    holder: Holder
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


def template_type(template: Template) -> str:
    """The field that says what a template is, or an empty string; steps without any are none (``omitempty``)."""
    for field in TYPES:
        if template.get(field) is not None and (field != "steps" or template[field]):
            return field
    return ""


def template_kind(reference: Mapping[str, Json]) -> str:
    """The kind of the object that a ``templateRef`` or a ``workflowTemplateRef`` names."""
    return "ClusterWorkflowTemplate" if reference.get("clusterScope") else "WorkflowTemplate"


def step_groups(template: Template) -> list[list[Holder]]:
    """The groups of a steps template, one after the other; those of a group run side by side."""
    return [[step for _, step in group] for group in _groups(template)]


def _groups(template: Template) -> Iterator[list[tuple[Path, Holder]]]:
    rows = template.get("steps")
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        path: Path = ("steps", index)
        if isinstance(row, dict):  # as protobuf writes it, or one step without its list
            inner = _items(row.get("steps"))
            yield [((*path, "steps", place), step) for place, step in inner] or [(path, row)]
        elif isinstance(row, list):
            yield [((*path, place), step) for place, step in _items(row)]


def tasks(template: Template) -> list[Holder]:
    """The tasks of a DAG template, in the order of the text."""
    return [task for _, task in _tasks(template)]


def _tasks(template: Template) -> list[tuple[int, Holder]]:
    dag = template.get("dag")
    return _items(dag.get("tasks")) if isinstance(dag, dict) else []


def calls(template: Template) -> Iterator[SpecCall]:
    """The steps and tasks of a template, in the order of the text."""
    for group, steps in enumerate(_groups(template)):
        for path, step in steps:
            yield SpecCall(step, "steps", path, group)
    for place, task in _tasks(template):
        yield SpecCall(task, "tasks", ("dag", "tasks", place))


def set_containers(template: Template) -> list[dict[str, Json]]:
    """The containers of a containerSet."""
    return [item for _, item in _set_containers(template)]


def _set_containers(template: Template) -> list[tuple[int, dict[str, Json]]]:
    found = template.get("containerSet")
    return _items(found.get("containers")) if isinstance(found, dict) else []


def containers(template: Template) -> Iterator[tuple[Path, dict[str, Json]]]:
    """Every container of a template's pod with its path: main ones, sidecars, init containers."""
    for key in ("container", "script"):
        if isinstance(template.get(key), dict):
            yield (key,), template[key]
    for place, item in _set_containers(template):
        yield ("containerSet", "containers", place), item
    for key in ("sidecars", "initContainers"):
        for place, item in _items(template.get(key)):
            yield (key, place), item


def every_template(templates: Json, path: Path = ("templates",)) -> Iterator[tuple[Path, dict[str, Json]]]:
    """Templates and those written inline in their steps and tasks, each with its path."""
    for place, template in _items(templates):
        yield from _with_inline(template, (*path, place), 0)


def _with_inline(template: dict[str, Json], path: Path, depth: int) -> Iterator[tuple[Path, dict[str, Json]]]:
    yield path, template
    for below, holder in _inlining(template) if depth < _DEEPEST else ():
        inline = holder.get("inline")
        if isinstance(inline, dict):
            yield from _with_inline(inline, (*path, *below, "inline"), depth + 1)


def _inlining(template: Template) -> Iterator[tuple[Path, Holder]]:
    """The steps and tasks of a template, without what else :func:`calls` knows of them."""
    for group in _groups(template):
        yield from group
    for place, task in _tasks(template):
        yield ("dag", "tasks", place), task


def holders(spec: Mapping[str, Json]) -> Iterator[Holder]:
    """Everything that names a template (``template``, ``templateRef`` or ``inline``): entrypoint, exit handlers and
    hooks of the workflow; steps, tasks and theirs."""
    if spec.get("entrypoint"):
        yield {"template": spec["entrypoint"]}
    yield from _handlers(spec)
    for _, template in every_template(spec.get("templates")):
        for call in calls(template):
            yield call.holder
            yield from _handlers(call.holder)


def _handlers(holder: Mapping[str, Json]) -> Iterator[Holder]:
    if holder.get("onExit"):
        yield {"template": holder["onExit"]}
    hooks = holder.get("hooks")
    yield from (hook for hook in hooks.values() if isinstance(hook, dict)) if isinstance(hooks, dict) else ()


def _items(found: Json) -> list[tuple[int, dict[str, Json]]]:
    """The objects of a list, each with its place."""
    if not isinstance(found, list):
        return []
    return [(place, item) for place, item in enumerate(found) if isinstance(item, dict)]
