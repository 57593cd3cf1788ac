"""A pod that a controller made: a training worker or a serving replica, as processes of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import Notice
from tiphys.engine.objects.seats import Seats
from tiphys.engine.pods.attendant import GRACE, Attendant
from tiphys.engine.pods.gpus import NoGpus
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspace import PodSpace
from tiphys.engine.pods.starts import Starts
from tiphys.engine.runners.base import StartProblem, startable
from tiphys.engine.runners.left import LeftPod
from tiphys.engine.runners.spawner import Process
from tiphys.errors import TiphysError
from tiphys.store.files import heed_full_disk

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import PodSpec, PodTemplate
    from tiphys.argo.pod_types import ContainerSpec

__all__ = ["Replica", "describe_end", "end_of", "pod_record"]

_BACKOFF = (0.2, 10.0)  # the kubelet's 10 s .. 300 s, scaled to one machine


def describe_end(host: Host, name: str, what: str, *, lines: int = 15) -> list[str]:
    """``what`` and the last lines of a replica's log."""
    path = Path(host.log_path(name))
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 64_000))
            end = stream.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        end = []
    return [f"{what}; the end of {path}:", *(f"  | {line}" for line in end)]


def pod_record(owner: str, name: str) -> str:
    """What a pod is called where its starts are written down; ``owner``: the UID of the object that made it."""
    return f"{owner}/{name}"


def end_of(left: LeftPod, spec: PodSpec, *, main: str, restart: str) -> int | None:
    """The code with which a pod that a killed engine left was over; None: it was not."""
    for init in spec.get("initContainers") or []:
        if (found := left.last(str(init.get("name")))) is not None and found.code:
            return found.code
    found = left.last(main)
    if found is None or found.code is None or _runs_again(restart, found.code):
        return None
    return found.code


def _runs_again(restart: str, code: int) -> bool:
    """Whether a pod's ``restartPolicy`` starts a container again that ended with this code."""
    return restart == "Always" or (restart == "OnFailure" and code != 0)


class Replica:
    """Runs a pod template. ``ended(code)``: the pod is over (``restartPolicy`` never restarts it, or it succeeded).

    ``restarted(count)`` is called each time a container is started again. ``main`` names the container whose exit
    code counts; the others are sidecars. ``addresses``: where on this machine those are that the variables of its
    containers name (``host:port``). ``seats``: the GPUs of the gang that it belongs to; alone it waits for its
    own. ``owner``: the UID of the object that made it, if it outlives the engine; ``left``: what a killed engine had
    started of it, which goes on. ``node``: the step that it works for, as its ``worker``.
    """

    def __init__(
        self,
        host: Host,
        name: str,
        template: PodTemplate,
        *,
        main: str,
        restart: str,
        ended: Callable[[int], None],
        restarted: Callable[[int], None] | None = None,
        extra_env: Mapping[str, str] | None = None,
        addresses: Mapping[str, str] | None = None,
        ip: str = "127.0.0.1",
        seats: Seats | None = None,
        owner: str = "",
        left: LeftPod | None = None,
        node: str = "",
        worker: str = "",
    ) -> None:
        self.host = host
        self.name = name
        self.ip = ip if left is None else left.ip
        self.restarts = 0
        self._spec: PodSpec = template.get("spec") or {}
        self._gang = seats  # of which it is a part; None: it is alone
        self._seats = seats or Seats(host, f"pod/{name}", {name: self._spec})
        self._main = main
        self._restart = restart
        self._on_end = ended
        self._on_restart = restarted
        self._extra_env = dict(extra_env or {})
        self._processes: dict[str, Process] = {}
        self._attendants: dict[str, Attendant] = {}
        self._timer: Timer | None = None
        self._inits: list[ContainerSpec] = list(self._spec.get("initContainers") or [])
        self._work = {main, *(str(each.get("name")) for each in self._inits)}  # the others are sidecars
        self._stopping = False
        self._over = False
        self._code = 0
        self.told: Path | None = None  # the file that it tells in what it has to tell
        self.last_code = 0  # of the last main process that ended, also when it was started again
        self._gone: list[Callable[[], None]] = []
        self._started_at = 0.0
        grace = self._spec.get("terminationGracePeriodSeconds")
        self._grace = GRACE if grace is None else float(grace)
        self.space = PodSpace(
            host,
            name,
            host.folders.take(name) if left is None else host.folder / "nodes" / left.folder,
            volumes=self._spec.get("volumes") or (),
            metadata=template.get("metadata"),
            ip=self.ip,
            hostname=name[:63],
            security=self._spec.get("securityContext"),
            aliases=self._spec.get("hostAliases") or (),
            containers={
                str(each.get("name")): each for each in [*(self._spec.get("containers") or []), *self._inits]
            },
            main=main,
            addresses=addresses,
            node=node,
            worker=worker,
        )
        self._starts = Starts(host, pod_record(owner, name) if owner else "", self.space, left)

    @property
    def alive(self) -> bool:
        """Whether any of its processes runs."""
        return bool(self._processes)

    @property
    def over(self) -> bool:
        return self._over

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values() if process.pid]

    def execute(self, command: Sequence[str], timeout: float, done: Callable[[bool | None], None]) -> None:
        """Run a command in the main container, for an exec probe; ``done(False)`` while it does not run."""
        attendant = self._attendants.get(self._main)
        if attendant is None:
            self.host.loop.call_soon(lambda: done(False))
        else:
            attendant.execute(command, timeout, done)

    def start(self, started: Callable[[], None] | None = None) -> None:
        """Run the init containers one after another, then the others; ``started``: it has its GPUs, and begins."""

        def begin() -> None:
            self._go_on()
            if started is not None:
                started()

        if self._gang is not None:
            begin()
            return
        try:
            self._seats.take(begin)
        except (NoGpus, StartProblem) as error:
            self.host.tell(Notice(time.time(), f"{self.name}: {error}", getattr(error, "code", None) or ""))
            self.host.loop.call_soon(self._could_not_start)

    def _go_on(self) -> None:
        self.space.gpus = self._seats.of(self.name)
        if self._inits:
            spec = self._inits.pop(0)
            self._spawn(spec, lambda process: self._init_ended(process))
            return
        for spec in self._spec.get("containers") or []:
            self._spawn(spec, self._container_ended(str(spec.get("name"))))

    def stop(self, gone: Callable[[], None] | None = None, *, grace: float | None = None) -> None:
        """SIGTERM, then SIGKILL; ``gone`` when nothing is left."""
        if gone is not None:
            self._gone.append(gone)
        if self._timer is not None:
            self._timer.cancel()
        if not self._processes:
            self._stopping = True
            self._end()
            return
        if self._stopping:
            return
        self._stopping = True
        seconds = min(self._grace, self.host.options.grace) if grace is None else grace
        for attendant in self._attendants.values():
            attendant.end(seconds)
        self._timer = self.host.loop.call_later(seconds, self.kill)

    def kill(self) -> None:
        self._stopping = True
        for process in list(self._processes.values()):
            process.kill()

    def release(self) -> None:
        """Let its processes outlive the run."""
        for process in self._processes.values():
            process.release()
        if self._gang is None and self.pids:
            self._seats.leave(self.pids[0])

    # -- inside -----------------------------------------------------------------------------------------------

    def _spawn(self, spec: ContainerSpec, ended: Callable[[Process], None]) -> None:
        name = str(spec.get("name"))
        suffix = "" if name == self._main else f".{name}"
        try:
            container = self.space.container(
                spec,
                extra_env=self._extra_env if name == self._main else None,
                log=self.host.log_path(self.name + suffix),
            )
            launch = startable(self.host.runner.launch(container), name)
            if name == self._main:
                self.told = Path(container.told) if container.told is not None else None
        except (StartProblem, TiphysError, OSError, ValueError) as error:
            heed_full_disk(error)
            text = str(getattr(error, "message", error))
            code = getattr(error, "code", None)
            self.host.tell(Notice(time.time(), f"{self.name}: {text}", code if isinstance(code, str) else ""))
            self.host.loop.call_soon(lambda: self._could_not_start())
            return
        self._started_at = self.host.loop.now()

        def over(process: Process) -> None:
            if (attendant := self._attendants.pop(name, None)) is not None:
                attendant.close()
            ended(process)

        process, earlier = self._starts.start(name, launch, over, serves=name not in self._work)
        self._processes[name] = process
        if earlier is not None and not earlier.alive:
            return
        attendant = self._attendants[name] = Attendant(
            self.host, spec, container, process, ip=self.ip, grace=self._grace
        )
        attendant.start(again=earlier is not None)

    def _could_not_start(self) -> None:
        self._code = self._code or 128
        if not self._processes:
            self._end()

    def _init_ended(self, process: Process) -> None:
        self._processes.clear()
        if self._stopping or process.code:
            self._code = process.code or 143
            self._end()
        else:
            self._go_on()

    def _container_ended(self, name: str) -> Callable[[Process], None]:
        def ended(process: Process) -> None:
            self._processes.pop(name, None)
            code = process.code or 0
            if name == self._main:
                self._code = code
                self.last_code = code
            if self._stopping:
                if not self._processes:
                    self._end()
                return
            if _runs_again(self._restart, code):
                self._restart_later(name)
            elif name == self._main:
                # the pod lives as long as a container does, but only this one is waited for
                if self._processes:
                    self.stop()
                else:
                    self._end()
            elif not self._processes:
                self._end()

        return ended

    def _restart_later(self, name: str) -> None:
        if self._starts.earlier(name) is not None:  # it was restarted already
            delay = 0.0
        elif self.host.loop.now() - self._started_at > 60:
            delay = _BACKOFF[0]
        else:
            delay = min(_BACKOFF[0] * 2.0 ** min(self.restarts, 10), _BACKOFF[1])
        self.restarts += 1

        def again() -> None:
            self._timer = None
            if self._stopping or self._over:
                return
            spec = next(each for each in self._spec["containers"] if str(each.get("name")) == name)
            self._spawn(spec, self._container_ended(name))

        self._timer = self.host.loop.call_later(delay, again)
        if self._on_restart is not None:
            self._on_restart(self.restarts)

    def _end(self) -> None:
        if not self._over:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            self.space.clean()
            if self._gang is None:
                self._seats.give_back()
            if self.ip != "127.0.0.1":
                self.host.addresses.discard(self.ip)
            self._on_end(self._code)
        waiting, self._gone = self._gone, []
        for each in waiting:
            each()
