"""Jobs of the training operator, TFJobs above all: what the training operator refuses or does otherwise than hoped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.operated_kinds import OPERATED
from tiphys.argo.pools import TRAINING_POOL
from tiphys.lint import conditions
from tiphys.lint.analysis import walk_of
from tiphys.lint.manifests import Manifest
from tiphys.lint.model import TemplateView
from tiphys.lint.operated import replicas_of
from tiphys.lint.registry import Issue, rule

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import TFReplica

_OPERATOR = "training operator 1.9.4; seen on the real cluster"
_RESTARTING = ("ExitCode", "OnFailure", "Always")
_SIGNS = {"=": "==", "==": "==", "!=": "!=", "gt": ">"}


def _replicas(manifest: Manifest) -> dict[str, TFReplica]:
    return replicas_of(manifest) if manifest.kind == "TFJob" else {}


@rule(
    "L340",
    "tfjob-container-name",
    "error",
    what="A replica without the container of its kind: `tensorflow` of a TFJob, `pytorch`, `xgboost`.",
    why="The operator's webhook refuses the job.",
    source=_OPERATOR,
    scope="manifest",
    fixable=True,
)
def tfjob_container_name(manifest: Manifest) -> Iterator[Issue]:
    for name, replica in replicas_of(manifest).items():
        kind = OPERATED[manifest.kind]
        path = ("spec", kind.field, name, "template", "spec", "containers")
        containers = ((replica.get("template") or {}).get("spec") or {}).get("containers") or []
        wanted = kind.container
        if wanted and containers and not any(item.get("name") == wanted for item in containers):
            words = f"{manifest.label}: {name} has no container named {wanted!r}"
            yield manifest.issue((*path, 0, "name"), words, fix=f"call the container {wanted}")


@rule(
    "L341",
    "tfjob-success-policy",
    "warning",
    what="A TFJob of several workers without successPolicy AllWorkers.",
    why="By default the job succeeds when worker 0 ends, while the others may still write.",
    source=_OPERATOR,
    scope="manifest",
    fixable=True,
)
def tfjob_success_policy(manifest: Manifest) -> Iterator[Issue]:
    workers = _replicas(manifest).get("Worker") or {}
    count = workers.get("replicas", 1)
    several = manifest.templated("spec", "tfReplicaSpecs", "Worker", "replicas") or (
        isinstance(count, int) and count > 1
    )
    if several and manifest.get("spec", "successPolicy") != "AllWorkers":
        words = f"{manifest.label} succeeds when worker 0 ends: successPolicy is not AllWorkers"
        yield manifest.issue(("spec",), words, fix="add successPolicy: AllWorkers under spec", key=True)


@rule(
    "L342",
    "condition-aborts-restart",
    "warning",
    what="A failureCondition on failed replicas of a job whose replicas are restarted.",
    why="The first failure ends the step while the operator is restarting the replica.",
    source=_OPERATOR,
    scope="manifest",
)
def condition_aborts_restart(manifest: Manifest) -> Iterator[Issue]:
    text = manifest.template.data["resource"].get("failureCondition") or ""
    for each in conditions.requirements(text):
        match = re.fullmatch(r"status\.replicaStatuses\.(\w+)\.failed", each.key)
        replica = replicas_of(manifest).get(match[1]) if match else None
        policy = _policy(manifest, replica) if replica is not None else ""
        sign = _SIGNS.get(each.operator, "")
        if match and policy in _RESTARTING and (sign, *each.values) in ((">", "0"), ("==", "1"), ("!=", "0")):
            words = (
                f"{manifest.label}: {each.key} {sign} {each.values[0]} aborts a job that {policy} restarts"
            )
            fix = "status.conditions.1.type == Failed,status.conditions.2.type == Failed"
            path = (*manifest.template.path, "resource", "failureCondition")
            yield Issue(path, words, fix=f"write failureCondition: {fix} (any of them)")


@rule(
    "L343",
    "tfjob-single-replica",
    "info",
    what="A TFJob of one replica in all.",
    why="The operator sets no TF_CONFIG then; MultiWorkerMirroredStrategy runs as a single worker.",
    source=_OPERATOR,
    scope="manifest",
)
def tfjob_single_replica(manifest: Manifest) -> Iterator[Issue]:
    specs = _replicas(manifest)
    counts = [item.get("replicas", 1) for item in specs.values()]
    if specs and all(isinstance(count, int) for count in counts) and sum(counts) == 1:
        name = next(iter(specs))
        if not manifest.templated("spec", "tfReplicaSpecs", name, "replicas"):
            words = f"{manifest.label} has one replica in all: it gets no TF_CONFIG"
            yield manifest.issue(
                ("spec", "tfReplicaSpecs", name), words, fix="use 2 workers, or a plain step"
            )


@rule(
    "L344",
    "tfjob-api",
    "error",
    what="A TFJob of an API version that no longer exists.",
    why="The cluster serves kubeflow.org/v1 only; the manifest is refused.",
    source=_OPERATOR,
    scope="manifest",
    fixable=True,
)
def tfjob_api(manifest: Manifest) -> Iterator[Issue]:
    if manifest.kind == "TFJob" and manifest.api != "kubeflow.org/v1" and "{{" not in manifest.api:
        words = f"{manifest.label}: apiVersion {manifest.api!r} is not served"
        yield manifest.issue(("apiVersion",), words, fix="write kubeflow.org/v1")


@rule(
    "L345",
    "job-without-deadline",
    "warning",
    what="A job without any deadline.",
    why="Restarts by exit code ignore backoffLimit, and a step that waits for a job waits for ever.",
    source=_OPERATOR,
    scope="manifest",
)
def job_without_deadline(manifest: Manifest) -> Iterator[Issue]:
    template, spec = manifest.template, manifest.template.workflow.spec
    if not manifest.kind.endswith(("Job", "JobSet")) or manifest.action not in ("create", "apply", "replace"):
        return
    bounded = (
        manifest.get("spec", "runPolicy", "activeDeadlineSeconds")
        or manifest.get("spec", "activeDeadlineSeconds")
        or any(job.get("activeDeadlineSeconds") for _, job in manifest.jobs())
        or any(
            holder.get("activeDeadlineSeconds") or holder.get("timeout") for holder in (template.data, spec)
        )
    )
    if not bounded:
        words = f"{manifest.label} has no deadline"
        fix = "add runPolicy: {activeDeadlineSeconds: ...}" if manifest.kind in OPERATED else ""
        yield manifest.issue(("spec",), words, fix=fix or "add activeDeadlineSeconds", key=True)


@rule(
    "L346",
    "gang-without-semaphore",
    "warning",
    what="A training of several workers that no semaphore admits.",
    why="Two half-started gangs can hold each other's place for ever; Argo has no gang scheduling.",
    source="argo-workflows issue 734; DESIGN",
    scope="manifest",
)
def gang_without_semaphore(manifest: Manifest) -> Iterator[Issue]:
    template = manifest.template
    workers = (item for name, item in replicas_of(manifest).items() if name != "Launcher")
    total = sum(item.get("replicas", 1) for item in workers if _counted(item))
    for path, job in manifest.jobs():
        count = job.get("parallelism")
        total += count if isinstance(count, int) and not manifest.templated(*path, "parallelism") else 1
    labels = (template.workflow.metadata.get("labels") or {}) if total > 1 else {}
    if total < 2 or TRAINING_POOL in labels:
        return
    if (template.workflow.spec.get("synchronization") or {}).get("semaphores") or _admitted(template, 0):
        return
    words = f"{manifest.label} starts {total} pods that must run together, without a semaphore"
    fix = "admit it by a semaphore whose limit is the number of gangs that fit"
    where = OPERATED[manifest.kind].field if manifest.kind in OPERATED else "replicatedJobs"
    yield manifest.issue(("spec", where), words, fix=fix, key=True)


@rule(
    "L347",
    "job-logs",
    "info",
    what="A job whose pods lack the label that lets Argo show their logs.",
    why="With `workflows.argoproj.io/workflow: {{workflow.name}}` on the pods, `argo logs` includes them.",
    source="argo-workflows examples/k8s-resource-log-selector.yaml",
    scope="manifest",
    fixable=True,
)
def job_logs(manifest: Manifest) -> Iterator[Issue]:
    for name, replica in replicas_of(manifest).items():
        path = ("spec", OPERATED[manifest.kind].field, name, "template")
        labels = ((replica.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if "workflows.argoproj.io/workflow" not in labels:
            words = f"{manifest.label}: the pods of {name} have no label workflows.argoproj.io/workflow"
            fix = "add it under template.metadata.labels with the value '{{workflow.name}}'"
            yield manifest.issue(path, words, fix=fix, key=True)


@rule(
    "L348",
    "job-without-restart",
    "info",
    what="A job that is neither restarted nor retried.",
    why="One lost pod ends the whole training.",
    source=_OPERATOR,
    scope="manifest",
)
def job_without_restart(manifest: Manifest) -> Iterator[Issue]:
    template = manifest.template
    if (
        template.data.get("retryStrategy") is not None
        or template.workflow.spec.get("retryStrategy") is not None
    ):
        return
    for name, replica in replicas_of(manifest).items():
        if _policy(manifest, replica) == "Never":
            words = f"{manifest.label}: {name} has restartPolicy Never and the step has no retryStrategy"
            fix = "write restartPolicy: ExitCode, or add a retryStrategy"
            yield manifest.issue(("spec", OPERATED[manifest.kind].field, name), words, fix=fix, key=True)


def _policy(manifest: Manifest, replica: TFReplica) -> str:
    """The restart policy of replicas, which their kind of job says where they do not."""
    return str(replica.get("restartPolicy") or OPERATED[manifest.kind].policy)


def _admitted(template: TemplateView, depth: int) -> bool:
    """Whether the template takes a semaphore, or everything that calls it does."""
    if (template.data.get("synchronization") or {}).get("semaphores"):
        return True
    targets = walk_of(template.workflow).targets
    callers = [
        other
        for other in template.workflow.every_template()
        for call in other.calls()
        if call.path in targets and targets[call.path].path == template.path
    ]
    return depth < 10 and bool(callers) and all(_admitted(other, depth + 1) for other in callers)


def _counted(item: TFReplica) -> bool:
    return isinstance(item.get("replicas", 1), int)
