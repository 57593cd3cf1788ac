"""Probes of containers: httpGet, tcpSocket and exec, with the kubelet's thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.engine.base.loop import Loop, Timer
from tiphys.expr.gotext import atoi

if TYPE_CHECKING:
    from tiphys.argo.pod_types import HTTPGetAction, LifecycleHandler, Probe
    from tiphys.engine.runners.network import Network

__all__ = ["Ask", "Execute", "Prober", "ask_with", "timeout_of"]

Answer = Callable[[bool | None], None]  # None: the probe itself could not be made; the kubelet ignores it
Ask = Callable[[Answer], None]
Execute = Callable[[Sequence[str], float, Answer], None]


def timeout_of(probe: Probe) -> float:
    """The seconds that a probe waits for its answer."""
    return float(probe.get("timeoutSeconds") or 1)


def _ask_once(
    network: Network,
    probe: Probe | LifecycleHandler,
    timeout: float,
    ip: str,
    ports: Mapping[str, int] | None,
) -> bool:
    """Try an httpGet or tcpSocket probe now (blocking): whether it answers well."""
    if (http := probe.get("httpGet")) is not None:
        return _get(network, http, str(http.get("host") or ip), _port(http.get("port"), ports), timeout)
    if (tcp := probe.get("tcpSocket")) is not None:
        try:
            with network.connect(str(tcp.get("host") or ip), _port(tcp.get("port"), ports), timeout):
                return True
        except OSError:
            return False
    return True


def _get(network: Network, http: HTTPGetAction, host: str, port: int, timeout: float) -> bool:
    import ssl  # few runs probe, and these are slow to import
    import urllib.request

    from tiphys.engine.pods.reach import InsideHandler

    path = "/" + str(http.get("path") or "/").lstrip("/")
    scheme = str(http.get("scheme") or "HTTP").lower()
    request = urllib.request.Request(f"{scheme}://{host}:{port}{path}")
    for item in http.get("httpHeaders") or []:
        request.add_header(str(item["name"]), str(item["value"]))
    # the kubelet does not verify certificates, and asks the pod itself, never a proxy
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    context = ssl._create_unverified_context() if scheme == "https" else None
    handlers += [InsideHandler(network, context), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            return bool(200 <= answer.status < 400)
    except (OSError, ValueError):
        return False


def _port(value: int | str | None, ports: Mapping[str, int] | None) -> int:
    if isinstance(value, str):
        number = atoi(value)
        return (ports or {}).get(value, 0) if number is None else number
    return value or 0


def ask_with(
    loop: Loop,
    network: Network,
    probe: Probe | LifecycleHandler,
    timeout: float,
    ip: str,
    ports: Mapping[str, int] | None,
    execute: Execute | None,
) -> Ask | None:
    """How a probe (or a lifecycle handler) is made; None when it has nothing to ask."""
    if "httpGet" in probe or "tcpSocket" in probe:
        return lambda answer: loop.in_thread(
            lambda: _ask_once(network, probe, timeout, ip, ports), answer, lambda _: answer(False)
        )
    command = [str(word) for word in (probe.get("exec") or {}).get("command") or []]
    if command and execute is not None:
        return lambda answer: execute(command, timeout, answer)
    return None


class Prober:
    """Asks again and again: ``good()`` after ``successThreshold`` good answers in a row, ``bad()`` after
    ``failureThreshold`` bad ones (then, and only then, again after the other). ``period`` replaces
    ``periodSeconds``."""

    def __init__(
        self,
        loop: Loop,
        probe: Probe,
        ask: Ask,
        *,
        good: Callable[[], None] | None = None,
        bad: Callable[[], None] | None = None,
        state: bool | None = None,
        period: float | None = None,
        delay: float | None = None,
    ) -> None:
        self._loop = loop
        self._ask = ask
        self._good = good
        self._bad = bad
        self._state = state  # what was told last
        self._needed = {True: int(probe.get("successThreshold") or 1),
                        False: int(probe.get("failureThreshold") or 3)}  # fmt: skip
        self.period = float(probe.get("periodSeconds") or 10) if period is None else period
        self._delay = float(probe.get("initialDelaySeconds") or 0) if delay is None else delay
        self._last: bool | None = None
        self._row = 0
        self._timer: Timer | None = None
        self._stopped = False

    def start(self) -> None:
        self._timer = self._loop.call_later(self._delay, self._turn)

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        if not self._stopped:
            self._ask(self._answer)

    def _answer(self, good: bool | None) -> None:
        if self._stopped:
            return
        if good is not None:
            self._row = self._row + 1 if good is self._last else 1
            self._last = good
            if self._row >= self._needed[good] and self._state is not good:
                self._state = good
                told = self._good if good else self._bad
                if told is not None:
                    told()
        if not self._stopped:
            self._timer = self._loop.call_later(self.period, self._turn)
