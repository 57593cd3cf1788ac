"""Readiness of daemons and serving replicas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tiphys.engine.base.loop import Loop
from tiphys.engine.pods.probes import Execute, Prober, ask_with, timeout_of

if TYPE_CHECKING:
    from tiphys.argo.pod_types import Probe
    from tiphys.engine.runners.network import Network

__all__ = ["Readiness"]

_FAST = 0.05  # on one machine there is no reason to wait for the kubelet's seconds


class Readiness:
    """Probes until ready; with ``lost`` it goes on, and tells when that is over. No probe: ready at once."""

    def __init__(
        self,
        loop: Loop,
        network: Network,
        probe: Probe | None,
        ip: str,
        ready: Callable[[], None],
        *,
        lost: Callable[[], None] | None = None,
        ports: Mapping[str, int] | None = None,
        execute: Execute | None = None,
    ) -> None:
        self._loop = loop
        self._on_ready = ready
        self._on_lost = lost
        self._stopped = False
        self.ready = False
        ask = ask_with(loop, network, probe, timeout_of(probe), ip, ports, execute) if probe else None
        self._prober: Prober | None = None
        if probe and ask is not None:
            period = min(float(probe.get("periodSeconds") or 10), _FAST)
            self._prober = Prober(loop, probe, ask, good=self._good, bad=self._bad, period=period, delay=0.0)

    def start(self) -> None:
        if self._prober is None:
            self._loop.call_soon(self._good)
        else:
            self._prober.start()

    def stop(self) -> None:
        self._stopped = True
        if self._prober is not None:
            self._prober.stop()

    def _good(self) -> None:
        if self._stopped:
            return
        self.ready = True
        if self._prober is not None:
            if self._on_lost is None:
                self._prober.stop()
            self._prober.period = 1.0
        self._on_ready()

    def _bad(self) -> None:
        if self.ready:
            self.ready = False
            if self._prober is not None:
                self._prober.period = _FAST
            if self._on_lost is not None:
                self._on_lost()
