"""An address of its own with load balancers behind it: what the stand-ins of a Service and of a route share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspace import claim_address

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import ServicePort
    from tiphys.engine.objects.balancers import Balancers
    from tiphys.serving.balancer import BalancerProcess

__all__ = ["ObjectFront", "is_grpc"]

_NETWORK = "127.96"
_GRPC = ("kubernetes.io/h2c", "grpc")


def is_grpc(port: ServicePort) -> bool:
    """Whether a Service's port is one of gRPC, by what it says or how it is called."""
    return port.get("appProtocol") in _GRPC or str(port.get("name") or "") == "grpc"


def _removal(name: str) -> Callable[[BalancerProcess], object]:
    return lambda client: client.remove(name)


class ObjectFront:
    """The balancers of one object, by port. ``kind`` tells them from those of another kind's objects."""

    def __init__(self, host: Host, balancers: Balancers, name: str, kind: str = "") -> None:
        self.host = host
        self.name = name
        self.problem = ""
        self._balancers = balancers
        self._kind = f"{kind}/" if kind else ""
        self._sent: dict[int, dict[str, float]] = {}
        self._in_flight = 0
        self._settled: list[Callable[[], None]] = []

    @property
    def ip(self) -> str:
        """Its address; empty where it has none."""
        return ""

    @property
    def urls(self) -> list[str]:
        """Where REST is."""
        return []

    def sync(self) -> None:
        """Point the balancers at what is behind it now."""

    def claimed(self, ports: Sequence[int]) -> str:
        """A fresh address with all these ports free."""
        return claim_address(self.host, _NETWORK, ports)

    def kept(self, note: str) -> str:
        """The address that an annotation says, if it is one of this machine's: the object is there after a resume."""
        address = note.rpartition("/")[2].partition(":")[0]
        return address if address.startswith(f"{_NETWORK}.") else ""

    def point(self, number: int, endpoints: dict[str, float], protocol: str) -> None:
        """Give the balancer of a port these endpoints, with their weights, if it has not got them."""
        if self._sent.get(number) == endpoints:
            return
        self._sent[number] = endpoints
        self._in_flight += 1
        name, ip = self._key(number), self.ip

        def over() -> None:
            self._in_flight -= 1
            if not self._in_flight:
                waiting, self._settled = self._settled, []
                for then in waiting:
                    then()

        def failed(error: BaseException) -> None:
            self.problem = str(error)
            over()

        self._balancers.ask(
            lambda client: client.apply(name, host=ip, port=number, endpoints=endpoints, protocol=protocol),
            over,
            failed,
        )

    def settled(self, then: Callable[[], None]) -> None:
        """Call ``then`` once the balancers have taken everything over."""
        if self._in_flight:
            self._settled.append(then)
        else:
            then()

    def drained(self, then: Callable[[], None]) -> None:
        """Call ``then`` when nothing runs on endpoints that left (after ten seconds at the latest)."""
        names = [self._key(number) for number in self._sent]

        def work(client: BalancerProcess) -> None:
            for name in names:
                client.drained(name, timeout=10)

        self._balancers.ask(work, then, lambda _: then())

    def delete(self) -> None:
        """Close the balancers."""
        for number in self._sent:
            self._balancers.ask(_removal(self._key(number)), lambda: None, lambda _: None)
        self.host.addresses.discard(self.ip)

    def _key(self, number: int) -> str:
        return f"{self._kind}{self.name}:{number}"
