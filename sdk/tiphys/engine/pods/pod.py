"""One step's pod: container, script and containerSet templates from input artifacts to collected outputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.engine.base.loop import Timer
from tiphys.engine.base.observations import Notice
from tiphys.engine.machine.protocol import PodFinished, PodPhase, StartPod
from tiphys.engine.pods.artifacts import load_artifact
from tiphys.engine.pods.attendant import GRACE
from tiphys.engine.pods.containers import Containers
from tiphys.engine.pods.containerset import ContainerGraph
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.outputs import archives_logs, collect, has_artifacts
from tiphys.engine.pods.podspace import PodSpace, claim_address
from tiphys.engine.pods.podspec import (
    beside_main,
    gpu_shares,
    main_spec,
    patched,
    pod_containers,
    pod_metadata,
)
from tiphys.engine.runners.base import StartProblem, exit_message
from tiphys.engine.runners.hints import missing_file, no_connection
from tiphys.engine.runners.places import held
from tiphys.engine.runners.spawner import Process
from tiphys.errors import StoreError, TiphysError
from tiphys.store.files import heed_full_disk

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSet, SetContainer, SideContainer
    from tiphys.argo.types import Artifact, Outputs
    from tiphys.argo.volume_types import VolumeSpec


__all__ = ["StepPod"]


class StepPod:
    """Runs one ``StartPod`` of a container, script or containerSet template.

    ``running(ip)`` is called when all containers have started (a daemon: when it is ready), ``done`` exactly once.
    """

    def __init__(
        self,
        host: Host,
        command: StartPod,
        running: Callable[[str], None],
        done: Callable[[PodFinished], None],
    ) -> None:
        self.host = host
        self.command = command
        self._problem: StartProblem | None = None
        self._grace: float | None = None
        volumes: Sequence[VolumeSpec] = command.volumes
        self.template = command.template
        if common := host.spec.get("hostAliases"):  # a pod has the workflow's, then the template's
            own = self.template.get("hostAliases") or []
            self.template = {**self.template, "hostAliases": [*common, *own]}
        try:
            self.template, volumes, self._grace = patched(self.template, volumes, command.patches)
        except StartProblem as problem:
            self._problem = problem
        self._running = running
        self._done = done
        self._codes: dict[str, int] = {}
        self._stopping = False
        self._finished = False
        self._kill_timer: Timer | None = None
        self._pending_inits: list[SideContainer] = []
        self._graph: ContainerGraph | None = None
        self._closing = False
        self.failure: tuple[PodPhase, str] | None = None  # (phase, message) that overrides the exit codes
        # what a killed engine had started of it goes on, in its folder and at its address
        self._left = host.left_pod(command.node_id)
        if self._left is not None:
            folder, ip = host.folder / "nodes" / self._left.folder, self._left.ip
        else:
            folder = host.folders.take(command.node_id)
            ip = claim_address(host, "127.22") if command.daemon else "127.0.0.1"
        self.space = PodSpace(
            host,
            command.pod_name,
            folder,
            volumes=volumes,
            metadata=pod_metadata(host, command),
            ip=ip,
            hostname=command.pod_name[:63].rstrip("-."),
            security=self.template.get("securityContext") or host.spec.get("securityContext"),
            aliases=self.template.get("hostAliases") or (),
            containers=pod_containers(self.template),
            node=command.node_id,
        )
        self.space.gpus = gpu_shares(self.template, host.room.gpus.of(host.holder(command.node_id)))
        self._containers = Containers(
            host, self.space, command, self.template, grace=self._grace, ready=self._ready, left=self._left
        )

    @property
    def progress_file(self) -> Path | None:
        return self._containers.progress_file

    def start(self) -> None:
        """Prepare the inputs (in a thread when there are artifacts), then start the containers."""
        if self._problem is not None:
            self._finish("Error", self._problem.message, None, created=False)
            return
        artifacts = [
            item for item in (self.template.get("inputs") or {}).get("artifacts") or [] if item.get("path")
        ]
        if artifacts and self._left is None:
            self.host.loop.in_thread(lambda: self._fetch(artifacts), lambda _: self._begin(), self._refuse)
        else:
            self._begin()

    def stop(self, grace: float) -> None:
        """SIGTERM to every container, SIGKILL after ``grace`` seconds. Past a deadline it is the kubelet that ends the
        pod, preStop handlers first; what Argo stops itself gets the signal alone."""
        if self._finished or self._stopping:
            return
        self._stopping = True
        if not self._containers.running:
            if not self._closing:
                self._finish("Failed", self._exit_message(143), {"exitCode": "143"})
            return
        if self._grace is not None:
            grace = min(grace, self._grace)
        self._containers.end(grace, kindly=self.failure is not None)
        if self._kill_timer is None:
            self._kill_timer = self.host.loop.call_later(grace, self.kill)

    def clean(self) -> None:
        """Give its folder back: its end is in the journal, and nobody will collect it again."""
        self.space.clean()

    def kill(self) -> None:
        """SIGKILL everything now."""
        self._stopping = True
        self._containers.kill()

    # -- before -----------------------------------------------------------------------------------------------

    def _fetch(self, artifacts: Sequence[Artifact]) -> None:
        """In a thread: input artifacts go to the main container's files, or to a volume that is mounted there."""
        mounts, root = self.space.mounts(main_spec(self.template)), self.space.folder
        for artifact in artifacts:
            with held(str(artifact["path"]), root, mounts) as place:
                load_artifact(self.host, artifact, place)

    def _begin(self) -> None:
        if self._stopping:
            self._finish("Failed", self._exit_message(143), {"exitCode": "143"})
            return
        self._pending_inits = list(self.template.get("initContainers") or [])
        self._next_init()

    def _next_init(self) -> None:
        if not self._pending_inits:
            self._start_all()
            return
        spec = beside_main(self._pending_inits.pop(0), self.template)
        name = str(spec.get("name"))

        def ended(process: Process) -> None:
            if name in self._containers.oom_killed:  # recorded from the real controller
                text = "Pod failed before main container starts due to PodInitializing: "
                self._finish("Error", text, None)
            elif process.code:
                self._finish("Failed", exit_message(name, process.code), None)
            else:
                self._next_init()

        self._guard(lambda: self._containers.start(spec, name, ended))

    def _start_all(self) -> None:
        if (container_set := self.template.get("containerSet")) is not None:
            self._guard(lambda: self._start_set(container_set))
        else:
            self._guard(self._start_main)
        if self._finished:
            return
        for spec in self.template.get("sidecars") or []:
            name = str(spec.get("name"))
            own = beside_main(spec, self.template)
            ended = self._ended_sidecar(name)
            self._guard(partial(self._containers.start, own, name, ended, serves=True))
        if self._finished:
            return
        if not self.command.daemon:
            self._running(self.space.ip)

    def _ready(self) -> None:
        if not self._finished:
            self._running(self.space.ip)

    def _start_main(self) -> None:
        spec = main_spec(self.template)
        script = self.template.get("script")
        extra: list[Path] = []
        if script is not None:
            place = self.space.script(again=self._left is not None and ("main", 1) in self._left.containers)
            place.write_text(str(script.get("source") or ""))
            place.chmod(0o755)
            extra.append(place)
        self._containers.start(
            spec, "main", self._ended_main, scripts=extra, capture=self.command.capture_result
        )

    def _start_set(self, container_set: ContainerSet) -> None:
        def launch(spec: SetContainer, ended: Callable[[int], None]) -> None:
            name = str(spec["name"])
            shared = container_set.get("volumeMounts") or []
            spec = {**spec, "volumeMounts": [*shared, *(spec.get("volumeMounts") or [])]}

            def over(process: Process) -> None:
                if name in self._containers.oom_killed and self._graph is not None:
                    self._graph.lost(name, exit_message(name, 137, oom_killed=True))
                    self._containers.end()
                ended(process.code or 0)

            capture = self.command.capture_result and name == "main"
            try:
                self._containers.start(spec, name, over, capture=capture)
            except StartProblem as problem:
                if problem.code is not None:  # it is for the others to see
                    raise
                self._refuse(problem)
            except Exception as error:  # noqa: BLE001 - as in _guard; it may be later, when another has ended
                self._refuse(error)

        self._graph = ContainerGraph(self.host.loop, container_set, launch, self._ended_set)
        self._graph.start()

    # -- while it runs ------------------------------------------------------------------------------------------

    def _ended_main(self, process: Process) -> None:
        self._codes["main"] = process.code or 0
        self._close()

    def _ended_set(self) -> None:
        assert self._graph is not None
        self._codes["main"] = self._graph.exit_code
        self._close()

    def _ended_sidecar(self, name: str) -> Callable[[Process], None]:
        def ended(process: Process) -> None:
            self._codes[name] = process.code or 0
            if self._closing and not self._containers.running:
                self._collect()

        return ended

    def _close(self) -> None:
        """The main work is over: end the sidecars, then collect."""
        self._closing = True
        self._containers.close()
        if not self._containers.running:
            self._collect()
            return
        self._containers.end()
        if self._kill_timer is None:
            grace = GRACE if self._grace is None else self._grace
            self._kill_timer = self.host.loop.call_later(grace, self.kill)

    # -- after --------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        if self._finished:
            return
        result = self._containers.result()
        source = self._containers.main
        pod = self.command.pod_name

        archived = archives_logs(self.template, self.host.spec)
        logs = Path(self.host.log_path(self.command.node_id)) if archived else None

        def work() -> tuple[Outputs, str]:
            return collect(self.host, self.template, source, pod=pod, logs=logs)

        def done(found: tuple[Outputs, str]) -> None:
            outputs, problem = found
            if result is not None:
                outputs["result"] = result
            code = self._codes.get("main", 0)
            if self._graph is None or "main" in self._graph.names:
                outputs["exitCode"] = str(self._graph.codes.get("main", code) if self._graph else code)
            phase, message = self._verdict(problem)
            if source is not None and not source.confined and (problem or code):
                self._hint(missing_file(source, failed=bool(code)), "TIP274")
            elif source is not None and code:
                self._hint(no_connection(source, self.host.network), "TIP275")
            self._finish(phase, message, outputs or None)

        if archived or has_artifacts(self.template):
            self.host.loop.in_thread(work, done, self._refuse)
        else:
            try:
                found = work()
            except Exception as error:  # noqa: BLE001 - as in a thread
                self._refuse(error)
                return
            done(found)

    def _hint(self, text: str, code: str) -> None:
        if text:
            self.host.tell(Notice(time.time(), f"{self.command.node_name}: {text}", code))

    def _verdict(self, problem: str) -> tuple[PodPhase, str]:
        """Phase and message from the exit codes, in the order of the controller's inferFailedReason."""
        if self._graph is not None:
            for name, code in self._graph.codes.items():
                if code:
                    return "Failed", self._graph.messages.get(name) or exit_message(name, code)
        elif code := self._codes.get("main", 0):
            return "Failed", self._exit_message(code)
        if problem:
            return "Error", f"wait: Error (exit code 64): {problem}"
        for name, code in self._codes.items():
            if name != "main" and code not in (0, 137, 143):
                return "Failed", exit_message(name, code)
        return "Succeeded", ""

    def _exit_message(self, code: int) -> str:
        said = exit_message("main", code, oom_killed="main" in self._containers.oom_killed)
        words = self._containers.last_words()
        return f"{said}: {words}" if words else said

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is the step's end, and is told there
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        """The pod cannot go on."""
        if self._finished:
            return
        heed_full_disk(error)
        if isinstance(error, StartProblem):
            phase, message, code = error.phase, error.message, error.code
        elif isinstance(error, TiphysError):
            phase, message, code = "Error", f"{error.code}: {error.message}", None
            if isinstance(error, StoreError):
                self.host.tell(Notice(time.time(), str(error), error.code))
        elif isinstance(error, Exception):  # what a step does is never the end of the run
            text = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
            phase, message, code = "Error", text, None
        else:
            raise error
        if self._containers.running:
            self.failure = (phase, message)
            self._closing = True
            self._codes.setdefault("main", code or 1)
            self.kill()
            return
        self._finish(phase, message, {"exitCode": str(code)} if code is not None else None)

    def _finish(
        self, phase: PodPhase, message: str, outputs: Outputs | None, *, created: bool = True
    ) -> None:
        if self._finished:
            return
        self._finished = True
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        self._containers.close()
        if self.failure is not None:
            phase, message = self.failure
            outputs = None
        containers = self._graph.report() if self._graph is not None else {}
        if self.space.ip != "127.0.0.1":
            self.host.addresses.discard(self.space.ip)
        self._done(
            PodFinished(
                self.host.loop.now(),
                self.command.node_id,
                phase,
                message,
                outputs,
                containers,
                created,
                self._containers.resources(),
            )
        )
