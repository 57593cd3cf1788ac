"""Templates that do the work: their type, image, containers, mounts, deadline, resource and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.reader import Path
from tiphys.lazy import regex
from tiphys.lint.manifests import resource_objects
from tiphys.lint.model import TemplateView
from tiphys.lint.registry import Issue, rule
from tiphys.lint.rules.names import FIELD_WORDS

if TYPE_CHECKING:
    from tiphys.argo.pod_types import MetricSpec, SetContainer, SideContainer
    from tiphys.argo.types import Template, WorkflowSpec

_VALIDATE = "argo-workflows v4.1.2, workflow/validate/validate.go"
_ACTIONS = ("get", "create", "apply", "delete", "replace", "patch")
_POLICIES = ("Always", "OnError", "OnFailure", "OnTransientError", "")
_CONTAINER = regex(r"[a-zA-Z0-9][-a-zA-Z0-9]*\Z")
_METRIC = regex(r"[a-zA-Z0-9_]+\Z")
_VARIABLE = regex(r"\{\{.*\}\}", re.DOTALL)


@rule(
    "L270",
    "template-type",
    "error",
    what="A template needs exactly one type: container, script, steps, dag, ...",
    why="The type says what the template does.",
    source=_VALIDATE,
    scope="template",
)
def template_type(template: TemplateView) -> Iterator[Issue]:
    types = template.types
    if not types:
        yield Issue(
            template.path,
            f"template {template.name!r} type is unknown",
            fix="add one of container, script, steps, dag, resource, suspend, data, http, plugin",
        )
    elif len(types) > 1:
        words = (
            f"{template.label} multiple template types specified. choose one of: container, containerSet, steps, "
            "script, resource, dag, suspend, template, template ref"
        )
        yield Issue((*template.path, types[1]), words, fix="make two templates of it", key=True)


@rule(
    "L271",
    "image-empty",
    "error",
    what="A container or script without an image (and without one in templateDefaults).",
    why="There is nothing to run.",
    source=_VALIDATE,
    scope="template",
)
def image_empty(template: TemplateView) -> Iterator[Issue]:
    defaults = template.workflow.spec.get("templateDefaults") or {}
    for kind in ("container", "script"):
        if template.type.lower() == kind and not template.data[kind].get("image"):
            if (defaults.get(kind) or {}).get(
                "image"
            ) and template.workflow.kind != "ClusterWorkflowTemplate":
                continue
            words = f"{template.label}.{kind}.image may not be empty"
            yield Issue((*template.path, kind), words, fix="add an image, with its tag")


@rule(
    "L272",
    "mount-collision",
    "error",
    what="Two mounts, or a mount and an input artifact, at one path of a container.",
    why="The second would hide the first.",
    source=_VALIDATE,
    scope="template",
)
def mount_collision(template: TemplateView) -> Iterator[Issue]:
    if template.type != "Container":
        return
    taken: dict[str, str] = {}
    for index, mount in enumerate(template.data["container"].get("volumeMounts") or []):
        place = mount.get("mountPath", "")
        if place in taken:
            label = f"{template.label}.container.volumeMounts[{index}].mountPath"
            path = (*template.path, "container", "volumeMounts", index, "mountPath")
            yield Issue(path, f"{label} {place!r} already mounted in {taken[place]}")
        taken[place] = f"container.volumeMounts.{mount.get('name', '')}"
    for index, item in enumerate(template.inputs("artifacts")):
        place = item.get("path", "")
        if place and place in taken:
            label = f"{template.label}.inputs.artifacts[{index}].path"
            path = (*template.path, "inputs", "artifacts", index, "path")
            yield Issue(path, f"{label} {place!r} already mounted in {taken[place]}")
        taken[place] = f"inputs.artifacts.{item.get('name', '')}"


@rule(
    "L273",
    "container-set",
    "error",
    what="A container set without containers; with bad names, unknown dependencies or a circle of them.",
    why="The containers of the set start each other by name.",
    source="argo-workflows v4.1.2, ContainerSetTemplate.Validate",
    scope="template",
    needs="containerSet",
)
def container_set(template: TemplateView) -> Iterator[Issue]:
    if template.type != "ContainerSet":
        return
    path = (*template.path, "containerSet", "containers")
    label = f"{template.label}.containerSet.containers"
    containers = template.data["containerSet"].get("containers") or []
    names = [item.get("name", "") for item in containers]
    if not containers:
        yield Issue(path, f"{label} must have at least one container")
    for index, item in enumerate(containers):
        name = names[index]
        if not name:
            yield Issue((*path, index), f"{label}[{index}].name is required")
        elif not _CONTAINER.match(name):
            yield Issue((*path, index, "name"), f"{label}[{index}].name: {name!r} is invalid: {FIELD_WORDS}")
        elif name in names[:index]:
            yield Issue((*path, index, "name"), f"{label}[{index}].name {name!r} is not unique")
        for at, other in enumerate(item.get("dependencies") or []):
            if other not in names:
                words = f"{label}.{name} dependency {other!r} not defined"
                yield Issue((*path, index, "dependencies", at), words, near=tuple(names))
    circle = _circle({item.get("name", ""): item.get("dependencies") or [] for item in containers})
    if circle:
        yield Issue(path, f"{label} dependency cycle detected: {'->'.join(circle)}")
    files = template.inputs("artifacts") or template.outputs("artifacts") or template.outputs("parameters")
    if containers and files and "main" not in names:
        words = f'{label} must have a container named "main" for input or output'
        yield Issue(path, words, fix="call the container with the inputs and outputs `main`")


@rule(
    "L274",
    "container-name",
    "error",
    what="A sidecar or container with a name that Argo uses itself, or an init container without a name.",
    why="`wait`, `supervisor` and `artifact-plugin-*` are Argo's own containers in the pod (told since Argo 4.1).",
    source=_VALIDATE,
    scope="template",
)
def container_name(template: TemplateView) -> Iterator[Issue]:
    own = template.workflow.project.argo != "4.0"  # which lets them collide in the pod
    groups: list[tuple[str, Path, Sequence[SideContainer | SetContainer]]] = [
        ("sidecars", (*template.path, "sidecars"), template.data.get("sidecars") or [])
    ]
    if template.type == "ContainerSet":
        own_containers = template.data["containerSet"].get("containers") or []
        path = (*template.path, "containerSet", "containers")
        groups.append(("containerSet.containers", path, own_containers))
    for label, path, items in groups:
        for index, item in enumerate(items):
            name = item.get("name", "")
            if own and (name in ("wait", "supervisor") or name.startswith("artifact-plugin-")):
                words = f'{template.label}.{label}: "{name}" is a reserved Argo container name'
                yield Issue((*path, index, "name"), words, fix="choose another name")
    for index, item in enumerate(template.data.get("initContainers") or []):
        if not item.get("name"):
            words = f"{template.label}.initContainers[{index}]: initContainers must all have container name"
            yield Issue((*template.path, "initContainers", index), words)


@rule(
    "L275",
    "resource-action",
    "error",
    what="A resource template needs a known action, and one manifest that is YAML.",
    why="It is kubectl that runs it.",
    source=_VALIDATE,
    scope="template",
    fixable=True,
    needs="resource",
)
def resource_action(template: TemplateView) -> Iterator[Issue]:
    if template.type != "Resource":
        return
    data, path, label = template.data["resource"], (*template.path, "resource"), template.label
    action = data.get("action", "")
    if action not in _ACTIONS and "{{" not in action:
        words = f"{label}.resource.action must be one of: {', '.join(_ACTIONS)}"
        yield Issue((*path, "action"), words, near=_ACTIONS, wrong=action)
    if action in ("delete", "get"):
        return
    manifest, source = data.get("manifest", ""), data.get("manifestFrom")
    if not manifest and source is None:
        words = f"either {label}.resource.manifest or {label}.resource.manifestFrom must be specified"
        yield Issue(path, words)
    if manifest and source is not None:
        words = f"{label}.resource shouldn't have both `manifest` and `manifestFrom`"
        yield Issue((*path, "manifestFrom"), words, key=True)
    wanted = ((source or {}).get("artifact") or {}).get("name", "")
    names = tuple(item.get("name", "") for item in template.inputs("artifacts"))
    if source is not None and "artifact" in source and wanted not in names:
        words = f"{label}: artifact {wanted!r} in `manifestFrom` refer to a non-exist artifact"
        yield Issue((*path, "manifestFrom", "artifact"), words, near=names)


@rule(
    "L276",
    "manifest-not-yaml",
    "error",
    what="The manifest of a resource template is not YAML.",
    why="kubectl could not read it. A value that begins with `{{` must be quoted.",
    source=_VALIDATE,
    scope="template",
    needs="resource",
)
def manifest_not_yaml(template: TemplateView) -> Iterator[Issue]:
    if template.type != "Resource" or template.data["resource"].get("action") in ("delete", "get"):
        return
    for part in resource_objects(template)[:1]:
        for problem in part.problems:
            if problem.code != "TIP205":
                words = f"{template.label}.resource.manifest must be a valid yaml"
                fault = f"line {problem.line} of the manifest: {problem.message}"
                fix = f"{fault}; {problem.fix}" if problem.fix else fault
                yield Issue((*template.path, "resource", "manifest"), words, fix=fix)


@rule(
    "L277",
    "leaf-only-fields",
    "error",
    what="activeDeadlineSeconds or timeout on steps and DAGs, or parallelism on anything else.",
    why="Only pods have a deadline, only steps and DAGs have several things to run.",
    source=_VALIDATE,
    scope="template",
)
def leaf_only_fields(template: TemplateView) -> Iterator[Issue]:
    data, label = template.data, template.label
    parts = template.type in ("Steps", "DAG")
    if parts and "activeDeadlineSeconds" in data:
        words = f"{label}.activeDeadlineSeconds is only valid for leaf templates"
        yield Issue((*template.path, "activeDeadlineSeconds"), words, key=True)
    if template.type and not parts and "parallelism" in data:
        words = f"{label}.parallelism is only valid for steps and dag templates"
        yield Issue((*template.path, "parallelism"), words, key=True)
    if data.get("timeout") and template.type and not template.leaf:
        words = f"{label}: {template.type} template doesn't support timeout field"
        yield Issue((*template.path, "timeout"), words, key=True)


@rule(
    "L278",
    "deadline-value",
    "error",
    what="A negative or textual activeDeadlineSeconds, or a timeout that is a bare number.",
    why="The deadline is a number of seconds; the timeout is a duration with a unit, such as 10m.",
    source=_VALIDATE,
    scope="template",
    fixable=True,
)
def deadline_value(template: TemplateView) -> Iterator[Issue]:
    data, label = template.data, template.label
    deadline = data.get("activeDeadlineSeconds")
    if deadline is not None and template.type not in ("Steps", "DAG", ""):
        text = str(deadline)
        legal = re.fullmatch(r"[+-]?\d+", text) is not None or _VARIABLE.search(text) is not None
        if not legal or text.startswith("-"):
            words = f"{label}.activeDeadlineSeconds must be a positive integer > 0 or an argo variable"
            yield Issue((*template.path, "activeDeadlineSeconds"), words)
    timeout = data.get("timeout", "")
    if template.leaf and re.fullmatch(r"[+-]?\d+", timeout):
        words = f"{template.name} has invalid duration format in timeout"
        yield Issue((*template.path, "timeout"), words, fix=f"write {timeout}s")


@rule(
    "L279",
    "retry-policy",
    "error",
    what="An unknown retryPolicy.",
    why="It is one of Always, OnError, OnFailure, OnTransientError.",
    source=_VALIDATE,
    scope="template",
    fixable=True,
    needs="retryPolicy",
)
def retry_policy(template: TemplateView) -> Iterator[Issue]:
    policy = (template.data.get("retryStrategy") or {}).get("retryPolicy", "")
    if policy not in _POLICIES:
        path = (*template.path, "retryStrategy", "retryPolicy")
        words = f"{template.label}: {policy} is not a valid RetryPolicy"
        yield Issue(path, words, near=_POLICIES[:-1], wrong=policy)


@rule(
    "L280",
    "metric",
    "error",
    what="A metric with an illegal name or label, without help, or without a value.",
    why="Prometheus would refuse it.",
    source="argo-workflows v4.1.2, workflow/metrics",
    scope="template",
    needs="metrics",
)
def metric(template: TemplateView) -> Iterator[Issue]:
    for index, item in enumerate((template.data.get("metrics") or {}).get("prometheus") or []):
        path = (*template.path, "metrics", "prometheus", index)
        yield from _metric(template.label, path, item)


@rule(
    "L281",
    "pod-only-fields",
    "error",
    what="podResources or resourceClaims where there is no pod, or resources a pod as a whole cannot have.",
    why="A pod as a whole has only cpu, memory and hugepages.",
    source="argo-workflows v4.1.2, workflow/validate/validate.go",
    scope="template",
    needs="esource",
)
def pod_only_fields(template: TemplateView) -> Iterator[Issue]:
    for key in ("podResources", "resourceClaims"):
        if key in template.data and template.type and not template.pod:
            words = f"{template.label}.{key} is not supported for {template.type} templates, which do not create a pod"
            yield Issue((*template.path, key), words, key=True)
    yield from pod_resources(
        f"{template.label}.podResources", (*template.path, "podResources"), template.data
    )


def pod_resources(label: str, path: Path, holder: Template | WorkflowSpec) -> Iterator[Issue]:
    """What is wrong with the podResources of a template or of the workflow."""
    data = holder.get("podResources") or {}
    if data.get("claims"):
        yield Issue((*path, "claims"), f"{label}.claims is not supported for pod-level resources", key=True)
    for key, amounts in (("limits", data.get("limits")), ("requests", data.get("requests"))):
        for name in amounts or ():
            if name not in ("cpu", "memory") and not name.startswith("hugepages-"):
                words = (
                    f'{label}: "{name}" is not a valid pod-level resource, only cpu, memory and hugepages-* '
                    "are supported"
                )
                yield Issue((*path, key, name), words, fix="set it on the container", key=True)


def _metric(label: str, path: Path, item: MetricSpec) -> Iterator[Issue]:
    name = item.get("name", "")
    if not _METRIC.match(name) and "{{" not in name:
        words = f"{label} metric name {name!r} is invalid: letters, digits and '_'"
        yield Issue((*path, "name"), words, fix=f"call it {re.sub('[^a-zA-Z0-9_]+', '_', name)!r}")
    for at, tag in enumerate(item.get("labels") or []):
        if not _METRIC.match(tag.get("key", "")):
            words = f"{label} metric label {tag.get('key', '')!r} is invalid: letters, digits and '_'"
            yield Issue((*path, "labels", at, "key"), words)
    if not item.get("help"):
        yield Issue(path, f"{label} metric {name!r} must contain a help string under 'help: ' field")
    for kind in ("gauge", "histogram", "counter"):
        if kind in item and not item[kind].get("value"):
            yield Issue((*path, kind), f"{label} metric {name!r} error: missing {kind}.value")
    gauge = item.get("gauge") or {}
    if gauge.get("realtime") and "resourcesDuration." in gauge.get("value", ""):
        words = f"{label} metric {name!r} error: 'resourcesDuration.*' metrics cannot be used in real-time"
        yield Issue((*path, "gauge", "value"), words)


def _circle(edges: dict[str, list[str]]) -> list[str]:
    for start in edges:
        trail, left = [start], [iter(edges[start])]
        while left:
            step = next(left[-1], None)
            if step is None:
                left.pop()
                trail.pop()
            elif step == start:
                return [*trail, step]
            elif step in edges and step not in trail:
                trail.append(step)
                left.append(iter(edges[step]))
    return []
