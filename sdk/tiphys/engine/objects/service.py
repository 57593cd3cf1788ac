"""The stand-in for a Service: a cluster address of its own with the load balancer in front of the ready pods.

gRPC is balanced by call, so that a client that keeps one connection reaches all replicas. A headless Service has no
address on a cluster, where DNS gives those of its pods; here one that says its address in an annotation has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tiphys.argo.gateway import ADDRESS
from tiphys.engine.objects.balancers import Balancers
from tiphys.engine.objects.deployment import PodEndpoint
from tiphys.engine.objects.front import ObjectFront, is_grpc
from tiphys.engine.pods.host import Host

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import ServiceManifest

__all__ = ["Service"]


class Service(ObjectFront):
    """The controller of one Service object."""

    def __init__(
        self,
        host: Host,
        item: ServiceManifest,
        balancers: Balancers,
        pods: Callable[[], Iterable[PodEndpoint]],
    ) -> None:
        super().__init__(host, balancers, str(item["metadata"]["name"]))
        self.item = item
        self._pods = pods
        self._own = ""  # of a headless one
        self._complete()

    @property
    def ip(self) -> str:
        given = str(self.item["spec"].get("clusterIP") or "")
        return self._own if given == "None" else given

    @property
    def urls(self) -> list[str]:
        """Those of REST."""
        ports = self.item["spec"].get("ports") or []
        return [f"http://{self.ip}:{port['port']}" for port in ports if not is_grpc(port)]

    def sync(self) -> None:
        """Point the balancers at the ready pods that match."""
        self._complete()
        if not self.ip:
            return
        for port in self.item["spec"].get("ports") or []:
            number = int(port["port"])
            self.point(
                number, dict.fromkeys(self.endpoints(number), 1.0), "grpc" if is_grpc(port) else "http"
            )

    def endpoints(self, number: int) -> list[str]:
        """The addresses behind one of its ports: of the ready pods that it selects."""
        ports = [port for port in self.item["spec"].get("ports") or [] if int(port["port"]) == number]
        return sorted(
            f"{pod.ip}:{pod.port(port['targetPort'])}"
            for port in ports
            for pod in self._pods()
            if pod.ready and self._selects(pod)
        )

    def _selects(self, pod: PodEndpoint) -> bool:
        selector = self.item["spec"].get("selector") or {}
        return bool(selector) and all(pod.labels.get(key) == str(value) for key, value in selector.items())

    def _complete(self) -> None:
        """What the API server fills in."""
        spec = self.item.setdefault("spec", {})
        ports = spec.get("ports") or []
        for port in ports:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        numbers = [int(port["port"]) for port in ports]
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self.claimed(numbers)
        notes = self.item["metadata"].get("annotations") or {}
        if spec["clusterIP"] == "None" and numbers and ADDRESS in notes:
            self._own = self._own or self.kept(notes[ADDRESS]) or self.claimed(numbers)
            notes[ADDRESS] = f"{self._own}:{numbers[0]}"
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        self.item.setdefault("status", {"loadBalancer": {}})
