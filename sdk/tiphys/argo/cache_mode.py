"""For one run: how it uses the caches of its steps, said in the Workflow itself, so that every engine does the same.

``never`` takes ``memoize`` away: nothing is read and nothing is stored. ``refresh`` gives it the run's own age for
``maxAge``: what was made before the run is too old, the result is stored, and equal steps of the run, which wait for
each other at the lock of their key, take what the first one made. Argo keeps times in whole seconds, so what was made
in the first two is made again. A negative duration is one like any other to the controller (4.0.5, seen): no entry is
younger.

A step that Tiphys compiled may name a folder after its key, and keep what it finds there (a data set, the backup of a
training): that would be an earlier result, read without being asked for. So the run's own name is in what such a step
is told of its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from tiphys.argo.copies import plain_copy
from tiphys.argo.spec import calls, containers, every_template, holders, tasks, template_kind
from tiphys.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, Template, Workflow, WorkflowSpec

__all__ = [
    "CACHE_MODES",
    "JUDGED",
    "KEY_ENV",
    "KEY_IN_MANIFEST",
    "NOTHING_EARLIER",
    "RECORDER",
    "CacheMode",
    "check_mode",
    "with_cache_mode",
]

CacheMode = Literal["auto", "refresh", "never"]
CACHE_MODES: tuple[CacheMode, ...] = get_args(CacheMode)
NOTHING_EARLIER = (
    "{{=workflow.creationTimestamp.s matches '^[0-9]+$' "
    "? string(now().Unix() - asInt(workflow.creationTimestamp.s) - 1) + 's' : '-1h'}}"
)
"""The ``maxAge`` of a template that takes nothing from before the run. While Argo checks a workflow it has no time."""

KEY_ENV = "TIPHYS_CACHE_KEY"
"""Where a step finds its key."""

KEY_IN_MANIFEST = "{{=toJson(inputs.parameters.key)[1:-1]}}"
"""How the manifest of a training spells its key."""

_OF_THIS_RUN = "-{{workflow.name}}"

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


def _key_of_the_run(template: Template) -> None:
    """Let the step's folders be this run's."""
    for _, container in containers(template):
        for variable in container.get("env") or []:
            if variable.get("name") == KEY_ENV and "value" in variable:
                variable["value"] = f"{variable['value']}{_OF_THIS_RUN}"
    resource = template.get("resource") or {}
    if f'"{KEY_ENV}"' in (text := str(resource.get("manifest") or "")):
        resource["manifest"] = text.replace(KEY_IN_MANIFEST, KEY_IN_MANIFEST + _OF_THIS_RUN)


def _changed(item: T, mode: CacheMode) -> T:
    made = plain_copy(item)
    for _, template in every_template((made.get("spec") or {}).get("templates")):
        _key_of_the_run(template)
    for template in _memoized(made.get("spec") or {}):
        if mode == "never":
            template.pop("memoize")
            if "dag" in template:  # nothing is stored, and so nothing is recorded
                template["dag"]["tasks"] = [t for t in tasks(template) if t.get("template") != RECORDER]
        else:
            template["memoize"]["maxAge"] = NOTHING_EARLIER
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
