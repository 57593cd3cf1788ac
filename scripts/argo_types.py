"""Write the modules of types in sdk/tiphys/argo from the schema's table: objects as TypedDicts.

    python scripts/argo_types.py

Struct types have numbers in the table; here those get a name that code speaks of, by the way that leads to them.
"""

from __future__ import annotations

import re
from pathlib import Path

from tiphys.argo.schema import table

ARGO = Path(__file__).resolve().parent.parent / "sdk" / "tiphys" / "argo"
# the name, and the fields that lead to it from a Workflow, or from the kind that is named first
CENTRAL = {
    "Workflow": "",
    "CronWorkflow": "CronWorkflow",
    "CronWorkflowSpec": "CronWorkflow spec",
    "StopStrategy": "CronWorkflow spec stopStrategy",
    "WorkflowSpec": "spec",
    "Arguments": "spec arguments",
    "Parameter": "spec arguments parameters",
    "ValueFrom": "spec arguments parameters valueFrom",
    "Artifact": "spec arguments artifacts",
    "Hook": "spec hooks",
    "RepositoryRef": "spec artifactRepositoryRef",
    "WorkflowTemplateRef": "spec workflowTemplateRef",
    "WorkflowMetadata": "spec workflowMetadata",
    "LabelSource": "spec workflowMetadata labelsFrom",
    "Synchronization": "spec synchronization",
    "MutexLock": "spec synchronization mutexes",
    "SemaphoreLock": "spec synchronization semaphores",
    "DatabaseKey": "spec synchronization semaphores database",
    "PodGC": "spec podGC",
    "RetryStrategy": "spec retryStrategy",
    "Backoff": "spec retryStrategy backoff",
    "Template": "spec templates",
    "ArchiveLocation": "spec templates archiveLocation",
    "Memoize": "spec templates memoize",
    "MemoizeCache": "spec templates memoize cache",
    "ResourceTemplate": "spec templates resource",
    "ManifestFrom": "spec templates resource manifestFrom",
    "DataTemplate": "spec templates data",
    "DataSource": "spec templates data source",
    "Transformation": "spec templates data transformation",
    "SuspendTemplate": "spec templates suspend",
    "DAGTemplate": "spec templates dag",
    "WorkflowStep": "spec templates steps",
    "DAGTask": "spec templates dag tasks",
    "TemplateRef": "spec templates dag tasks templateRef",
    "ContinueOn": "spec templates dag tasks continueOn",
    "LoopSequence": "spec templates dag tasks withSequence",
    "Outputs": "spec templates outputs",
    "WorkflowStatus": "status",
    "Node": "status nodes",
    "NodeFlag": "status nodes nodeFlag",
    "MemoizationStatus": "status nodes memoizationStatus",
    "LockStatus": "status nodes synchronizationStatus",
    "Condition": "status conditions",
}
# what those are made of and that knows none of them
PARTS = {
    "ObjectMeta": "metadata",
    "KeySelector": "spec arguments parameters valueFrom configMapKeyRef",
    "Archive": "spec arguments artifacts archive",
    "TarArchive": "spec arguments artifacts archive tar",
    "ArtifactGC": "spec arguments artifacts artifactGC",
    "S3Location": "spec arguments artifacts s3",
    "GCSLocation": "spec arguments artifacts gcs",
    "OSSLocation": "spec arguments artifacts oss",
    "AzureLocation": "spec arguments artifacts azure",
    "HDFSLocation": "spec arguments artifacts hdfs",
    "ArtifactoryLocation": "spec arguments artifacts artifactory",
    "HTTPLocation": "spec arguments artifacts http",
    "HTTPAuth": "spec arguments artifacts http auth",
    "BasicAuth": "spec arguments artifacts http auth basicAuth",
    "ClientCertificate": "spec arguments artifacts http auth clientCert",
    "OAuth2Client": "spec arguments artifacts http auth oauth2",
    "OAuth2Parameter": "spec arguments artifacts http auth oauth2 endpointParams",
    "GitLocation": "spec arguments artifacts git",
    "RawLocation": "spec arguments artifacts raw",
    "PluginLocation": "spec arguments artifacts plugin",
    "HostAlias": "spec hostAliases",
    "PodSecurity": "spec securityContext",
    "ClaimGC": "spec volumeClaimGC",
    "WorkflowArtifactGC": "spec artifactGC",
    "Metadata": "spec templates metadata",
    "NamedMap": "spec templates memoize cache configMap",
    "ContainerSpec": "spec templates container",
    "EnvVar": "spec templates container env",
    "EnvSource": "spec templates container env valueFrom",
    "FieldRef": "spec templates container env valueFrom fieldRef",
    "ResourceFieldRef": "spec templates container env valueFrom resourceFieldRef",
    "EnvFrom": "spec templates container envFrom",
    "EnvFromObject": "spec templates container envFrom configMapRef",
    "VolumeMount": "spec templates container volumeMounts",
    "ContainerPort": "spec templates container ports",
    "ContainerSecurity": "spec templates container securityContext",
    "Probe": "spec templates container readinessProbe",
    "ContainerLifecycle": "spec templates container lifecycle",
    "LifecycleHandler": "spec templates container lifecycle preStop",
    "ExecAction": "spec templates container lifecycle preStop exec",
    "HTTPGetAction": "spec templates container lifecycle preStop httpGet",
    "TCPSocketAction": "spec templates container lifecycle preStop tcpSocket",
    "SleepAction": "spec templates container lifecycle preStop sleep",
    "NameValue": "spec templates container lifecycle preStop httpGet httpHeaders",
    "ResourceRequirements": "spec templates container resources",
    "ScriptSpec": "spec templates script",
    "ContainerSet": "spec templates containerSet",
    "SetContainer": "spec templates containerSet containers",
    "SetRetry": "spec templates containerSet retryStrategy",
    "SideContainer": "spec templates sidecars",
    "HTTPTemplate": "spec templates http",
    "HTTPBody": "spec templates http bodyFrom",
    "HTTPHeader": "spec templates http headers",
    "HTTPHeaderSource": "spec templates http headers valueFrom",
    "MetricsSpec": "spec metrics",
    "MetricSpec": "spec metrics prometheus",
    "GaugeSpec": "spec metrics prometheus gauge",
    "HistogramSpec": "spec metrics prometheus histogram",
    "CounterSpec": "spec metrics prometheus counter",
    "MetricLabel": "spec metrics prometheus labels",
    "ExecutorPlugin": "spec executorPlugins",
    "ExecutorPluginSpec": "spec executorPlugins spec",
    "PluginSidecar": "spec executorPlugins spec sidecar",
    "LabelSelector": "apps/v1/Deployment spec selector",
    "LabelRequirement": "apps/v1/Deployment spec selector matchExpressions",
}
# volumes, by what they are filled with
VOLUMES = {
    "VolumeClaim": "spec volumeClaimTemplates",
    "VolumeClaimSpec": "spec volumeClaimTemplates spec",
    "VolumeResources": "spec volumeClaimTemplates spec resources",
    "VolumeSpec": "spec volumes",
    "ConfigMapVolume": "spec volumes configMap",
    "SecretVolume": "spec volumes secret",
    "KeyToPath": "spec volumes configMap items",
    "ClaimVolume": "spec volumes persistentVolumeClaim",
    "HostPathVolume": "spec volumes hostPath",
    "DownwardVolume": "spec volumes downwardAPI",
    "DownwardFile": "spec volumes downwardAPI items",
    "ProjectedVolume": "spec volumes projected",
    "ProjectedSource": "spec volumes projected sources",
    "ProjectedObject": "spec volumes projected sources configMap",
    "ProjectedDownward": "spec volumes projected sources downwardAPI",
}
# the objects of resource templates that have a stand-in here
MANIFESTS = {
    "PodManifest": "/v1/Pod",
    "PodTemplate": "apps/v1/Deployment spec template",
    "PodSpec": "/v1/Pod spec",
    "PodStatus": "/v1/Pod status",
    "ContainerStatus": "/v1/Pod status containerStatuses",
    "ContainerState": "/v1/Pod status containerStatuses state",
    "TFJobManifest": "kubeflow.org/v1/TFJob",
    "TFJobSpec": "kubeflow.org/v1/TFJob spec",
    "TFReplica": "kubeflow.org/v1/TFJob spec tfReplicaSpecs",
    "TFJobStatus": "kubeflow.org/v1/TFJob status",
    "ObjectCondition": "kubeflow.org/v1/TFJob status conditions",
    "TFReplicaStatus": "kubeflow.org/v1/TFJob status replicaStatuses",
    "RunPolicy": "kubeflow.org/v1/TFJob spec runPolicy",
    "JobSetManifest": "jobset.x-k8s.io/v1alpha2/JobSet",
    "JobSetSpec": "jobset.x-k8s.io/v1alpha2/JobSet spec",
    "JobSetNetwork": "jobset.x-k8s.io/v1alpha2/JobSet spec network",
    "ReplicatedJob": "jobset.x-k8s.io/v1alpha2/JobSet spec replicatedJobs",
    "JobTemplate": "jobset.x-k8s.io/v1alpha2/JobSet spec replicatedJobs template",
    "JobSetStatus": "jobset.x-k8s.io/v1alpha2/JobSet status",
    "ReplicatedJobStatus": "jobset.x-k8s.io/v1alpha2/JobSet status replicatedJobsStatus",
    "StatusCondition": "jobset.x-k8s.io/v1alpha2/JobSet status conditions",
    "DeploymentManifest": "apps/v1/Deployment",
    "DeploymentSpec": "apps/v1/Deployment spec",
    "DeploymentStatus": "apps/v1/Deployment status",
    "JobManifest": "batch/v1/Job",
    "JobSpec": "batch/v1/Job spec",
    "JobSuccess": "batch/v1/Job spec successPolicy",
    "JobSuccessRule": "batch/v1/Job spec successPolicy rules",
    "PodFailurePolicy": "batch/v1/Job spec podFailurePolicy",
    "PodFailureRule": "batch/v1/Job spec podFailurePolicy rules",
    "ExitCodes": "batch/v1/Job spec podFailurePolicy rules onExitCodes",
    "ServiceManifest": "/v1/Service",
    "ServiceSpec": "/v1/Service spec",
    "ServicePort": "/v1/Service spec ports",
}
# parts of another Kubernetes, or of fewer fields, that no code here tells from the named one
SAME = {
    "kubeflow.org/v1/TFJob spec tfReplicaSpecs template": "PodTemplate",
    "/v1/Pod spec containers": "ContainerSpec",
    "/v1/Pod spec volumes": "VolumeSpec",
    "/v1/Pod spec volumes projected": "ProjectedVolume",
}
_PLAIN = {
    "s": "str",
    "b": "bool",
    "i": "int",
    "l": "int",
    "t": "str | None",
    "x": "int | str",
    "n": "float",
    "q": "str | int | float",
    "v": "str",
    "*": "Json",
}
_MANY = 10  # so many fields are worth a base class
_HEAD = '''"""{title}: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name. Only type checkers read this: import it under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TypedDict

'''
_OTHERS = '''

class GivenObject(TypedDict, total=False):
    """An object that is given with a workflow: ConfigMap, Secret, (Cluster)WorkflowTemplate."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    data: dict[str, str]
    binaryData: dict[str, str]
    stringData: dict[str, str]
    spec: WorkflowSpec


class CacheEntry(TypedDict, total=False):
    """What a ConfigMap of memoization holds under a key, as JSON text."""

    nodeID: str
    outputs: Outputs | None
    creationTimestamp: str
    lastHitTimestamp: str
'''
_ANY_KIND = '''

class KubeObject(TypedDict, total=False):
    """An object of the API server: what all kinds have, and of some ``data``; its kind's own type says more."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: JsonObject
    status: JsonObject
    data: dict[str, str]
'''
_FROM = '_From = TypedDict("_From", {"from": str}, total=False)  # a word of Python\n'


def _reference(way: str) -> str:
    first, *rest = way.split() or ["Workflow"]
    known = {**table().objects, **table().roots}
    if first not in known:
        first, rest = "Workflow", [first, *rest]
    reference = known[first]
    for step in rest:
        reference = re.sub(r"^[am]+", "", table().fields(reference)[step])
    return reference


def _type(code: str, names: dict[str, str]) -> str:
    if code in _PLAIN:
        return _PLAIN[code]
    if code.startswith("#"):
        return names.get(code, "JsonObject")
    if code[0] == "a":
        return f"list[{_type(code[1:], names)}]"
    if code[0] == "m":
        return f"dict[str, {_type(code[1:], names)}]"
    raise ValueError(f"no type for {code!r}")


def _class(name: str, reference: str, names: dict[str, str], before: dict[str, str]) -> str:
    """One class; it is derived from an earlier one of many fields that it has all of."""
    fields = table().fields(reference)
    base, inherited = "TypedDict", {"from"} if "from" in fields else set()
    if inherited:
        base = "_From"
    for other, theirs in before.items():
        if len(theirs) >= _MANY and theirs.items() <= fields.items():
            base, inherited = other, set(theirs)
    body = [
        f"    {field}: {_type(code, names)}\n" for field, code in fields.items() if field not in inherited
    ]
    return f"\n\nclass {name}({base}, total=False):\n{''.join(body)}"


def _module(title: str, wanted: dict[str, str], names: dict[str, str]) -> str:
    before: dict[str, dict[str, str]] = {}
    classes = []
    for name, way in wanted.items():
        reference = _reference(way)
        classes.append(_class(name, reference, names, before))
        before[name] = table().fields(reference)
    text = "".join(classes)
    text += _OTHERS if wanted is CENTRAL else _ANY_KIND if wanted is MANIFESTS else ""
    parts = [_HEAD.format(title=title)]
    for file, below in {"pod_types": PARTS, "volume_types": VOLUMES}.items():
        used = sorted(name for name in below if re.search(rf"\b{name}\b", text))
        if used and wanted is not below:
            parts.append(f"from tiphys.argo.{file} import {', '.join(used)}\n")
    used = [name for name in ("Json", "JsonObject") if re.search(rf"\b{name}\b", text)]
    parts.append(f"from tiphys.jsontypes import {', '.join(used)}\n")
    if "(_From," in text:
        parts.append("\n" + _FROM)
    return "".join(parts) + text


def texts() -> dict[str, str]:
    """The modules, by file name."""
    names: dict[str, str] = {}
    for name, way in {**CENTRAL, **PARTS, **VOLUMES, **MANIFESTS}.items():
        names.setdefault(_reference(way), name)
    for way, name in SAME.items():
        names.setdefault(_reference(way), name)
    return {
        "types.py": _module("Argo's central objects as types", CENTRAL, names),
        "manifest_types.py": _module("Objects that have a stand-in here, as types", MANIFESTS, names),
        "pod_types.py": _module("What Argo's objects are made of, as types", PARTS, names),
        "volume_types.py": _module("Volumes and claims, as types", VOLUMES, names),
    }


if __name__ == "__main__":
    for file, text in texts().items():
        (ARGO / file).write_text(text, encoding="utf-8")
