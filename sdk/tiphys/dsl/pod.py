"""What every pod of a pipeline has: image, resources, volumes, and the security the `restricted` standard
asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiphys._version import __version__
from tiphys.argo.quantity import quantity
from tiphys.argo.queue_labels import queue_labels
from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_label, check_name
from tiphys.errors import DefinitionError

__all__ = [
    "POD_SECURITY",
    "SERVICE_ACCOUNT",
    "STEP_IMAGE",
    "Defaults",
    "Places",
    "Resources",
    "Scheduling",
    "Volume",
    "executor_patch",
    "secured",
]

STEP_IMAGE = f"tiphys/step:{__version__}"
"""The project's own image for steps and training."""

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
POD_SECURITY: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 1000,
    "fsGroup": 1000,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}
SERVICE_ACCOUNT = "tiphys"
"""The account of the steps that create objects: `manifests/` makes it, with the rights they need and no more."""

# The root file system is the image's, read-only; what a step writes that is not an output on a claim goes below /tmp.
_READ_ONLY = {**CONTAINER_SECURITY, "readOnlyRootFilesystem": True}
_SCRATCH = "tiphys-tmp"

# Argo gives its own containers (init, wait, and main of a resource template) no resources and, in pods of
# containers and scripts, no securityContext: a namespace with a quota or the `restricted` standard refuses
# them.
_EXECUTOR_RESOURCES = {
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"cpu": "500m", "memory": "256Mi"},
}
_EXECUTOR_SECURITY = {
    **_READ_ONLY,
    "runAsNonRoot": True,
    "runAsUser": POD_SECURITY["runAsUser"],
    "seccompProfile": POD_SECURITY["seccompProfile"],
}
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|[MGTPE]i?)?\Z")


_CPU_LIMIT, _MEMORY_LIMIT = "2", "2Gi"


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits of a container, as Kubernetes quantities (``"500m"``, ``"1Gi"``).

    A limit that is not given is 2 CPUs and 2Gi, or the request where that is more.
    """

    cpu: str = "100m"
    memory: str = "256Mi"
    cpu_limit: str = ""
    memory_limit: str = ""
    gpu: int = 0
    gpu_resource: str = "nvidia.com/gpu"
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "cpu_limit", "memory_limit"):
            value = getattr(self, name)
            if value == "" and name.endswith("_limit"):
                continue
            if not isinstance(value, str) or not _QUANTITY.match(value):
                raise DefinitionError(
                    "TIP109",
                    f"{name}={value!r} is not a Kubernetes quantity",
                    where=str(self.site),
                    fix='write a string such as "500m", "2", "512Mi" or "1Gi"',
                )
        for name in ("cpu", "memory"):
            request, limit = getattr(self, name), getattr(self, f"{name}_limit")
            if limit and quantity(request) > quantity(limit):
                raise DefinitionError(
                    "TIP109",
                    f"{name}={request!r} is more than {name}_limit={limit!r}",
                    where=str(self.site),
                    cause="Kubernetes refuses a request above its limit",
                    fix=f"leave {name}_limit out: it is then the request",
                )
        if isinstance(self.gpu, bool) or not isinstance(self.gpu, int) or self.gpu < 0:
            raise DefinitionError(
                "TIP109", f"gpu={self.gpu!r}", where=str(self.site), fix="give 0 or a whole number of GPUs"
            )

    def mapping(self) -> dict[str, Any]:
        limits = {
            "cpu": self.cpu_limit or max(_CPU_LIMIT, self.cpu, key=quantity),
            "memory": self.memory_limit or max(_MEMORY_LIMIT, self.memory, key=quantity),
        }
        if self.gpu:
            limits[self.gpu_resource] = str(self.gpu)
        return {"requests": {"cpu": self.cpu, "memory": self.memory}, "limits": limits}


# What the kubelet mounts into every container of a pod, for those of Argo only: https://kubernetes.io/docs/concepts/
# storage/projected-volumes. The token is bound to the pod and lives for about an hour; the kubelet renews it.
_TOKEN = "tiphys-token"
_TOKEN_VOLUME = {
    "name": _TOKEN,
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            # every namespace has it (a runner on one machine has none, and needs none)
            {
                "configMap": {
                    "name": "kube-root-ca.crt",
                    "items": [{"key": "ca.crt", "path": "ca.crt"}],
                    "optional": True,
                }
            },
            {
                "downwardAPI": {
                    "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
                }
            },
        ]
    },
}
_TOKEN_MOUNT = {
    "name": _TOKEN,
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    "readOnly": True,
}


def executor_patch(*, resource: bool) -> str:
    """``podSpecPatch`` for Argo's own containers; a pod of a resource template has no ``wait``.

    The author's code gets no token of the pod's account: only the containers that report to Argo do. A resource
    template has none of the author's code.
    """
    pod: dict[str, Any] = {}
    if resource:
        settings: dict[str, Any] = {"resources": _EXECUTOR_RESOURCES}
        names = ("main", "init")
    else:
        settings = {
            "resources": _EXECUTOR_RESOURCES,
            "securityContext": _EXECUTOR_SECURITY,
            "volumeMounts": [_TOKEN_MOUNT],
        }
        names = ("wait", "init")
        pod = {"automountServiceAccountToken": False, "volumes": [_TOKEN_VOLUME]}
    container, init = ({"name": name, **settings} for name in names)
    return json.dumps({**pod, "containers": [container], "initContainers": [init]}, separators=(",", ":"))


def secured(
    container: dict[str, Any],
    pod: dict[str, Any],
    volumes: Sequence[Volume],
    *,
    read_only: bool = True,
    mounts_read_only: bool = False,
) -> None:
    """Give a container of the author's its security, the volumes it mounts, and a ``/tmp`` that it may write.

    ``pod``: what declares the volumes of this pod beside those that its workflow declares (a template, or a pod's
    spec). ``read_only``: the root file system is.
    """
    container["securityContext"] = _READ_ONLY if read_only else CONTAINER_SECURITY
    mounts = [volume.mount(read_only=mounts_read_only) for volume in volumes]
    if read_only and not any(volume.mount_path == "/tmp" for volume in volumes):
        mounts.append({"name": _SCRATCH, "mountPath": "/tmp"})
        pod["volumes"] = [*pod.get("volumes", ()), {"name": _SCRATCH, "emptyDir": {}}]
    if mounts:
        container["volumeMounts"] = mounts


@dataclass(frozen=True, slots=True)
class Scheduling:
    """Where and when pods are scheduled.

    ``priority`` orders workflows that wait for the same lock or for the controller (higher first); ``queue`` is where
    steps and training jobs wait for their turn: Kueue's LocalQueue, or Volcano's Queue (of a TFJob), whichever of them
    the cluster has. ``workload_class`` is who comes first there: Kueue's WorkloadPriorityClass. ``priority_class`` is
    the pods' PriorityClass: whom a node that is full sends away. They are two: what may wait long, as a night's
    training, may be dear once it runs.

    Raises DefinitionError: TIP101 for names that Kubernetes refuses, TIP109 for a priority that is no 32-bit number.
    """

    priority: int | None = None
    priority_class: str = ""
    queue: str = ""
    workload_class: str = ""
    node_selector: tuple[tuple[str, str], ...] = ()
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.priority_class:
            check_name(self.priority_class, "a priority class", self.site)
        if self.queue:
            check_label(self.queue, "a queue", self.site)
        if self.workload_class:
            check_name(self.workload_class, "a workload class", self.site)
        if self.priority is not None and not (
            type(self.priority) is int and -(2**31) <= self.priority < 2**31
        ):
            raise DefinitionError(
                "TIP109",
                f"priority={self.priority!r}",
                where=str(self.site),
                cause="Argo orders workflows by a whole number of 32 bits",
                fix="give a number, for example 10",
            )

    def workflow(self) -> dict[str, Any]:
        """The fields of a workflow's spec."""
        spec: dict[str, Any] = {}
        if self.priority is not None:
            spec["priority"] = self.priority
        if self.priority_class:
            spec["podPriorityClassName"] = self.priority_class
        if self.node_selector:
            spec["nodeSelector"] = dict(self.node_selector)
        if labels := self.labels():
            spec["podMetadata"] = {"labels": labels}
        return spec

    def labels(self) -> dict[str, str]:
        """Labels of what Kueue admits: the pods that Argo makes, each for itself, and a job as a whole. (Not those of a
        job's own pods: Kueue would let each of them wait once more.)"""
        return queue_labels(self.queue, self.workload_class)

    def policy(self) -> dict[str, Any]:
        """Fields of a job's runPolicy; the training operator hands them to Volcano, in the gang's PodGroup."""
        named = {"queue": self.queue, "priorityClass": self.priority_class}
        given = {key: value for key, value in named.items() if value}
        return {"schedulingPolicy": given} if given else {}

    def pod(self) -> dict[str, Any]:
        """The fields of a pod's spec."""
        spec: dict[str, Any] = {}
        if self.priority_class:
            spec["priorityClassName"] = self.priority_class
        if self.node_selector:
            spec["nodeSelector"] = dict(self.node_selector)
        return spec


@dataclass(frozen=True, slots=True)
class Volume:
    """A persistent volume claim and where it is mounted. Steps name files in it as ``pvc://CLAIM/PATH``."""

    claim: str
    path: str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.claim, "a volume claim", self.site)
        if self.path and not re.fullmatch(r"(/[\w.-]+)+", self.path):
            raise DefinitionError(
                "TIP101",
                f"{self.path!r} is not a mount path",
                where=str(self.site),
                fix=f"write an absolute path, for example '/mnt/{self.claim}'",
            )

    @property
    def mount_path(self) -> str:
        return self.path or f"/mnt/{self.claim}"

    def volume(self) -> dict[str, Any]:
        return {"name": self.claim, "persistentVolumeClaim": {"claimName": self.claim}}

    def mount(self, *, read_only: bool = False) -> dict[str, Any]:
        mount: dict[str, Any] = {"name": self.claim, "mountPath": self.mount_path}
        return {**mount, "readOnly": True} if read_only else mount


@dataclass(frozen=True, slots=True)
class Places:
    """Outputs that may be files when they are long, and inputs that may be given one: (template, name)."""

    outputs: frozenset[tuple[str, str]] = frozenset()
    inputs: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a template takes from its pipeline when it does not say it itself."""

    image: str = STEP_IMAGE
    volumes: tuple[Volume, ...] = (Volume("tiphys"),)
    scheduling: Scheduling = Scheduling()
    home: str = ""
    """The file that builds the pipeline: its functions are embedded, others are referenced."""
    pipeline: str = ""
    large: Places = Places()

    @property
    def scope(self) -> str:
        """Whose results are reused by age: the pipeline's; without one (a Hera workflow), those of its file."""
        return self.pipeline or Path(self.home).stem

    def volumes_env(self) -> list[dict[str, str]]:
        """Where ``pvc://`` URIs are found inside the step."""
        mounted = {v.claim: v.mount_path for v in self.volumes}
        text = json.dumps(mounted, sort_keys=True, separators=(",", ":"))
        return [{"name": "TIPHYS_VOLUMES", "value": text}] if mounted else []

    def mount_of(self, claim: str, site: Site) -> Volume:
        for volume in self.volumes:
            if volume.claim == claim:
                return volume
        known = ", ".join(v.claim for v in self.volumes) or "none"
        raise DefinitionError(
            "TIP101",
            f"the claim {claim!r} is not among the pipeline's volumes",
            where=str(site),
            cause=f"volumes: {known}",
            fix=f"Pipeline(..., volumes=[Volume({claim!r})])",
        )
