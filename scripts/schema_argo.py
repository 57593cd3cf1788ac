"""What no CRD says of Argo's own kinds: the fields of WorkflowSpec and of a status, and what Go accepts beyond them.

Written by hand from Argo 4.1.2 and checked against ``argo lint --offline --strict``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from schema_table import Converter, Table, crd

__all__ = ["argo"]


def argo(table: Table, folder: Path, core: Converter) -> dict[str, str]:
    """The four Argo kinds, from the Template of the task set and the fields of WorkflowSpec."""
    convert = Converter(table)
    tasks = crd(folder, "argoproj.io_workflowtasksets.yaml")["spec"]["properties"]["tasks"]
    template = convert.reference(tasks["additionalProperties"])
    of = table.fields(template)
    group = table.fields(of["steps"][1:])
    step = group["steps"][1:]
    task = table.fields(table.fields(of["dag"])["tasks"][1:])
    for holder in (table.fields(step), task):
        holder["inline"] = template
    of["steps"] = "aa" + step
    arguments, hooks = task["arguments"], task["hooks"]
    meta = core.named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    labels = {"annotations": "ms", "labels": "ms"}
    pod_metadata = table.struct(labels, [])
    struct = table.struct
    plugin_container = of["initContainers"][1:]
    spec = struct(
        {
            "activeDeadlineSeconds": "l",
            "affinity": of["affinity"],
            "archiveLogs": "b",
            "arguments": arguments,
            "artifactGC": struct(
                {
                    "forceFinalizerRemoval": "b",
                    "podMetadata": pod_metadata,
                    "podSpecPatch": "s",
                    "serviceAccountName": "s",
                    "strategy": "s",
                },
                [],
            ),
            "artifactRepositoryRef": struct({"configMap": "s", "key": "s"}, []),
            "automountServiceAccountToken": "b",
            "dnsConfig": core.named("io.k8s.api.core.v1.PodDNSConfig"),
            "dnsPolicy": "s",
            "entrypoint": "s",
            "executor": of["executor"],
            "executorPlugins": "a"
            + struct(
                {
                    "metadata": meta,
                    "spec": struct(
                        {
                            "sidecar": struct(
                                {"automountServiceAccountToken": "b", "container": plugin_container}, []
                            )
                        },
                        [],
                    ),
                },
                [],
            ),
            "hooks": hooks,
            "hostAliases": of["hostAliases"],
            "hostNetwork": "b",
            "imagePullSecrets": "a" + core.named("io.k8s.api.core.v1.LocalObjectReference"),
            "metrics": of["metrics"],
            "nodeSelector": "ms",
            "onExit": "s",
            "parallelism": "l",
            "podDisruptionBudget": core.named("io.k8s.api.policy.v1.PodDisruptionBudgetSpec"),
            "podGC": struct(
                {
                    "deleteDelayDuration": "s",
                    "labelSelector": core.named("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"),
                    "strategy": "s",
                },
                [],
            ),
            "podMetadata": pod_metadata,
            "podPriorityClassName": "s",
            "podResources": of["podResources"],
            "podSpecPatch": "s",
            "priority": "i",
            "resourceClaims": of["resourceClaims"],
            "retryStrategy": of["retryStrategy"],
            "schedulerName": "s",
            "securityContext": of["securityContext"],
            "serviceAccountName": "s",
            "shutdown": "s",
            "suspend": "b",
            "synchronization": of["synchronization"],
            "templateDefaults": template,
            "templates": "a" + template,
            "tolerations": of["tolerations"],
            "ttlStrategy": struct(
                dict.fromkeys(("secondsAfterCompletion", "secondsAfterFailure", "secondsAfterSuccess"), "i"),
                [],
            ),
            "volumeClaimGC": struct({"strategy": "s"}, []),
            "volumeClaimTemplates": "a" + core.named("io.k8s.api.core.v1.PersistentVolumeClaim"),
            "volumes": of["volumes"],
            "workflowMetadata": struct({**labels, "labelsFrom": "m" + struct({"expression": "s"}, [])}, []),
            "workflowTemplateRef": struct({"clusterScope": "b", "name": "s"}, []),
        },
        [],
    )
    cron = struct(
        {
            "concurrencyPolicy": "s",
            "failedJobsHistoryLimit": "i",
            "schedules": "as",
            "startingDeadlineSeconds": "l",
            "stopStrategy": struct({"expression": "s"}, []),
            "successfulJobsHistoryLimit": "i",
            "suspend": "b",
            "timezone": "s",
            "when": "s",
            "workflowMetadata": meta,
            "workflowSpec": spec,
        },
        [],
    )
    status = status_of(struct, of, spec, template)
    loosen(table)
    top = {"apiVersion": "s", "kind": "s", "metadata": meta}
    return {
        "Workflow": struct({**top, "spec": spec, "status": status}, []),
        "WorkflowTemplate": struct({**top, "spec": spec}, []),
        "ClusterWorkflowTemplate": struct({**top, "spec": spec}, []),
        "CronWorkflow": struct({**top, "spec": cron, "status": cron_status(struct)}, []),
        "Template": template,
        "WorkflowStep": step,
    }


def status_of(struct: Any, of: dict[str, str], spec: str, template: str) -> str:
    """WorkflowStatus: a workflow read back from a cluster is decoded with it."""
    outputs = of["outputs"]
    lock = struct({"holders": "as", "semaphore": "s"}, [])
    mutex = struct({"holder": "s", "mutex": "s"}, [])
    reference = struct({"clusterScope": "b", "name": "s", "template": "s"}, [])
    times = {"startedAt": "t", "finishedAt": "t", "estimatedDuration": "i", "resourcesDuration": "ml"}
    node = struct(
        {
            **dict.fromkeys(
                [
                    "boundaryID",
                    "displayName",
                    "hostNodeName",
                    "id",
                    "message",
                    "name",
                    "phase",
                    "podIP",
                    "progress",
                    "restartingPodUID",
                    "templateName",
                    "templateScope",
                    "type",
                ],
                "s",
            ),
            **times,
            "children": "as",
            "outboundNodes": "as",
            "daemoned": "b",
            "taskResultSynced": "b",
            "failedPodRestarts": "i",
            "inputs": of["inputs"],
            "outputs": outputs,
            "memoizationStatus": struct({"cacheName": "s", "hit": "b", "key": "s"}, []),
            "nodeFlag": struct({"hooked": "b", "retried": "b"}, []),
            "synchronizationStatus": struct({"waiting": "s"}, []),
            "templateRef": reference,
        },
        [],
    )
    return str(
        struct(
            {
                **dict.fromkeys(
                    ["compressedNodes", "message", "offloadNodeStatusVersion", "phase", "progress"], "s"
                ),
                **times,
                "artifactGCStatus": struct(
                    {"notSpecified": "b", "podsRecouped": "mb", "strategiesProcessed": "mb"}, []
                ),
                "artifactRepositoryRef": struct(
                    {
                        "artifactRepository": "*",
                        "configMap": "s",
                        "default": "b",
                        "key": "s",
                        "namespace": "s",
                    },
                    [],
                ),
                "conditions": "a" + struct({"message": "s", "status": "s", "type": "s"}, []),
                "nodes": "m" + node,
                "outputs": outputs,
                "persistentVolumeClaims": of["volumes"],
                "storedTemplates": "m" + template,
                "storedWorkflowTemplateSpec": spec,
                "synchronization": struct(
                    {
                        "mutex": struct({"holding": "a" + mutex, "waiting": "a" + mutex}, []),
                        "semaphore": struct({"holding": "a" + lock, "waiting": "a" + lock}, []),
                    },
                    [],
                ),
                "taskResultsCompletionStatus": "mb",
            },
            [],
        )
    )


def cron_status(struct: Any) -> str:
    condition = struct({"message": "s", "status": "s", "type": "s"}, [])
    return str(
        struct(
            {
                "active": "a"
                + struct(
                    dict.fromkeys(
                        ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"),
                        "s",
                    ),
                    [],
                ),
                "conditions": "a" + condition,
                "failed": "l",
                "succeeded": "l",
                "lastScheduledTime": "t",
                "phase": "s",
            },
            [],
        )
    )


def loosen(table: Table) -> None:
    """Where Argo's Go types accept more than their CRD says."""
    for fields, _required in table.types:
        if {"value", "valueFrom", "enum", "globalName"} <= set(fields):  # Parameter
            fields.update(value="v", default="v", enum="av")
        if {"configMapKeyRef", "supplied", "jqFilter"} <= set(fields):  # ValueFrom
            fields["default"] = "v"
        if "withItems" in fields:
            fields["withItems"] = "a*"
        if "expression" in fields and "path" in fields and "source" in fields:
            fields["source"] = "*"
