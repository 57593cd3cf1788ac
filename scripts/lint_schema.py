"""Write sdk/tiphys/schema/data.json: what fields each Kubernetes and Argo object has, and their types.

    python scripts/lint_schema.py --crds DIR --openapi DIR

``--crds`` holds the CRDs of Argo 4.1.2 (workflowtasksets has the whole Template) and the training operator.
``--openapi`` holds dumps of a cluster: ``kubectl get --raw /openapi/v3/api/v1 > DIR/api_v1.json`` and so on.
What Argo's Go types accept beyond their CRD (numbers where a parameter's value stands, steps as lists of
lists, the fields of WorkflowSpec) is written below and was checked against ``argo lint --offline --strict``.

The file is a table of struct types: ``types[i] = [{field: reference}, [required fields]]``. A reference is

    s string   b boolean   i integer (32 bits)   l integer (64 bits)   n number   x integer or string
    q quantity   t time   v any scalar (AnyString)   * anything   a<ref> list   m<ref> map   #<i> struct i
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

OUT = Path(__file__).parent.parent / "sdk" / "tiphys" / "schema" / "data.json"
Json = dict[str, Any]

# Kinds whose manifests a `resource` template may hold and that are checked field by field.
KINDS = {
    "api_v1": [
        "ConfigMap",
        "PersistentVolumeClaim",
        "Pod",
        "Secret",
        "Service",
        "ServiceAccount",
        "Namespace",
    ],
    "apis_apps_v1": ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
    "apis_batch_v1": ["CronJob", "Job"],
    "apis_policy_v1": ["PodDisruptionBudget"],
    "apis_autoscaling_v2": ["HorizontalPodAutoscaler"],
    "apis_networking.k8s.io_v1": ["Ingress", "NetworkPolicy"],
    "apis_rbac.authorization.k8s.io_v1": ["Role", "RoleBinding"],
    "apis_scheduling.k8s.io_v1": ["PriorityClass"],
}
GROUPS = {
    "api_v1": ("", "v1", "io.k8s.api.core.v1"),
    "apis_apps_v1": ("apps", "v1", "io.k8s.api.apps.v1"),
    "apis_batch_v1": ("batch", "v1", "io.k8s.api.batch.v1"),
    "apis_policy_v1": ("policy", "v1", "io.k8s.api.policy.v1"),
    "apis_autoscaling_v2": ("autoscaling", "v2", "io.k8s.api.autoscaling.v2"),
    "apis_networking.k8s.io_v1": ("networking.k8s.io", "v1", "io.k8s.api.networking.v1"),
    "apis_rbac.authorization.k8s.io_v1": ("rbac.authorization.k8s.io", "v1", "io.k8s.api.rbac.v1"),
    "apis_scheduling.k8s.io_v1": ("scheduling.k8s.io", "v1", "io.k8s.api.scheduling.v1"),
}


class Table:
    """The struct types, each kept once."""

    def __init__(self) -> None:
        self.types: list[list[Any]] = []
        self.index: dict[str, str] = {}

    def struct(self, fields: dict[str, str], required: list[str]) -> str:
        key = json.dumps([sorted(fields.items()), sorted(required)])
        if key not in self.index:
            self.index[key] = f"#{len(self.types)}"
            self.types.append([dict(sorted(fields.items())), sorted(required)])
        return self.index[key]

    def reserve(self) -> str:
        self.types.append([{}, []])
        return f"#{len(self.types) - 1}"

    def fields(self, reference: str) -> dict[str, str]:
        fields: dict[str, str] = self.types[int(reference[1:])][0]
        return fields


class Converter:
    """From an openAPI schema to references."""

    def __init__(self, table: Table, components: Json | None = None) -> None:
        self.table = table
        self.components = components or {}
        self.done: dict[str, str] = {}

    def reference(self, schema: Json) -> str:
        if "$ref" in schema:
            return self.named(schema["$ref"].rsplit("/", 1)[1])
        if len(schema.get("allOf", [])) == 1:
            return self.reference(schema["allOf"][0])
        if schema.get("x-kubernetes-int-or-string"):
            return "q" if "pattern" in schema else "x"
        kind, form = schema.get("type"), schema.get("format", "")
        if kind == "object" or "properties" in schema:
            return self.object(schema)
        if kind == "array":
            return "a" + self.reference(schema["items"])
        if kind == "string":
            return {"date-time": "t", "int-or-string": "x", "quantity": "q"}.get(form, "s")
        if kind == "integer":
            return "l" if form == "int64" else "i"
        return {"boolean": "b", "number": "n"}.get(str(kind), "*")

    def object(self, schema: Json) -> str:
        if "properties" in schema:
            fields = {name: self.reference(part) for name, part in schema["properties"].items()}
            return self.table.struct(fields, schema.get("required", []))
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            return "m" + self.reference(extra)
        if schema.get("x-kubernetes-preserve-unknown-fields") or extra:
            return "*"
        return self.table.struct({}, [])

    def named(self, name: str) -> str:
        if name.endswith("resource.Quantity"):
            return "q"
        if name.endswith("intstr.IntOrString"):
            return "x"
        if name.endswith((".Time", ".MicroTime")):
            return "t"
        if name.endswith((".FieldsV1", ".RawExtension", ".JSON")):
            return "*"
        if name not in self.done:
            self.done[name] = "*"  # a type inside itself
            self.done[name] = self.reference(self.components[name])
        return self.done[name]


def crd(folder: Path, name: str) -> Json:
    with (folder / name).open() as stream:
        document = yaml.load(stream, yaml.CSafeLoader)
    schema: Json = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    return schema


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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crds", type=Path, required=True)
    parser.add_argument("--openapi", type=Path, required=True)
    arguments = parser.parse_args()
    table = Table()
    components: Json = {}
    for name in KINDS:
        components.update(
            json.loads((arguments.openapi / f"{name}.json").read_text())["components"]["schemas"]
        )
    core = Converter(table, components)
    roots = argo(table, arguments.crds, core)
    objects: dict[str, str] = {}
    for name, kinds in KINDS.items():
        api, version, package = GROUPS[name]
        for kind in kinds:
            objects[f"{api}/{version}/{kind}"] = core.named(f"{package}.{kind}")
    job = crd(arguments.crds, "kubeflow.org_tfjobs.yaml")
    meta = core.named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    convert = Converter(table)
    objects["kubeflow.org/v1/TFJob"] = table.struct(
        {
            "apiVersion": "s",
            "kind": "s",
            "metadata": meta,
            "spec": convert.reference(job["spec"]),
            "status": convert.reference(job["status"]),
        },
        ["spec"],
    )
    OUT.write_text(
        json.dumps({"types": table.types, "roots": roots, "objects": objects}, separators=(",", ":")) + "\n"
    )
    print(f"{OUT.name}: {len(table.types)} types, {OUT.stat().st_size} bytes")  # noqa: T201


if __name__ == "__main__":
    main()
