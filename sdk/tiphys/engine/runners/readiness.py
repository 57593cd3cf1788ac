"""Readiness probes of daemons and serving replicas: httpGet, tcpSocket, exec is taken as ready once started."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from tiphys.engine.loop import Loop, Timer

__all__ = ["Readiness", "probe_once"]

Json = Any


def probe_once(probe: Mapping[str, Json], ip: str, ports: Mapping[str, int] | None = None) -> bool:
    """Try a probe now (blocking): whether it answers as ready."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    if (http := probe.get("httpGet")) is not None:
        host = str(http.get("host") or ip)
        path = "/" + str(http.get("path") or "/").lstrip("/")
        request = urllib.request.Request(f"http://{host}:{_port(http.get('port'), ports)}{path}")
        for item in http.get("httpHeaders") or []:
            request.add_header(str(item["name"]), str(item["value"]))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                return bool(200 <= answer.status < 400)
        except (OSError, urllib.error.URLError, ValueError):
            return False
    if (tcp := probe.get("tcpSocket")) is not None:
        try:
            with socket.create_connection(
                (str(tcp.get("host") or ip), _port(tcp.get("port"), ports)), timeout
            ):
                return True
        except OSError:
            return False
    return True


def _port(value: Json, ports: Mapping[str, int] | None) -> int:
    if isinstance(value, str) and not value.isdigit():
        return (ports or {}).get(value, 0)
    return int(value)


class Readiness:
    """Probes until ready, then (``watch``) goes on and tells each change; ``change(ready)``."""

    def __init__(
        self,
        loop: Loop,
        probe: Mapping[str, Json] | None,
        ip: str,
        ready: Callable[[], None],
        *,
        lost: Callable[[], None] | None = None,
        ports: Mapping[str, int] | None = None,
        period: float | None = None,
    ) -> None:
        self._loop = loop
        self._probe = probe
        self._ip = ip
        self._on_ready = ready
        self._on_lost = lost
        self._ports = ports
        self._timer: Timer | None = None
        self._stopped = False
        self.ready = False
        self._failures = 0
        # on one machine there is no reason to wait for the kubelet's seconds
        self._period = (
            period if period is not None else min(float((probe or {}).get("periodSeconds") or 10), 0.1)
        )

    def start(self) -> None:
        if not self._probe or not ({"httpGet", "tcpSocket"} & set(self._probe)):
            self._loop.call_soon(lambda: self._answer(True))
            return
        self._ask()

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _ask(self) -> None:
        if self._stopped:
            return
        probe, ip, ports = self._probe or {}, self._ip, self._ports
        self._loop.in_thread(
            lambda: probe_once(probe, ip, ports), self._answer, lambda _: self._answer(False)
        )

    def _answer(self, good: bool) -> None:
        if self._stopped:
            return
        if good:
            self._failures = 0
            if not self.ready:
                self.ready = True
                self._on_ready()
        else:
            self._failures += 1
            if self.ready and self._failures >= int((self._probe or {}).get("failureThreshold") or 3):
                self.ready = False
                if self._on_lost is not None:
                    self._on_lost()
        if self._stopped or not self._probe or (self.ready and self._on_lost is None):
            return
        self._timer = self._loop.call_later(1.0 if self.ready else self._period, self._ask)
