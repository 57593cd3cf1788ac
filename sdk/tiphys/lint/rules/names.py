"""Names: present, unique and of legal letters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.display import DISPLAY_NAME, legal_display_name
from tiphys.argo.reader import Path
from tiphys.lazy import regex
from tiphys.lint.model import KINDS, TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.tags import mark_tags

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, DAGTask, Parameter, Template

    Listing = tuple[str, Path, Sequence[Template | DAGTask | Parameter | Artifact], re.Pattern[str]]

_FIELD = regex(r"[a-zA-Z0-9][-a-zA-Z0-9]*\Z")
_PARAMETER = regex(r"[-a-zA-Z0-9_]+\Z")
FIELD_WORDS = (  # Argo's own, for those who search for them
    "name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric character "
    "(e.g. My-name1-2, 123-NAME)"
)
_PARAMETER_WORDS = (
    "Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' e.g. my_param_1, MY-PARAM-1"
)
_FILLED = ("outputs", "tasks", "arguments")  # lists whose tags are filled in before the check
_SOURCE = "argo-workflows v4.1.2, workflow/validate/validate.go (validateWorkflowFieldNames)"


def _listings(workflow: WorkflowView) -> list[Listing]:
    """Every list of named things: (how Argo names it, its path, the things, what a name may be)."""
    found = workflow.cache.get("names")
    if not isinstance(found, list):
        found = workflow.cache["names"] = list(_every_listing(workflow))
    return found


def _every_listing(workflow: WorkflowView) -> Iterator[Listing]:
    spec = workflow.spec
    yield "spec.templates", workflow.at("templates"), spec.get("templates") or [], _FIELD
    arguments = spec.get("arguments") or {}
    for kind in KINDS:
        if things := arguments.get(kind):
            yield f"spec.arguments.{kind}", workflow.at("arguments", kind), things, _PARAMETER
    for template in workflow.every_template():
        yield from _of_template(template)


def _of_template(template: TemplateView) -> Iterator[Listing]:
    for way, listed in (("inputs", template.inputs), ("outputs", template.outputs)):
        for kind in KINDS:
            if things := listed(kind):
                yield f"{template.label}.{way}.{kind}", (*template.path, way, kind), things, _PARAMETER
    if template.type == "DAG":
        tasks = template.data["dag"].get("tasks") or []
        yield f"{template.label}.tasks", (*template.path, "dag", "tasks"), tasks, _FIELD
    for call in template.calls():
        for kind in KINDS:
            if things := call.arguments(kind):
                path = (*call.path, "arguments", kind)
                yield f"{call.label}.arguments.{kind}", path, things, _PARAMETER


def _steps(workflow: WorkflowView) -> Iterator[tuple[str, Path, list[tuple[Path, str]]]]:
    """Steps are numbered by group and unique in the whole template."""
    for template in workflow.every_template():
        if template.type == "Steps":
            calls = [(call.path, call.name) for call in template.calls()]
            yield template.label, template.path, calls


@rule(
    "L201",
    "name-missing",
    "error",
    what="A template, parameter, artifact, step or task without a name.",
    why="Everything in a workflow is referred to by name.",
    source=_SOURCE,
)
def name_missing(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, things, _ in _listings(workflow):
        for index, thing in enumerate(things):
            if not thing.get("name"):
                yield Issue((*path, index), f"{label}[{index}].name is required", fix="give it a name")
    for label, _path, calls in _steps(workflow):
        for place, name in calls:
            if not name:
                yield Issue(place, f"{label}.steps[{place[-2]}].name is required", fix="give it a name")


@rule(
    "L202",
    "name-illegal",
    "error",
    what="A name with letters that Argo does not allow.",
    why="Templates, steps and tasks: letters, digits and `-`, beginning with a letter or digit, at most 128. "
    "Parameters and artifacts: also `_`.",
    source=_SOURCE,
)
def name_illegal(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, things, legal in _listings(workflow):
        for index, thing in enumerate(things):
            name = thing.get("name")
            filled = "templates" in path and any(step in _FILLED for step in path[-2:])
            if name and _fault(name, legal, filled):
                place = (*path, index, "name")
                words = f"{label}[{index}].name: {name!r} is invalid: {_fault(name, legal)}"
                yield Issue(place, words, fix=_legal(name, legal))
    for label, _path, calls in _steps(workflow):
        for place, name in calls:
            if name and _fault(name, _FIELD, True):
                words = f"{label}.steps[{place[-2]}].name {name!r} is invalid: {_fault(name, _FIELD)}"
                yield Issue((*place, "name"), words, fix=_legal(name, _FIELD))


@rule(
    "L203",
    "name-twice",
    "error",
    what="Two things of one kind with the same name.",
    why="Only one of them could be meant.",
    source=_SOURCE,
)
def name_twice(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, things, _ in _listings(workflow):
        seen: set[str] = set()
        for index, thing in enumerate(things):
            name = thing.get("name", "")
            if name and name in seen:
                words = f"{label}[{index}].name {name!r} is not unique"
                yield Issue((*path, index, "name"), words, fix="rename one of the two")
            seen.add(name)
    for label, _path, calls in _steps(workflow):
        seen = set()
        for place, name in calls:
            if name and name in seen:
                words = f"{label}.steps[{place[-2]}].name {name!r} is not unique"
                yield Issue((*place, "name"), words, fix="rename one: names are unique in all groups")
            seen.add(name)


@rule(
    "L204",
    "name-too-long",
    "error",
    what="The name of a workflow is longer than 63 characters, of a CronWorkflow longer than 52.",
    why="The name becomes a label; a CronWorkflow adds the time to it.",
    source="argo-workflows v4.1.2, workflow/validate/validate.go (maxCharsInObjectName)",
)
def name_too_long(workflow: WorkflowView) -> Iterator[Issue]:
    name = workflow.metadata.get("name", "")
    limit = 52 if workflow.kind == "CronWorkflow" else 63
    words = {
        "Workflow": "workflow",
        "WorkflowTemplate": "workflow template",
        "ClusterWorkflowTemplate": "cluster workflow template",
        "CronWorkflow": "cron workflow",
    }[workflow.kind]
    if len(name.encode()) > limit:
        message = f"{words} name {name!r} must not be more than {limit} characters (it has {len(name)})"
        yield Issue(("metadata", "name"), message, fix="shorten the name")


@rule(
    "L360",
    "pod-name-illegal",
    "warning",
    what="A template with capital letters in its name that is called as a step or task and makes a pod.",
    why="The pod's name holds the template's, and the API server refuses capital letters: the step is in Error.",
    source="argo-workflows v4.1.2, GeneratePodName; k8s.io/apimachinery, IsDNS1123Subdomain; run in a cluster",
)
def pod_name_illegal(workflow: WorkflowView) -> Iterator[Issue]:
    called = {
        str(item.get("template") or "")
        for template in workflow.every_template()
        for call in template.calls()
        for item in (
            call.data,
            *(call.data.get("hooks") or {}).values(),
            {"template": call.data.get("onExit")},
        )
        if isinstance(item, dict)
    }
    called |= {str(hook.get("template") or "") for hook in (workflow.spec.get("hooks") or {}).values()}
    called.add(str(workflow.spec.get("onExit") or ""))
    from_outside = workflow.kind in ("WorkflowTemplate", "ClusterWorkflowTemplate")
    for template in workflow.templates:
        name = template.name
        if template.pod and name != name.lower() and "{{" not in name and (name in called or from_outside):
            words = f"{template.label}: a pod cannot have {name!r} in its name"
            yield Issue(
                (*template.path, "name"), words, fix=f"call it {name.lower()!r}, here and where it is called"
            )


@rule(
    "L377",
    "display-name",
    "error",
    what="A display name (an annotation of the template) with blanks or other letters that Argo refuses.",
    why="It may have 2 to 63 letters, digits, dots and dashes, and begins and ends with a letter or a digit; with "
    "another one the step ends in Error, after its pod was made. `argo lint` says nothing.",
    source="argo-workflows v4.0.5, workflow/controller/operator.go (displayNameRegex); run in a cluster",
    scope="template",
    needs="display-name",
)
def display_name(template: TemplateView) -> Iterator[Issue]:
    name = (template.data.get("annotations") or {}).get(DISPLAY_NAME)
    if isinstance(name, str) and name and not legal_display_name(re.sub(r"\{\{.*?\}\}", "xx", name)):
        words = f"{template.label}: {name!r} is not a legal display name"
        better = re.sub(r"[^a-zA-Z0-9.{}]+", "-", name).strip("-.")[:63]
        fix = (
            f"write {better!r}"
            if legal_display_name(better)
            else "write 2 to 63 letters, digits, dots and dashes"
        )
        yield Issue((*template.path, "annotations", DISPLAY_NAME), words, fix=fix)


def _fault(name: str, legal: re.Pattern[str], filled: bool = False) -> str:
    if filled and "{{" in name:  # what is known is filled in before the check, with something legal
        name = re.sub("\0(?:inputs[.]parameters|workflow|pod)[.][^\0]*\0", "x", mark_tags(name))
    if legal is _PARAMETER:
        return "" if legal.match(name) else _PARAMETER_WORDS
    if not legal.match(name):
        return FIELD_WORDS
    return "must be no more than 128 characters" if len(name) > 128 else ""


def _legal(name: str, legal: re.Pattern[str]) -> str:
    if "{{" in name:
        return "write a fixed name; what varies belongs into an argument"
    better = re.sub(r"[^-a-zA-Z0-9]+", "-", name).strip("-")[:128]
    return f"call it {better!r}" if better else "choose a name of letters and digits"
