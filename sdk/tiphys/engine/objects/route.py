"""The stand-in for an HTTPRoute and a GRPCRoute of the Gateway API: an address of its own, as if the gateway listened
there for it alone, with a load balancer that gives the Services behind it their weights.

Hostnames are not looked at: who asks that address means that route.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict, cast

from tiphys.argo.gateway import ADDRESS, ROUTES
from tiphys.engine.objects.front import ObjectFront
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.engine.objects.balancers import Balancers
    from tiphys.engine.objects.service import Service
    from tiphys.engine.pods.host import Host

    class BackendRef(TypedDict, total=False):
        group: str
        kind: str
        name: str
        namespace: str
        port: int
        weight: int
        filters: list[object]

    class RouteRule(TypedDict, total=False):
        name: str
        backendRefs: list[BackendRef]

    class RouteSpec(TypedDict, total=False):
        hostnames: list[str]
        parentRefs: list[object]
        rules: list[RouteRule]

    class RouteManifest(TypedDict, total=False):
        """Of an HTTPRoute or a GRPCRoute what has a meaning here."""

        apiVersion: str
        kind: str
        metadata: ObjectMeta
        spec: RouteSpec


__all__ = ["Route", "check_route"]

_KNOWN = {"name", "backendRefs"}


def check_route(manifest: KubeObject, where: str) -> None:
    """Raises RefusedError TIP230 for a route that does more than share out requests by weight."""
    if manifest.get("kind") not in ROUTES:
        return
    spec = cast("RouteManifest", manifest).get("spec") or {}
    rules = spec.get("rules") or []
    more = sorted({key for rule in rules for key in rule} - _KNOWN)
    backends = [each for rule in rules for each in rule.get("backendRefs") or []]
    problem = ""
    if len(rules) != 1:
        problem = f"it has {len(rules)} rules"
    elif more:
        problem = f"its rule has {', '.join(more)}"
    elif any(each.get("kind", "Service") != "Service" or each.get("group") for each in backends):
        problem = "a backend is not a Service"
    elif any(each.get("namespace") or each.get("filters") or not each.get("port") for each in backends):
        problem = "a backend has a namespace or filters, or no port"
    if problem:
        raise RefusedError(
            "TIP230",
            f"this {manifest['kind']} has no local stand-in: {problem}",
            where=where,
            cause="on this machine a route has one rule, whose backends are Services with weights",
            fix="run this workflow on a cluster, or leave the step out with a `when`",
        )


class Route(ObjectFront):
    """The controller of one route. ``service`` finds a Service by its name."""

    def __init__(
        self,
        host: Host,
        item: RouteManifest,
        balancers: Balancers,
        service: Callable[[str], Service | None],
    ) -> None:
        super().__init__(host, balancers, str(item["metadata"]["name"]), item["kind"])
        self.item = item
        self._grpc = item["kind"] == "GRPCRoute"
        self._service = service
        self._ip = ""

    @property
    def ip(self) -> str:
        return self._ip

    @property
    def urls(self) -> list[str]:
        """That of REST."""
        backends = self._backends()
        return [] if self._grpc or not backends else [f"http://{self._ip}:{backends[0]['port']}"]

    def sync(self) -> None:
        """Give the balancer the pods behind the Services: together those of one get its weight."""
        backends = self._backends()
        if not backends:
            return
        number = int(backends[0]["port"])
        self._say(number)
        shares: dict[str, float] = {}
        for backend in backends:
            service = self._service(str(backend["name"]))
            found = service.endpoints(int(backend["port"])) if service is not None else []
            for address in found:
                share = float(backend.get("weight", 1)) / len(found)
                shares[address] = shares.get(address, 0.0) + share
        self.point(number, shares, "grpc" if self._grpc else "http")

    def _backends(self) -> Sequence[BackendRef]:
        rules = self.item["spec"].get("rules") or []
        return rules[0].get("backendRefs") or [] if rules else []

    def _say(self, number: int) -> None:
        """Where it is."""
        own = self.item["metadata"]
        notes = own["annotations"] = own.get("annotations") or {}
        self._ip = self._ip or self.kept(notes.get(ADDRESS, "")) or self.claimed([number])
        place = f"{self._ip}:{number}"
        notes[ADDRESS] = place if self._grpc else f"http://{place}"
