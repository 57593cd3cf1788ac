"""What every pod of a pipeline has: image, resources, volumes, and the security the `restricted` standard
asks for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiphys._version import __version__
from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_mount_path, check_name
from tiphys.dsl.scheduling import Scheduling
from tiphys.errors import DefinitionError

__all__ = [
    "POD_SECURITY",
    "SERVICE_ACCOUNT",
    "STEP_IMAGE",
    "Defaults",
    "Places",
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


def executor_patch(*, resource: bool, token: bool = False) -> str:
    """``podSpecPatch`` for Argo's own containers; a pod of a resource template has no ``wait``.

    The author's code gets no token of the pod's account, unless ``token`` says so: only the containers that report to
    Argo do. A resource template has none of the author's code.
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
    main = [{"name": "main", "volumeMounts": [_TOKEN_MOUNT]}] if token else []
    return json.dumps(
        {**pod, "containers": [container, *main], "initContainers": [init]}, separators=(",", ":")
    )


def secured(
    container: dict[str, Any],
    pod: dict[str, Any],
    volumes: Sequence[Volume],
    *,
    read_only: bool = True,
    mounts_read_only: bool = False,
    own_tmp: bool = False,
) -> None:
    """Give a container of the author's its security, the volumes it mounts, and a ``/tmp`` that it may write.

    ``pod``: what declares the volumes of this pod beside those that its workflow declares (a template, or a pod's
    spec). ``read_only``: the root file system is. ``own_tmp``: it is given a ``/tmp`` by others.
    """
    container["securityContext"] = _READ_ONLY if read_only else CONTAINER_SECURITY
    mounts = [volume.mount(read_only=mounts_read_only) for volume in volumes]
    if read_only and not own_tmp and not any(volume.mount_path == "/tmp" for volume in volumes):
        mounts.append({"name": _SCRATCH, "mountPath": "/tmp"})
        pod["volumes"] = [*pod.get("volumes", ()), {"name": _SCRATCH, "emptyDir": {}}]
    if mounts:
        container["volumeMounts"] = mounts


@dataclass(frozen=True, slots=True)
class Volume:
    """A persistent volume claim and where it is mounted. Steps name files in it as ``pvc://CLAIM/PATH``."""

    claim: str
    path: str = ""
    read_only: bool = False
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.claim, "a volume claim", self.site)
        if self.path:
            check_mount_path(self.path, f"the claim {self.claim!r}", self.site)

    @property
    def mount_path(self) -> str:
        return self.path or f"/mnt/{self.claim}"

    def volume(self) -> dict[str, Any]:
        return {"name": self.claim, "persistentVolumeClaim": {"claimName": self.claim}}

    def mount(self, *, read_only: bool = False) -> dict[str, Any]:
        mount: dict[str, Any] = {"name": self.claim, "mountPath": self.mount_path}
        if read_only or self.read_only:
            mount["readOnly"] = True
        return mount


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
    scheduling: Scheduling = field(default_factory=Scheduling)
    home: str = ""
    """The file that builds the pipeline: its functions are embedded, others are referenced."""
    pipeline: str = ""
    large: Places = Places()
    gpu_nodes: Scheduling | None = None

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
