"""What a container requests of its node, and the most that it gets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.argo.quantity import quantity
from tiphys.compiler.line import Site, caller
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.pod_types import VolumeMount
    from tiphys.argo.volume_types import VolumeSpec
    from tiphys.jsontypes import JsonObject

__all__ = ["Resources", "check_quantity"]

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|Ki|[MGTPE]i?)?\Z")
_CPU_LIMIT, _MEMORY_LIMIT = "2", "2Gi"
_SHM = "tiphys-shm"


def check_quantity(name: str, value: object, site: Site) -> None:
    """Raise DefinitionError TIP109 for what is no quantity."""
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise DefinitionError(
            "TIP109",
            f"{name}={value!r} is not a Kubernetes quantity",
            where=str(site),
            fix='write a string such as "500m", "2", "512Mi" or "1Gi"',
        )


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits of a container, as Kubernetes quantities (``"500m"``, ``"1Gi"``).

    A limit that is not given is 2 CPUs and 2Gi, or the request where that is more. ``disk`` is what the container
    writes outside of claims (``ephemeral-storage``); it has no limit unless ``disk_limit`` is one.

    ``gpu`` brings along what a GPU needs besides: the pod bears the taint of GPU nodes (``Pipeline(gpu_nodes=…)`` says
    what else they have), and ``/dev/shm`` is memory of the container instead of 64 MiB. ``shm`` is the size of
    ``/dev/shm``, with or without a GPU; it counts as the container's memory.
    """

    cpu: str = "100m"
    memory: str = "256Mi"
    cpu_limit: str = ""
    memory_limit: str = ""
    gpu: int = 0
    gpu_resource: str = "nvidia.com/gpu"
    disk: str = ""
    disk_limit: str = ""
    shm: str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("cpu", "memory", "cpu_limit", "memory_limit", "disk", "disk_limit", "shm"):
            value = getattr(self, name)
            if value == "" and name not in ("cpu", "memory"):
                continue
            check_quantity(name, value, self.site)
        for name in ("cpu", "memory", "disk"):
            request, limit = getattr(self, name), getattr(self, f"{name}_limit")
            if request and limit and quantity(request) > quantity(limit):
                raise DefinitionError(
                    "TIP109",
                    f"{name}={request!r} is more than {name}_limit={limit!r}",
                    where=str(self.site),
                    cause="Kubernetes refuses a request above its limit",
                    fix=f"leave {name}_limit out: it is then the request"
                    if name != "disk"
                    else "leave disk_limit out",
                )
        if isinstance(self.gpu, bool) or not isinstance(self.gpu, int) or self.gpu < 0:
            raise DefinitionError(
                "TIP109", f"gpu={self.gpu!r}", where=str(self.site), fix="give 0 or a whole number of GPUs"
            )
        if self.shm and quantity(self.shm) > quantity(self.amounts()["limits"]["memory"]):
            raise DefinitionError(
                "TIP109",
                f"shm={self.shm!r} is more than the memory limit, {self.amounts()['limits']['memory']}",
                where=str(self.site),
                cause="what lies in /dev/shm is memory of the container",
                fix="give a larger memory_limit, or less shm",
            )

    def mapping(self) -> JsonObject:
        """As a container has it."""
        return {name: {**amounts} for name, amounts in self.amounts().items()}

    def amounts(self) -> dict[str, dict[str, str]]:
        """Requests and limits by the names of what is asked for."""
        requests = {"cpu": self.cpu, "memory": self.memory}
        limits = {
            "cpu": self.cpu_limit or max(_CPU_LIMIT, self.cpu, key=quantity),
            "memory": self.memory_limit or max(_MEMORY_LIMIT, self.memory, key=quantity),
        }
        if self.disk:
            requests["ephemeral-storage"] = self.disk
        if self.disk_limit:
            limits["ephemeral-storage"] = self.disk_limit
        if self.gpu:
            limits[self.gpu_resource] = str(self.gpu)
        return {"requests": requests, "limits": limits}

    def shared_memory(self) -> tuple[VolumeSpec, VolumeMount] | None:
        """The ``/dev/shm`` of its own that the container needs, if it does."""
        if not self.shm and not self.gpu:
            return None
        size = {"sizeLimit": self.shm} if self.shm else {}
        return (
            {"name": _SHM, "emptyDir": {"medium": "Memory", **size}},
            {"name": _SHM, "mountPath": "/dev/shm"},
        )
