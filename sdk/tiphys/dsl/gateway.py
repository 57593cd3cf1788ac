"""Routes of the Kubernetes Gateway API: requests and gRPC calls shared out among models by weight.

A Gateway is an administrator's; a pipeline attaches routes to it. At one listener an implementation accepts either
HTTPRoutes or GRPCRoutes for a host name (gateway.networking.k8s.io/v1), so gRPC takes a listener of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tiphys.argo.gateway import ADDRESS, GROUP
from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_name, check_object_name
from tiphys.dsl.resource import Resource, WholeNumber, splice
from tiphys.dsl.retry import Retry
from tiphys.dsl.values import Input, Value
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.gateway import RouteKind
    from tiphys.jsontypes import JsonObject

    Manifest: TypeAlias = Mapping[str, object]

__all__ = [
    "GRPC_ROUTES",
    "HTTP_ROUTES",
    "SHARED",
    "Gateway",
    "Share",
    "address",
    "grpc_port",
    "route",
    "shares",
]

HTTP_ROUTES, GRPC_ROUTES = f"httproutes.{GROUP}", f"grpcroutes.{GROUP}"
SHARED = Retry(
    limit=2,
    on="always",
    expression=f"({Retry.on_infrastructure().expression}) || lastRetry.message contains 'AlreadyExists'",
)
"""For what two steps may make at once: `kubectl apply` looks, and then creates, so the later one is told that it is
there, and finds it at its second attempt (seen on a cluster)."""
_MOST = 16  # backends of a rule, and the largest weight, as the API server has them
_HEAVIEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Gateway of the cluster, to which :meth:`Serving.split` attaches routes.

    ``namespace``: where it is, if not the workflow's. ``domain``: a slot gets the host name ``SLOT.DOMAIN``; without
    one it gets all requests to the listener. ``listener`` and ``grpc_listener``: which of its listeners take requests
    and gRPC calls. ``tls``: the first is HTTPS.

    Raises DefinitionError TIP101 (a name is not legal), TIP104 (gRPC without a listener for requests), TIP105 (one
    listener for both).
    """

    name: str
    namespace: str = ""
    domain: str = ""
    listener: str = ""
    grpc_listener: str = ""
    tls: bool = False

    def __post_init__(self) -> None:
        site = caller()
        check_object_name(self.name, "a gateway", site)
        for value, what in (
            (self.namespace, "a namespace"),
            (self.listener, "a listener"),
            (self.grpc_listener, "a listener"),
        ):
            if value:
                check_object_name(value, what, site)
        if self.domain:
            check_object_name(self.domain, "a domain", site)
        if self.grpc_listener and not self.listener:
            raise DefinitionError(
                "TIP104",
                f"Gateway({self.name!r}, grpc_listener={self.grpc_listener!r}) has no listener for requests",
                where=str(site),
                cause="an HTTPRoute that names none takes all of them, and at each a gateway accepts one kind",
                fix='name it: listener="http"',
            )
        if self.grpc_listener and self.grpc_listener == self.listener:
            raise DefinitionError(
                "TIP105",
                f"Gateway({self.name!r}) has one listener for requests and gRPC calls",
                where=str(site),
                cause="the gateway accepts one kind of route for a host name at a listener",
                fix="give gRPC a listener of its own, for example at port 8500",
            )

    def parent(self, kind: RouteKind) -> JsonObject:
        """The parentRef of a route."""
        listener = self.listener if kind == "HTTPRoute" else self.grpc_listener
        found: JsonObject = {"group": GROUP, "kind": "Gateway", "name": self.name}
        if self.namespace:
            found["namespace"] = self.namespace
        if listener:
            found["sectionName"] = listener
        return found


@dataclass(frozen=True, slots=True)
class Share:
    """A model and its weight."""

    name: Value | str
    weight: Value | int

    def arguments(self, place: int) -> Iterator[tuple[str, Value | str | int]]:
        """What the template takes for the ``place``-th model, from 1."""
        yield f"name_{place}", self.name
        yield f"weight_{place}", self.weight


def grpc_port(number: int) -> JsonObject:
    """The port of a Service for gRPC. A gateway speaks HTTP/1.1 to a port that does not say otherwise (KEP-3726)."""
    return {
        "name": "grpc",
        "protocol": "TCP",
        "appProtocol": "kubernetes.io/h2c",
        "port": number,
        "targetPort": number,
    }


def address() -> str:
    """The JSON path of :data:`ADDRESS`."""
    return "{.metadata.annotations." + ADDRESS.replace(".", "\\.") + "}"


def shares(
    kind: RouteKind, gateway: Gateway | None, models: Mapping[Value | str, Value | int], site: Site
) -> list[Share]:
    """The models with their weights. Raises DefinitionError (TIP101, TIP104, TIP109)."""
    if gateway is None:
        raise DefinitionError(
            "TIP104",
            "a split needs a gateway",
            where=str(site),
            fix='name it: Serving(…, gateway=Gateway("public"))',
        )
    if kind == "GRPCRoute" and not gateway.grpc_listener:
        raise DefinitionError(
            "TIP104",
            f"Gateway({gateway.name!r}) has no listener for gRPC",
            where=str(site),
            fix='name it: Gateway(…, listener="http", grpc_listener="grpc")',
        )
    if not 1 <= len(models) <= _MOST:
        raise DefinitionError(
            "TIP109",
            f"a split among {len(models)} models",
            where=str(site),
            cause=f"a route has from 1 to {_MOST} of them",
            fix="give their names with their weights",
        )
    for name, weight in models.items():
        if isinstance(name, str):
            check_name(name, "a model", site)
        if isinstance(weight, Value):
            continue
        if isinstance(weight, bool) or not isinstance(weight, int) or not 0 <= weight <= _HEAVIEST:
            raise DefinitionError(
                "TIP109",
                f"the weight {weight!r} of {name}",
                where=str(site),
                cause="how much a model gets beside the others is a whole number from 0",
                fix="for example {'a': 90, 'b': 10}",
            )
    if all(not isinstance(weight, Value) and not weight for weight in models.values()):
        raise DefinitionError(
            "TIP109",
            "a split in which no model gets anything",
            where=str(site),
            fix="give one of them a weight above 0",
        )
    return [Share(name, weight) for name, weight in models.items()]


def route(kind: RouteKind, gateway: Gateway, served: str, port: int, count: int) -> Resource:
    """The template of a route with ``count`` backends: the Services that :attr:`Serving.reach` makes.

    The route is not the run's: of two with one host name a gateway follows the older one, so a run takes over what
    the run before has left.
    """
    slot, http = splice(Input("slot")), kind == "HTTPRoute"
    host = f"{slot}.{gateway.domain}" if gateway.domain else ""
    said = host and (f"http{'s' if gateway.tls else ''}://{host}" if http else host)
    backends: list[Manifest] = [
        {
            "name": "{{workflow.name}}-" + splice(Input(f"name-{place}")) + "-model",
            "port": port,
            "weight": WholeNumber(Input(f"weight-{place}", int)),
        }
        for place in range(1, count + 1)
    ]
    spec: dict[str, object] = {"parentRefs": [gateway.parent(kind)]}
    if host:
        spec["hostnames"] = [host]
    spec["rules"] = [{"backendRefs": backends}]
    manifest: Manifest = {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {
            "name": f"{served}-{slot}",
            "labels": {"tiphys.dev/workflow": "{{workflow.name}}", "tiphys.dev/slot": slot},
            "annotations": {ADDRESS: said},
        },
        "spec": spec,
    }
    output = "url" if http else "target"
    inputs: dict[str, type] = {"slot": str}
    for place in range(1, count + 1):
        inputs |= {f"name_{place}": str, f"weight_{place}": int}
    return Resource(
        f"split-{count}" if http else f"split-calls-{count}",
        manifest,
        inputs=inputs,
        outputs={output: address()},
        output_defaults={output: ""},
        owned=False,
        retry=SHARED,
    )
