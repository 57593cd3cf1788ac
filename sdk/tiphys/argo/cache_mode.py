"""For one run: how it uses the caches of its steps, said in the Workflow itself, so that every engine does the same.

``never`` takes ``memoize`` away: nothing is read and nothing is stored. ``refresh`` gives it a negative ``maxAge``: a
Go duration like any other to the controller (4.0.5, 4.1.2; seen on the first), and no entry is younger, not even after
a clock was set back; the result is stored. Locks stay as they are: equal steps wait for each other, and a folder that
is named after the key has one writer at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from tiphys.argo.spec import calls, every_template, holders, tasks, template_kind
from tiphys.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, Template, Workflow, WorkflowSpec

__all__ = [
    "CACHE_MODES",
    "JUDGED",
    "NOTHING_IS_YOUNGER",
    "RECORDER",
    "CacheMode",
    "check_mode",
    "with_cache_mode",
]

CacheMode = Literal["auto", "refresh", "never"]
CACHE_MODES: tuple[CacheMode, ...] = get_args(CacheMode)
NOTHING_IS_YOUNGER = "-1h"
"""The ``maxAge`` of a template that reads no entry."""

JUDGED = "tiphys.dev/judged"
"""An annotation of such a template: the inputs that a step before it judges, so that its key leaves them out."""

RECORDER = "tiphys-record"
"""The template that, in a cached one, writes down what was stored (:mod:`tiphys.dsl.guarded`)."""

_TEMPLATES = ("WorkflowTemplate", "ClusterWorkflowTemplate")
T = TypeVar("T", "Workflow", "GivenObject")


def check_mode(mode: str) -> None:
    """Refuse what is no mode (RefusedError TIP284)."""
    if mode not in CACHE_MODES:
        raise RefusedError(
            "TIP284",
            f"cache={mode!r} is not a way to use the caches.{did_you_mean(str(mode), CACHE_MODES)}",
            fix='"auto" uses earlier results, "refresh" computes and stores, "never" neither reads nor stores',
        )


def with_cache_mode(
    workflow: Workflow, mode: CacheMode, context: Sequence[GivenObject] = ()
) -> tuple[Workflow, list[GivenObject]]:
    """The workflow, and the objects that are given with it, as a run with this mode needs them.

    Raises
    ------
    RefusedError
        TIP284: no such mode. TIP285: a template that the mode would not reach: it is taken from a WorkflowTemplate that
        is not among the objects, or it is in the text of an object that a step creates.
    """
    check_mode(mode)
    if mode == "auto":
        return workflow, list(context)
    known = {
        (item.get("kind"), (item.get("metadata") or {}).get("name"))
        for item in context
        if item.get("kind") in _TEMPLATES
    }
    reached = [item for item in context if item.get("kind") in _TEMPLATES]
    for spec in (workflow.get("spec"), *(item.get("spec") for item in reached)):
        for reason, where in _out_of_reach(spec or {}, known):
            raise RefusedError(
                "TIP285",
                f"cache={mode!r} would not reach {reason}",
                where=where,
                cause="how a run uses its caches is written into its own templates before it starts",
                fix="give the WorkflowTemplate's file, too (tiphys run --with FILE), run its text as the workflow, or "
                "leave the mode out and remove entries with `tiphys cache rm`",
            )
    return _changed(workflow, mode), [_changed(i, mode) if i in reached else i for i in context]


def _changed(item: T, mode: CacheMode) -> T:
    made = copy.deepcopy(item)
    for template in _memoized(made.get("spec") or {}):
        if mode == "never":
            template.pop("memoize")
            if "dag" in template:  # nothing is stored, and so nothing is recorded
                template["dag"]["tasks"] = [t for t in tasks(template) if t.get("template") != RECORDER]
        else:
            template["memoize"]["maxAge"] = NOTHING_IS_YOUNGER
    return made


def _memoized(spec: WorkflowSpec) -> Iterator[Template]:
    defaults = spec.get("templateDefaults")
    for _, template in every_template([*(spec.get("templates") or []), *([defaults] if defaults else [])]):
        if template.get("memoize"):
            yield template


def _out_of_reach(spec: WorkflowSpec, known: Iterable[object]) -> Iterator[tuple[str, str]]:
    """What has templates that are not here: in words, and where it is named."""
    reference = spec.get("workflowTemplateRef")
    if reference and (template_kind(reference), reference.get("name")) not in known:
        yield f"the {template_kind(reference)} {reference.get('name')!r}", "spec.workflowTemplateRef"
    for holder in holders(spec):
        reference = holder.get("templateRef")
        if reference and (template_kind(reference), reference.get("name")) not in known:
            kind, name = template_kind(reference), reference.get("name")
            yield f"the template {reference.get('template')!r} of the {kind} {name!r}", _label(spec, holder)
    for _, template in every_template(spec.get("templates")):
        if "memoize" in str((template.get("resource") or {}).get("manifest") or ""):
            yield f"the object that {template.get('name')!r} creates", f"template {template.get('name')}"


def _label(spec: WorkflowSpec, holder: object) -> str:
    for _, template in every_template(spec.get("templates")):
        for call in calls(template):
            if call.holder is holder:
                return f"template {template.get('name')}, {call.label}"
    return "spec"
