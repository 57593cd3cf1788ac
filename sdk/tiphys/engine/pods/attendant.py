"""What the kubelet does around one container: lifecycle handlers, probes, the memory limit, and a kind end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tiphys.engine.base.loop import Timer
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.probes import Prober, ask_with, timeout_of
from tiphys.engine.runners.base import Container, StartProblem, startable
from tiphys.engine.runners.resources import memory_limit
from tiphys.engine.runners.spawner import HELPER, Process
from tiphys.errors import TiphysError

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerLifecycle, ContainerSpec, LifecycleHandler, Probe


__all__ = ["GRACE", "Attendant", "needs_attendant"]

GRACE = 30.0  # terminationGracePeriodSeconds of a pod that gives none
_PATIENCE = 3600.0  # a postStart handler has no time limit of its own


def needs_attendant(spec: ContainerSpec) -> bool:
    """Whether there is anything to attend to."""
    return bool(
        spec.get("lifecycle")
        or spec.get("livenessProbe")
        or spec.get("startupProbe")
        or ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    )


class Attendant:
    """Attends to one started container until :meth:`close`.

    A failed postStart handler, startup or liveness probe ends the container: preStop handler, SIGTERM, SIGKILL
    after the grace period. How it then exits counts, as on a cluster: a program that takes SIGTERM and exits with 0
    has succeeded. ``on_started`` is called when the startup probe (if any) has passed.
    """

    def __init__(
        self,
        host: Host,
        spec: ContainerSpec,
        container: Container,
        process: Process,
        *,
        ip: str = "127.0.0.1",
        grace: float | None = None,
        on_started: Callable[[], None] | None = None,
    ) -> None:
        self.oom_killed = False
        self.process = process
        self._host = host
        self._spec = spec
        self._container = container
        self._ip = ip
        self._grace = GRACE if grace is None else grace
        self._on_started = on_started
        self._lifecycle: ContainerLifecycle = spec.get("lifecycle") or {}
        self.ports = {
            str(port["name"]): int(port["containerPort"])
            for port in spec.get("ports") or []
            if port.get("name")
        }
        self._probers: list[Prober] = []
        self._helpers: set[Process] = set()
        self._kill_timer: Timer | None = None
        self._ending = False
        self._closed = False

    def start(self, *, again: bool = False) -> None:
        """Begin, right after the container was started. ``again``: an earlier engine had begun, and its postStart
        handler is not run once more."""
        limit = memory_limit(self._spec)
        if limit and not self._host.runner.limits_memory:
            self._host.memory.watch(self.process, limit, self._over_limit)
        if (hook := self._lifecycle.get("postStart")) is not None and not again:
            self._handle(hook, _PATIENCE, self._post_started)
        else:
            self._start_up()

    def close(self) -> None:
        """The container has ended."""
        self._closed = True
        if self._host.runner.limits_memory and self.process.code == 137 and not self.process.signalled:
            self.oom_killed = bool(memory_limit(self._spec))
        for prober in self._probers:
            prober.stop()
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        for helper in self._helpers:
            helper.kill()

    def end(self, grace: float | None = None) -> None:
        """End the container as the kubelet does."""
        if self._ending or self._closed:
            return
        self._ending = True
        for prober in self._probers:
            prober.stop()
        seconds = self._grace if grace is None else grace
        self._kill_timer = self._host.loop.call_later(seconds, self.process.kill)
        if (hook := self._lifecycle.get("preStop")) is not None:
            self._handle(hook, seconds, lambda _: self.process.signal(signal.SIGTERM))
        else:
            self.process.signal(signal.SIGTERM)

    def execute(self, command: Sequence[str], timeout: float, done: Callable[[bool | None], None]) -> None:
        """Run a command in the container: ``done(True)`` for exit code 0, ``done(None)`` when it cannot be run."""
        loop, told = self._host.loop, False

        def tell(answer: bool | None) -> None:
            nonlocal told
            if not told:
                told = True
                timer.cancel()
                done(answer)

        def ended(process: Process) -> None:
            self._helpers.discard(process)
            unknown = process.problem or process.code in self._host.runner.not_run
            tell(None if unknown else process.code == 0)

        def late() -> None:
            tell(False)
            started.kill()

        try:
            launch = startable(self._host.runner.execute(self._container, command), self._container.name)
        except (StartProblem, TiphysError, OSError, ValueError):
            loop.call_soon(lambda: done(None))
            return
        timer = loop.call_later(timeout + self._host.runner.slowness, late)
        started = self._host.spawner.spawn(launch, ended, bond=HELPER)
        self._helpers.add(started)

    # -- inside -----------------------------------------------------------------------------------------------

    def _over_limit(self) -> None:
        self.oom_killed = True

    def _post_started(self, good: bool | None) -> None:
        if self._closed:
            return
        if good:
            self._start_up()
        else:
            self.end()

    def _start_up(self) -> None:
        if (probe := self._spec.get("startupProbe")) is None:
            self._started()
        else:
            self._probe(probe, good=self._started)

    def _started(self) -> None:
        for prober in self._probers:
            prober.stop()
        if (probe := self._spec.get("livenessProbe")) is not None:
            self._probe(probe)
        if self._on_started is not None:
            self._on_started()

    def _probe(self, probe: Probe, good: Callable[[], None] | None = None) -> None:
        ask = ask_with(
            self._host.loop, self._host.network, probe, timeout_of(probe), self._ip, self.ports, self.execute
        )
        if ask is None:
            if good is not None:
                good()
            return
        own = probe.get("terminationGracePeriodSeconds")
        grace = None if own is None else float(own)
        prober = Prober(self._host.loop, probe, ask, good=good, bad=lambda: self.end(grace))
        self._probers.append(prober)
        prober.start()

    def _handle(self, hook: LifecycleHandler, timeout: float, done: Callable[[bool | None], None]) -> None:
        """Carry out a lifecycle handler."""
        if (pause := hook.get("sleep")) is not None:
            seconds = min(float(pause.get("seconds") or 0), timeout)
            self._host.loop.call_later(seconds, lambda: done(True))
            return
        ask = ask_with(self._host.loop, self._host.network, hook, timeout, self._ip, self.ports, self.execute)
        if ask is None:
            self._host.loop.call_soon(lambda: done(True))
        else:
            ask(done)
