"""The stand-in for a Service: a cluster address of its own with the load balancer in front of the ready pods."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from tiphys.engine.objects.api import Api
from tiphys.engine.objects.deployment import PodEndpoint
from tiphys.engine.pods.environment import base_environment
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspace import claim_address
from tiphys.engine.runners.network import NetworkLost
from tiphys.engine.runners.spawner import Launch, Process

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import ServiceManifest
    from tiphys.serving.balancer import BalancerProcess

    _Request: TypeAlias = tuple[
        Callable[[BalancerProcess], object], Callable[[], None], Callable[[BaseException], None]
    ]

__all__ = ["Balancers", "Service"]


def _removal(name: str) -> Callable[[BalancerProcess], object]:
    return lambda client: client.remove(name)


class Balancers:
    """The one process that holds every balancer of the run; requests to it go one after another, in threads."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.control = host.folder / "balancer.sock"
        self._process: Process | None = None
        self._client: BalancerProcess | None = None
        self._queue: list[_Request] = []
        self._busy = False
        self.stopped = False

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    def ask(
        self,
        work: Callable[[BalancerProcess], object],
        done: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Do ``work`` with the balancer process, then ``done`` in the loop."""
        self._queue.append((work, done, failed))
        self._next()

    def release(self) -> None:
        if self._process is not None:
            self._process.release()

    def _next(self) -> None:
        if self._busy or not self._queue or self.stopped:
            return
        self._busy = True
        work, done, failed = self._queue.pop(0)

        def task() -> object:
            return work(self._connect())

        def over(_: object) -> None:
            self._busy = False
            done()
            self._next()

        def wrong(error: BaseException) -> None:
            self._busy = False
            failed(error)
            self._next()

        try:
            if self._process is None:
                self._start()
        except NetworkLost as error:
            lost = error
            self.host.loop.call_soon(lambda: wrong(lost))
            return
        self.host.loop.in_thread(task, over, wrong)

    def _start(self) -> None:
        self.control.unlink(missing_ok=True)
        env = base_environment()
        env["PYTHONUNBUFFERED"] = "1"
        launch = Launch(
            sys.executable,
            [sys.executable, "-m", "tiphys.serving.balancer", "--control", str(self.control)],
            env,
            str(self.host.folder),
            str(self.host.log_path("balancer")),
        )
        self._process = self.host.spawner.spawn(self.host.network.joined(launch), self._ended)

    def _ended(self, process: Process) -> None:
        self._process = None
        self._client = None

    def _connect(self) -> BalancerProcess:
        """In a thread: the client, once the process answers."""
        from tiphys.errors import ServingError
        from tiphys.serving.balancer import BalancerProcess

        deadline = time.monotonic() + 30
        while self._client is None:
            try:
                self._client = BalancerProcess.attach(self.control)
            except ServingError:
                if time.monotonic() > deadline or self.stopped:
                    raise
                time.sleep(0.02)
        return self._client


class Service:
    """The controller of one Service object."""

    def __init__(
        self,
        host: Host,
        api: Api,
        item: ServiceManifest,
        balancers: Balancers,
        pods: Callable[[], Iterable[PodEndpoint]],
    ) -> None:
        self.host = host
        self.api = api
        self.item = item
        self._balancers = balancers
        self._pods = pods
        self._name = str(item["metadata"]["name"])
        self._sent: dict[int, list[str]] = {}
        self._in_flight = 0
        self._settled: list[Callable[[], None]] = []
        self.problem = ""
        self._complete()

    @property
    def ip(self) -> str:
        return str(self.item["spec"].get("clusterIP") or "")

    @property
    def urls(self) -> list[str]:
        return [f"http://{self.ip}:{port['port']}" for port in self.item["spec"].get("ports") or []]

    def sync(self) -> None:
        """Point the balancers at the ready pods that match."""
        self._complete()
        if self.ip in ("", "None"):
            return
        for port in self.item["spec"].get("ports") or []:
            number = int(port["port"])
            wanted = sorted(
                f"{pod.ip}:{pod.port(port['targetPort'])}"
                for pod in self._pods()
                if pod.ready and self._selects(pod)
            )
            if self._sent.get(number) != wanted:
                self._sent[number] = wanted
                self._apply(number, wanted)

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
            name = self._key(number)
            self._balancers.ask(_removal(name), lambda: None, lambda _: None)
        self.host.addresses.discard(self.ip)

    # -- inside -----------------------------------------------------------------------------------------------

    def _key(self, number: int) -> str:
        return f"{self._name}:{number}"

    def _selects(self, pod: PodEndpoint) -> bool:
        selector = self.item["spec"].get("selector") or {}
        return bool(selector) and all(pod.labels.get(key) == str(value) for key, value in selector.items())

    def _apply(self, number: int, endpoints: list[str]) -> None:
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
            lambda client: client.apply(name, host=ip, port=number, endpoints=endpoints),
            over,
            failed,
        )

    def _complete(self) -> None:
        """What the API server fills in."""
        spec = self.item.setdefault("spec", {})
        for port in spec.get("ports") or []:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port["port"])
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        if not spec.get("clusterIP"):
            ports = [int(port["port"]) for port in spec.get("ports") or []]
            spec["clusterIP"] = claim_address(self.host, "127.96", ports)
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        self.item.setdefault("status", {"loadBalancer": {}})
