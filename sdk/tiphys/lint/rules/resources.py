"""Resource templates: the manifest against its schema, the conditions that are waited for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from tiphys.argo.operated_kinds import OPERATED
from tiphys.expr.gotext import atoi
from tiphys.lazy import regex
from tiphys.lint import conditions
from tiphys.lint.manifests import Manifest
from tiphys.lint.model import TemplateView
from tiphys.lint.registry import Issue, rule

_SEEN = "seen on the real 4.1.2 controller"
_EXECUTOR = "argo-workflows v4.1.2, workflow/executor/resource.go"
_CONDITIONS: tuple[Literal["successCondition", "failureCondition"], ...] = (
    "successCondition",
    "failureCondition",
)
# Objects that need time after they exist.
_SLOW = regex(r"(Deployment|StatefulSet|DaemonSet|ReplicaSet|Pod|Job|JobSet|InferenceService|Workflow)$")
_UNQUOTED = regex(r"^\s*(?:-\s+)?[\w./-]+:\s+(\{\{[^}]*\}\}[^\s\"'#]*)\s*(?:#.*)?$")


@rule(
    "L330",
    "resource-without-condition",
    "warning",
    what="A Deployment, Job, TFJob or the like that is created without a successCondition.",
    why="The step succeeds as soon as the object exists: deployed means created.",
    source=f"{_EXECUTOR} (WaitResource)",
    scope="manifest",
)
def resource_without_condition(manifest: Manifest) -> Iterator[Issue]:
    data = manifest.template.data["resource"]
    makes = manifest.action in ("create", "apply", "replace") and _SLOW.search(manifest.kind)
    if makes and not data.get("successCondition"):
        words = f"{manifest.label} is not waited for: there is no successCondition"
        yield Issue((*manifest.template.path, "resource"), words, fix=_condition(manifest))


@rule(
    "L331",
    "condition-syntax",
    "error",
    what="A successCondition or failureCondition that is no label selector.",
    why="The step fails after the object was created. Keys are paths of letters, digits, `.`, `_` and `-`; "
    "operators are == != in notin > <; a comma means and (for failure: or).",
    source=_SEEN,
    scope="template",
    needs="Condition",
)
def condition_syntax(template: TemplateView) -> Iterator[Issue]:
    data = template.data.get("resource") or {}
    for key in ("successCondition", "failureCondition"):
        reason = conditions.fault(data[key]) if data.get(key) else ""
        if reason:
            words = f"{template.label}.resource.{key} {data[key]!r}: {reason}"
            yield Issue((*template.path, "resource", key), words)


@rule(
    "L332",
    "delete-with-condition",
    "error",
    what="Conditions or outputs on a resource template that deletes.",
    why="The step fails: they are not supported for delete.",
    source=_SEEN,
    scope="template",
    needs="delete",
)
def delete_with_condition(template: TemplateView) -> Iterator[Issue]:
    data = template.data.get("resource") or {}
    if data.get("action") != "delete":
        return
    for key in ("successCondition", "failureCondition"):
        if data.get(key):
            words = f"{template.label}.resource.{key} is not supported for delete"
            yield Issue((*template.path, "resource", key), words, fix="remove it", key=True)
    if template.outputs("parameters"):
        words = f"{template.label}.outputs are not supported for delete"
        yield Issue((*template.path, "outputs"), words, fix="remove them", key=True)


@rule(
    "L333",
    "condition-never-holds",
    "warning",
    what="A condition on a field that the object does not have, or on more replicas than there are.",
    why="A success that can never come lets the step wait until its deadline.",
    source=_EXECUTOR,
    scope="manifest",
)
def condition_never_holds(manifest: Manifest) -> Iterator[Issue]:
    data = manifest.template.data["resource"]
    for key in _CONDITIONS:
        path = (*manifest.template.path, "resource", key)
        text = data.get(key) or ""
        for each in conditions.requirements(text):
            where, value = each.key, each.values[0] if len(each.values) == 1 else ""
            if manifest.reference:
                part, known = conditions.unknown_part(where, manifest.reference)
                if part:
                    label = f"{manifest.template.label}.resource.{key}"
                    words = f"{label}: {manifest.kind} has no {part!r} in {where}"
                    yield Issue(path, words, near=known)
            most = _replicas(manifest, where)
            number = atoi(value)
            if most is None or number is None or "{{" in text or key == "failureCondition":
                continue
            least = number + (each.operator == "gt")
            if each.operator in ("=", "==", "gt") and least > most:
                words = f"{manifest.template.label}.resource.{key}: {where} never exceeds {most}"
                yield Issue(path, words, fix=f"write {where} == {most}")


@rule(
    "L334",
    "manifest-field",
    "error",
    what="A field that the manifest's kind does not have, a wrong type, or a required field that is absent.",
    why="kubectl validates strictly: the step fails with `strict decoding error`.",
    source=f"Kubernetes openAPI, kubeflow.org_tfjobs CRD; {_SEEN}",
    scope="manifest",
)
def manifest_field(manifest: Manifest) -> Iterator[Issue]:
    for item in manifest.misfits:
        if item.kind == "bare" or (item.kind != "unknown" and manifest.templated(*item.path)):
            continue
        if item.kind == "missing" and not item.path:
            continue
        where = ".".join(str(step) for step in item.path)
        near = item.known if item.kind == "unknown" else ()
        words = f"{manifest.label}: {where or 'the object'}: {item.message}"
        if item.kind == "unknown":
            words = f"{manifest.label}: unknown field {where!r}"
            near = tuple(".".join([*map(str, item.path[:-1]), name]) for name in item.known)
        yield manifest.issue(item.path, words, key=item.kind == "unknown", near=near)


@rule(
    "L335",
    "manifest-unquoted",
    "error",
    what="A bare number or boolean in a manifest where the kind has a string, such as the value of an env.",
    why="The API server refuses it. In YAML 1.1 `y`, `N`, `on`, `1e3` and `012` are no strings.",
    source=f"sigs.k8s.io/yaml; {_SEEN}",
    scope="manifest",
    fixable=True,
)
def manifest_unquoted(manifest: Manifest) -> Iterator[Issue]:
    for item in manifest.misfits:
        if item.kind == "bare" and not manifest.templated(*item.path):
            where = ".".join(str(step) for step in item.path)
            words = f"{manifest.label}: {where}: {item.message}"
            yield manifest.issue(item.path, words, fix="put the value in quotes")


@rule(
    "L336",
    "manifest-unquoted-tag",
    "warning",
    what="A tag without quotes in a YAML manifest.",
    why="What is put there is read as YAML: `1e3`, `no` or `null` change type, a `: ` breaks the manifest.",
    source="sigs.k8s.io/yaml",
    scope="manifest",
    fixable=True,
)
def manifest_unquoted_tag(manifest: Manifest) -> Iterator[Issue]:
    if manifest.text.lstrip().startswith("{"):
        return
    for number, line in enumerate(manifest.text.split("\n"), 1):
        match = _UNQUOTED.match(line)
        if match and not re.search(r"asInt|asFloat|toJson", match[1]) and _is_text_field(manifest, number):
            words = f"{manifest.label}: {match[1]} is not quoted"
            place = manifest.place(number + manifest.document.line_offset, match.start(1) + 1)
            yield Issue(manifest.path, words, fix=f'write "{match[1]}"', at=place)


@rule(
    "L337",
    "manifest-key-twice",
    "warning",
    what="A key that a manifest sets twice.",
    why="Only the last counts.",
    source="sigs.k8s.io/yaml",
    scope="manifest",
)
def manifest_key_twice(manifest: Manifest) -> Iterator[Issue]:
    for problem in manifest.problems:
        if problem.code == "TIP205":
            at = manifest.place(problem.line, problem.column)
            yield Issue(manifest.path, f"{manifest.label}: {problem.message}", fix=problem.fix, at=at)


@rule(
    "L338",
    "fixed-name",
    "warning",
    what="`action: create` of an object with a fixed name.",
    why="The second run fails with AlreadyExists while the first one's object lives.",
    source=_EXECUTOR,
    scope="manifest",
    fixable=True,
)
def fixed_name(manifest: Manifest) -> Iterator[Issue]:
    meta = manifest.document.data.get("metadata") if isinstance(manifest.document.data, dict) else None
    name = meta.get("name") if isinstance(meta, dict) else None
    if manifest.action == "create" and isinstance(name, str) and not manifest.templated("metadata", "name"):
        words = f"{manifest.label} is created with the fixed name {name!r}"
        fix = f"write generateName: {name}-, or use action: apply"
        yield manifest.issue(("metadata", "name"), words, fix=fix, key=True)


@rule(
    "L339",
    "retry-creates-again",
    "warning",
    what="retryStrategy on a step that creates an object with a fixed name, or posts.",
    why="The second attempt meets the object of the first, or repeats its effect.",
    source=_EXECUTOR,
    scope="template",
    needs="retryStrategy",
)
def retry_creates_again(template: TemplateView) -> Iterator[Issue]:
    strategy = template.data.get("retryStrategy") or template.workflow.spec.get("retryStrategy")
    if strategy is None:
        return
    http = template.data.get("http") or {}
    if http.get("method", "GET").upper() in ("POST", "PATCH"):
        words = f"{template.label}: a retry repeats the {http['method']} request"
        yield Issue((*template.path, "http", "method"), words, fix="retry only what is safe to repeat")
    resource = template.data.get("resource") or {}
    manifest = resource.get("manifest", "")
    named = re.search(r"^\s+name:\s+[\w-]+\s*$", manifest, re.MULTILINE)
    if resource.get("action") == "create" and named and "generateName" not in manifest:
        words = f"{template.label}: a retry creates the object again and fails with AlreadyExists"
        path = (*template.path, "resource", "action")
        yield Issue(path, words, fix="use generateName, or action: apply")


def _condition(manifest: Manifest) -> str:
    if manifest.kind == "TFJob":
        count = manifest.get("spec", "tfReplicaSpecs", "Worker", "replicas") or 1
        return f"add successCondition: status.replicaStatuses.Worker.succeeded == {count}"
    if manifest.kind in OPERATED:
        lead = OPERATED[manifest.kind].lead
        return (
            f"add successCondition: status.replicaStatuses.{lead}.succeeded == 1 and failureCondition: "
            "status.conditions.1.type == Failed,status.conditions.2.type == Failed"
        )
    if manifest.kind in ("Deployment", "StatefulSet"):
        return f"add successCondition: status.readyReplicas == {manifest.get('spec', 'replicas') or 1}"
    return {
        "Job": "add successCondition: status.succeeded > 0 and failureCondition: status.failed > 0",
        "JobSet": "add successCondition: status.terminalState == Completed and failureCondition: "
        "status.terminalState == Failed",
        "RayJob": "add successCondition: status.jobStatus == SUCCEEDED and failureCondition: "
        "status.jobStatus == FAILED,status.jobDeploymentStatus == Failed",
        "TrainJob": "add successCondition: status.jobsStatus.0.succeeded == 1 and failureCondition: "
        "status.conditions.0.type == Failed,status.conditions.1.type == Failed",
        "Pod": "add successCondition: status.phase == Succeeded",
        "InferenceService": "add successCondition: status.modelStatus.states.transitionStatus == UpToDate",
    }.get(manifest.kind, "add a successCondition")


def _replicas(manifest: Manifest, where: str) -> int | None:
    match = re.fullmatch(r"status\.replicaStatuses\.(\w+)\.(?:succeeded|active)", where)
    count = None
    if manifest.kind in OPERATED and match:
        field = OPERATED[manifest.kind].field
        count = manifest.get("spec", field, match[1], "replicas")
        if manifest.get("spec", field, match[1]) is not None and count is None:
            count = 1
    elif manifest.kind in ("Deployment", "StatefulSet") and re.fullmatch(
        r"status\.(readyReplicas|availableReplicas|updatedReplicas|replicas)", where
    ):
        count = manifest.get("spec", "replicas")
        count = 1 if count is None and not manifest.templated("spec", "replicas") else count
    return count if isinstance(count, int) else None


def _is_text_field(manifest: Manifest, line: int) -> bool:
    """Whether the schema wants text on that line (unknown kinds: always)."""
    if not manifest.reference:
        return True
    return not any(
        item.kind in ("type", "bare") and manifest.document.position(item.path)[0] == line
        for item in manifest.misfits
    )
