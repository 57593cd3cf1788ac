"""What balances HTTP on this machine: one interface, and what is behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tiphys.errors import ServingError, did_you_mean
from tiphys.serving.balancer.envoy import EnvoyBalancer
from tiphys.serving.balancer.facade import Balancer
from tiphys.serving.balancer.haproxy import HaproxyBalancer, haproxy
from tiphys.serving.balancer.haproxy_text import POLICIES, SLOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiphys.serving.balancer.core import Settings, Stats
    from tiphys.serving.balancer.endpoint import Endpoints
    from tiphys.serving.balancer.pin import VersionPin

__all__ = ["DRIVERS", "HttpDriver", "start_driver"]

DRIVERS = ("auto", "built-in", "haproxy", "envoy")
"""``auto``: HAProxy where it is installed and does what is asked for, else the built-in one."""


class HttpDriver(Protocol):
    """A balancer of HTTP: :class:`Balancer`, :class:`HaproxyBalancer` and :class:`EnvoyBalancer`."""

    @property
    def url(self) -> str:
        """Where it listens."""
        ...

    @property
    def grpc_address(self) -> str:
        """``HOST:PORT`` of gRPC; empty for one that does not answer it."""
        ...

    def set_endpoints(self, endpoints: Endpoints) -> None: ...

    def pin(self, pin: VersionPin | None) -> None: ...

    def stats(self) -> Stats: ...

    def stop(self, drain_seconds: float = 10.0) -> bool: ...


def start_driver(
    driver: str,
    host: str,
    port: int,
    *,
    model: str,
    policy: str = "round-robin",
    replicas: int = 1,
    settings: Settings | None = None,
    grpc_port: int | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> HttpDriver:
    """Balance for ``model`` at this address; it is bound when this returns. ``report`` is told which it is where
    there is a choice. ``grpc_port``: of gRPC, which HAProxy answers, and the built-in one leaves to others.

    Raises ServingError TIP510 (cannot listen), TIP511 (unknown driver, or a policy that it has not), TIP531 (HAProxy or
    Envoy was asked for, and does not start).
    """
    if driver not in DRIVERS:
        raise ServingError(
            "TIP511",
            f"Unknown load balancer {driver!r}.{did_you_mean(driver, DRIVERS)}",
            fix=f"Use one of: {', '.join(DRIVERS)}.",
        )
    path = f"/v1/models/{model}"
    if driver == "envoy":  # it costs what the built-in one costs: nobody gets it who does not ask for it
        return EnvoyBalancer(
            host, port, model=model, policy=policy, health_path=path, settings=settings
        ).start()
    # a replica that is replaced has its place beside the new one for a while
    fits = policy in POLICIES and 2 * replicas <= SLOTS
    if driver == "haproxy" or (driver == "auto" and fits and haproxy()):
        front = HaproxyBalancer(
            host, port, model=model, policy=policy, health_path=path, settings=settings, grpc_port=grpc_port
        )
        try:
            front.start()
        except ServingError as error:
            if driver != "auto" or error.code != "TIP531":
                raise
            report(f"HAProxy is left out: {error.cause or error.message}")
        else:
            report("load balancer: HAProxy")
            return front
    return Balancer(host, port, policy=policy, health_path=path, settings=settings).start()
