"""What a workflow may do to its node, to its neighbours, and to the templates that somebody vetted.

Pods are looked at wherever they are written: in templates, in manifests, and in ``podSpecPatch``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tiphys.argo.reader import Path, scan_text
from tiphys.argo.spec import containers
from tiphys.lazy import regex
from tiphys.lint.manifests import resource_objects
from tiphys.lint.model import CallView, TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule

_STANDARDS = "Kubernetes documentation, Pod Security Standards (baseline)"
# capabilities that the baseline standard lets a container add
_ADDED = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_OUTPUT = regex(
    r"\{\{\s*((?:steps|tasks)\.[-\w]+\.outputs\.(?:result|parameters\.[-\w]+)|item(?:\.[-\w]+)?)\s*\}\}"
)


class _Pod(NamedTuple):
    """A description of a pod, or a part of one: ``data`` stands at ``path``, and ``inner`` says whether its own parts
    have a place in the file (those of a patch have none)."""

    path: Path
    data: Mapping[str, object]
    label: str
    inner: bool = True

    def at(self, *path: str | int) -> Path:
        return (*self.path, *path) if self.inner else self.path


@rule(
    "L371",
    "patch-of-referenced-template",
    "warning",
    what="`podSpecPatch` beside a workflowTemplateRef.",
    why="It changes the pods of templates that somebody else wrote and may have vetted: images, volumes, rights. "
    "Controllers with templateReferencing Strict refuse it in newer versions, and let it pass in older ones.",
    source="Argo Workflows advisories CVE-2026-31892 and GHSA-3775-99mw-8rp4",
    needs="podSpecPatch",
)
def patch_of_referenced_template(workflow: WorkflowView) -> Iterator[Issue]:
    if workflow.spec.get("workflowTemplateRef") and workflow.spec.get("podSpecPatch"):
        words = f"{workflow.name}: podSpecPatch changes the pods of a template that is only referred to"
        fix = "say it in the WorkflowTemplate, or give what differs as arguments"
        yield Issue(workflow.at("podSpecPatch"), words, fix=fix, key=True)


@rule(
    "L372",
    "artifact-gc-patch",
    "warning",
    what="`podSpecPatch` of the artifacts' garbage collection.",
    why="The pods that remove artifacts read the credentials of the artifact repository; a patch may run any image in "
    "them, also where the workflow's own pods may not be patched.",
    source="Argo Workflows advisory CVE-2026-54526",
    needs="podSpecPatch",
)
def artifact_gc_patch(workflow: WorkflowView) -> Iterator[Issue]:
    if (workflow.spec.get("artifactGC") or {}).get("podSpecPatch"):
        words = f"{workflow.name}: artifactGC.podSpecPatch changes pods that hold credentials"
        fix = "leave it out; artifactGC has serviceAccountName and podMetadata"
        yield Issue(workflow.at("artifactGC", "podSpecPatch"), words, fix=fix, key=True)


@rule(
    "L373",
    "privileged-container",
    "warning",
    what="A privileged container, or one with capabilities that the baseline standard refuses.",
    why="Whoever gets his code into it has the node, and the Secrets of all pods there. Namespaces with Pod Security "
    "Standards refuse the pod when the step starts.",
    source=_STANDARDS,
    needs="securityContext",
)
def privileged_container(workflow: WorkflowView) -> Iterator[Issue]:
    for pod in _pods(workflow):
        for path, container in _containers(pod):
            security = container.get("securityContext")
            if not isinstance(security, Mapping):
                continue
            at = (*path, "securityContext")
            if security.get("privileged") is True:
                words = f"{pod.label}: the container is privileged"
                yield Issue((*at, "privileged") if pod.inner else pod.path, words, fix="leave it out")
            capabilities = security.get("capabilities")
            added = capabilities.get("add") if isinstance(capabilities, Mapping) else None
            for index, name in enumerate(added if isinstance(added, list) else ()):
                if str(name).removeprefix("CAP_") not in _ADDED:
                    words = f"{pod.label}: the container gets the capability {name!r}"
                    place = (*at, "capabilities", "add", index) if pod.inner else pod.path
                    yield Issue(place, words, fix="leave it out; drop: [ALL] is what most steps need")


@rule(
    "L374",
    "node-access",
    "warning",
    what="A pod that shares its node's files (hostPath), network, processes or memory.",
    why="It reads and changes what belongs to the node and to other pods; a hostPath is another folder on each node. "
    "Namespaces with Pod Security Standards refuse the pod when the step starts.",
    source=_STANDARDS,
    needs="host",
)
def node_access(workflow: WorkflowView) -> Iterator[Issue]:
    for pod in _pods(workflow):
        for key in _HOST:
            if pod.data.get(key) is True:
                yield Issue(
                    pod.at(key), f"{pod.label}: {key} is the node's own", fix="leave it out", key=pod.inner
                )
        volumes = pod.data.get("volumes")
        for index, volume in enumerate(volumes if isinstance(volumes, list) else ()):
            if isinstance(volume, Mapping) and volume.get("hostPath") is not None:
                path = volume["hostPath"].get("path") if isinstance(volume["hostPath"], Mapping) else ""
                words = f"{pod.label}: a volume is the node's folder {path!r}"
                fix = "use a persistentVolumeClaim, or an emptyDir"
                yield Issue(pod.at("volumes", index, "hostPath"), words, fix=fix, key=pod.inner)


@rule(
    "L375",
    "value-evaluated-again",
    "info",
    what="What a step wrote, as an argument of another: Argo reads it for tags once more.",
    why="A step that prints `{{workflow.parameters.password}}` gives the next one the password, and `{{=...}}` is "
    "evaluated: text from outside becomes a program. `tiphys run --strict-values` refuses such a value.",
    source="seen on the real 4.0.5 controller; Argo Workflows advisory CVE-2021-37914",
    scope="template",
    needs="outputs",
)
def value_evaluated_again(template: TemplateView) -> Iterator[Issue]:
    calls = {call.name: call for call in template.calls()}

    def careless(name: str) -> bool:
        return name not in calls or not _parts_braces(template.workflow, calls[name], frozenset())

    for call in calls.values():
        items = _OUTPUT.search(str(call.data.get("withParam") or ""))
        for index, argument in enumerate(call.arguments("parameters")):
            value = argument.get("value")
            found = _OUTPUT.search(value) if isinstance(value, str) else None
            source = items if found and found[1].startswith("item") else found
            if source and not source[1].startswith("item") and careless(source[1].split(".")[1]):
                assert found is not None
                words = f"{call.label}: {found[1]} is read for tags once more when it is an argument"
                fix = "pass {{=sprig.b64enc(...)}} where the text comes from others, or an artifact"
                yield Issue((*call.path, "arguments", "parameters", index, "value"), words, fix=fix)


def _parts_braces(workflow: WorkflowView, call: CallView, seen: frozenset[str]) -> bool:
    """Whether what is called consists of components of tiphys, which write no two braces in a row."""
    name = call.data.get("template", "")
    called = workflow.template(name)
    if called is None:
        return False
    if name in seen:
        return True  # it calls itself, and is looked at already
    if called.type == "Resource":
        return True  # the fields of an object are no text of a step
    if called.pod:
        variables = [each for _, container in called.containers() for each in container.get("env") or ()]
        return any(variable.get("name") == "TIPHYS_OUTPUTS" for variable in variables)
    inner = [each for each in called.calls() if called.type in ("DAG", "Steps")]
    return bool(inner) and all(_parts_braces(workflow, each, seen | {name}) for each in inner)


def _pods(workflow: WorkflowView) -> Iterator[_Pod]:
    """All descriptions of pods, the workflow's own first."""
    yield _Pod(workflow.at(), workflow.spec, workflow.name)
    yield from _patched(workflow.at("podSpecPatch"), workflow.spec.get("podSpecPatch"), workflow.name)
    for template in workflow.every_template():
        yield _Pod(template.path, template.data, template.label)
        yield from _patched(
            (*template.path, "podSpecPatch"), template.data.get("podSpecPatch"), template.label
        )
        if template.type == "Resource":
            for manifest in resource_objects(template):
                for pod in _specs(manifest.data):
                    yield _Pod(manifest.path, pod, manifest.label, inner=False)


def _patched(path: Path, text: object, label: str) -> Iterator[_Pod]:
    for document in scan_text(text) if isinstance(text, str) and text.strip() else ():
        if isinstance(document.data, Mapping):
            yield _Pod(path, document.data, f"{label}.podSpecPatch", inner=False)


def _specs(data: object) -> Iterator[Mapping[str, object]]:
    """What has containers, at any depth of a manifest."""
    if isinstance(data, Mapping):
        if isinstance(data.get("containers"), list):
            yield data
        else:
            for value in data.values():
                yield from _specs(value)
    elif isinstance(data, list):
        for value in data:
            yield from _specs(value)


def _containers(pod: _Pod) -> Iterator[tuple[Path, Mapping[str, object]]]:
    """Those of a template, and those that a plain pod has besides."""
    for path, container in containers(pod.data):
        yield pod.at(*path), container
    listed = pod.data.get("containers")
    for index, other in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(other, Mapping):
            yield pod.at("containers", index), other
