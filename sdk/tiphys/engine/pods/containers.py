"""The containers of one step's pod that were started: their processes, and what attends to each."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.durations import pod_duration
from tiphys.engine.machine.protocol import StartPod
from tiphys.engine.pods.attendant import Attendant, needs_attendant
from tiphys.engine.pods.environment import LAST_WORDS, PROGRESS, argo_environment
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.outputs import RESULT_LIMIT, trim_result
from tiphys.engine.pods.podspace import PodSpace
from tiphys.engine.pods.podspec import declared_paths, main_spec, required_outputs
from tiphys.engine.pods.readiness import Readiness
from tiphys.engine.pods.starts import Starts
from tiphys.engine.runners.base import Container, startable
from tiphys.engine.runners.left import LeftPod
from tiphys.engine.runners.spawner import Process
from tiphys.reference import tail

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec
    from tiphys.argo.types import Template


__all__ = ["Containers"]

_LONGEST_WORDS = 4096  # bytes: as of the kubelet
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Containers:
    """Starts the containers of a pod and knows those that run. ``ready`` is called when a daemon is ready."""

    def __init__(
        self,
        host: Host,
        space: PodSpace,
        command: StartPod,
        template: Template,
        *,
        grace: float | None,
        ready: Callable[[], None],
        left: LeftPod | None = None,
    ) -> None:
        self.main: Container | None = None
        self.oom_killed: set[str] = set()
        self._host = host
        self._space = space
        self._command = command
        self._template = template
        self._grace = grace
        self._ready = ready
        self._processes: dict[str, Process] = {}
        self._ran: dict[str, tuple[ContainerSpec, float, float]] = {}  # with its start and its end, or 0
        self._attendants: dict[str, Attendant] = {}
        self._stdout: bytes | None = None
        self._starts = Starts(host, command.node_id, space, left)
        self._readiness: Readiness | None = None
        self._text = _encode(command.template)
        self._declared = declared_paths(template)
        self._daemon = ""  # the container whose readiness counts
        if command.daemon:
            self._daemon = "main" if "containerSet" not in template else str(main_spec(template).get("name"))

    @property
    def running(self) -> bool:
        return bool(self._processes)

    @property
    def progress_file(self) -> Path | None:
        """Where the main container reports its progress."""
        return self.main.on_host(PROGRESS) if self.main is not None else None

    def last_words(self) -> str:
        """What the main container left to be said of its end."""
        file = self.main.on_host(LAST_WORDS) if self.main is not None else None
        if file is None:
            return ""
        try:
            return tail(file, _LONGEST_WORDS, follow=False)
        except OSError:
            return ""

    def start(
        self,
        spec: ContainerSpec,
        name: str,
        ended: Callable[[Process], None],
        *,
        scripts: Sequence[Path] = (),
        capture: bool = False,
        serves: bool = False,
    ) -> None:
        """Start one; ``ended`` is called when it is over and no longer counts as running. Raises StartProblem.

        One that a killed engine had started is taken over as it is, running or ended. ``serves``: it is a sidecar.
        """
        suffix = "" if name == "main" else f".{name}"
        container = self._space.container(
            spec,
            name=name,
            extra_env=argo_environment(self._host, self._command, name, self._text),
            declared=self._declared,
            log=self._host.log_path(self._command.node_id + suffix),
        )
        container.scripts = tuple(scripts)
        if name == "main":
            self.main = container
            container.outputs = required_outputs(self._template)
        launch = startable(self._host.runner.launch(container), name)
        if capture:
            launch.keep = RESULT_LIMIT

        def over(process: Process) -> None:
            self._processes.pop(name, None)
            self._ran[name] = (*self._ran[name][:2], self._host.loop.now())
            attendant = self._attendants.pop(name, None)
            if attendant is not None:
                attendant.close()
                if attendant.oom_killed:
                    self.oom_killed.add(name)
            if capture:
                self._stdout = process.stdout
            ended(process)

        now = self._host.loop.now()
        taken_over = self._starts.earlier(name) is not None
        self._ran[name] = spec, self._host.since.get(self._command.node_id, now) if taken_over else now, 0.0
        process, earlier = self._starts.start(name, launch, over, serves=serves)
        self._processes[name] = process
        if (name == self._daemon or needs_attendant(spec)) and (earlier is None or earlier.alive):
            self._attend(name, spec, container, process, started=earlier is not None)

    def end(self, grace: float | None = None, *, kindly: bool = False) -> None:
        """SIGTERM to all; ``kindly``: as the kubelet does it, with preStop handlers and SIGKILL after ``grace``."""
        for name, process in list(self._processes.items()):
            attendant = self._attendants.get(name)
            if kindly and attendant is not None:
                attendant.end(grace)
            else:
                process.signal(signal.SIGTERM)

    def kill(self) -> None:
        for process in list(self._processes.values()):
            process.kill()

    def result(self) -> str | None:
        """What the main container wrote to stdout, where that was to be kept."""
        return trim_result(self._stdout) if self._stdout is not None else None

    def resources(self) -> dict[str, int]:
        """What the pod had, and for how long: its ``resourcesDuration``, if it ends now."""
        now = self._host.loop.now()
        ran = [(spec, started, ended or now) for spec, started, ended in self._ran.values()]
        inits = {str(each.get("name")) for each in self._template.get("initContainers") or ()}
        beside = [started for name, (_, started, _) in self._ran.items() if name not in inits]
        if beside:  # Argo's own container, which collects the outputs
            ran.append(({}, min(beside), now))
        return pod_duration(ran)

    def close(self) -> None:
        """Probe no more."""
        if self._readiness is not None:
            self._readiness.stop()

    def _attend(
        self, name: str, spec: ContainerSpec, container: Container, process: Process, *, started: bool
    ) -> None:
        def ready() -> None:
            if name == self._daemon:
                self._readiness = Readiness(
                    self._host.loop,
                    self._host.network,
                    spec.get("readinessProbe"),
                    self._space.ip,
                    self._ready,
                    ports=attendant.ports,
                    execute=attendant.execute,
                )
                self._readiness.start()

        attendant = self._attendants[name] = Attendant(
            self._host,
            spec,
            container,
            process,
            ip=self._space.ip,
            grace=self._grace,
            on_started=ready,
        )
        attendant.start(again=started)
