"""How a pipeline shows itself: in a line, and in a notebook with its parameters and tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tiphys.argo.spec import every_template, step_groups, tasks
from tiphys.errors import TiphysError
from tiphys.notebook import facts, fragment, rows, text

if TYPE_CHECKING:
    from tiphys.argo.types import Template, Workflow

__all__ = ["in_a_line", "in_a_notebook"]


def in_a_line(kind: str, name: str, count: int, parameters: Iterable[str]) -> str:
    """``Pipeline('fashion-mnist', 9 tasks, parameters: epochs, seed)``."""
    named = ", ".join(parameters)
    told = f"{count} task{'' if count == 1 else 's'}" + (f", parameters: {named}" if named else "")
    return f"{kind}({name!r}, {told})"


def in_a_notebook(name: str, compiled: Callable[[], Workflow]) -> str:
    """What a pipeline compiles to, as HTML; of one that cannot be compiled why."""
    title = f"<div><b>{text(name)}</b></div>"
    try:
        body = compiled()
    except TiphysError as error:
        return fragment(title, f"<div>{text(error, 2000)}</div>")
    spec = body.get("spec") or {}
    given = (spec.get("arguments") or {}).get("parameters") or ()
    parameters = [
        (text(each.get("name")), text(each.get("value", "")), text(each.get("description", "")))
        for each in given
    ]
    lines = []
    for _, template in every_template(spec.get("templates")):
        place = "" if template.get("name") == spec.get("entrypoint") else f"{template.get('name')} / "
        lines += [
            (text(place + name), text(runs), text(after), text(when))
            for name, runs, after, when in _tasks(template)
        ]
    return fragment(
        title,
        facts([("tasks", len(lines))]),
        rows(("parameter", "value", ""), parameters),
        rows(("task", "runs", "after", "when"), lines),
    )


def _tasks(template: Template) -> Iterator[tuple[str, str, str, str]]:
    for task in tasks(template):
        after = str(task.get("depends") or ", ".join(task.get("dependencies") or ()))
        yield str(task.get("name")), _runs(task), after, str(task.get("when") or "")
    for group in step_groups(template):
        for step in group:
            yield str(step.get("name")), _runs(step), "", str(step.get("when") or "")


def _runs(holder: Mapping[str, object]) -> str:
    reference = holder.get("templateRef")
    if isinstance(reference, dict):
        return f"{reference.get('name')}/{reference.get('template')}"
    return str(holder.get("template") or "")
