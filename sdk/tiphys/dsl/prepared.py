"""A training whose data is looked after: a step right before the job, inside the locks that admit the gang.

A gang may wait for its turn for hours. What was seen to be there before may be gone when it begins, and then a whole
gang starts for nothing, as often as it is tried again. So the template that holds the locks is a graph of two
tasks: ``prepare``, which sees to it that the data is there, and ``job``, which begins when that is so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from tiphys.dsl.cached_retry import results_of

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Outputs, Template

__all__ = ["JOB", "prepared", "unprepared"]

JOB = "job"
"""The task that is the work, and what its template's name ends with."""

_PREPARE = "prepare"
_WORK = ("resource", "retryStrategy", "podSpecPatch", "serviceAccountName", "timeout", "outputs")


def prepared(body: Template, template: str, asked: Iterable[str], own: Iterable[str]) -> list[Template]:
    """The graph that has the template's name, its inputs, its cache and its locks, and the work alone.

    ``template`` is the one that prepares, ``asked`` the names of its inputs, which the graph has among its own; ``own``
    are those of the work.
    """
    own = list(own)
    name = str(body["name"])
    job: dict[str, object] = {
        "name": f"{name}-{JOB}",
        "inputs": {"parameters": [{"name": each} for each in own]},
    }
    whole: dict[str, object] = {}
    for key, value in body.items():
        (job if key in _WORK else whole)[key] = value
    tasks = [
        {"name": _PREPARE, "template": template, "arguments": _handed_on(asked)},
        {"name": JOB, "template": job["name"], "depends": _PREPARE, "arguments": _handed_on(own)},
    ]
    whole["dag"] = {"tasks": tasks}
    if results := results_of(body, JOB):
        whole["outputs"] = cast("Outputs", results)
    return [cast("Template", whole), cast("Template", job)]


def unprepared(templates: Iterable[Mapping[str, object]]) -> tuple[list[Template], dict[str, list[Template]]]:
    """Templates in which each prepared one is the work alone, with its cache and its locks, and the two templates that
    each of these was, by its name."""
    found = {str(template["name"]): cast("Template", dict(template)) for template in templates}
    parts: dict[str, list[Template]] = {}
    for name, whole in list(found.items()):
        tasks = (whole.get("dag") or {}).get("tasks") or []
        names = [task.get("name") for task in tasks]
        if names != [_PREPARE, JOB] or tasks[1].get("template") != f"{name}-{JOB}":
            continue
        job = found.pop(f"{name}-{JOB}", None)
        if job is None:
            continue
        parts[name] = [whole, job]
        work = {key: value for key, value in whole.items() if key not in ("dag", "outputs")}
        work |= {key: value for key, value in job.items() if key in _WORK}
        found[name] = cast("Template", work)
    return list(found.values()), parts


def _handed_on(names: Iterable[str]) -> Arguments:
    return {"parameters": [{"name": name, "value": f"{{{{inputs.parameters.{name}}}}}"} for name in names]}
