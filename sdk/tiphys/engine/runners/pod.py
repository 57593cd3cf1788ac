"""One step's pod: container, script and containerSet templates from input artifacts to collected outputs."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tiphys.engine.core.protocol import PodFinished, StartPod
from tiphys.engine.loop import Timer
from tiphys.engine.observe import Notice
from tiphys.engine.runners.artifacts import load_artifact
from tiphys.engine.runners.base import Container, StartProblem, place_of
from tiphys.engine.runners.capture import Capture
from tiphys.engine.runners.containerset import Graph
from tiphys.engine.runners.host import Host
from tiphys.engine.runners.outputs import archives_logs, collect, has_artifacts
from tiphys.engine.runners.podspace import PodSpace, claim_address
from tiphys.engine.runners.readiness import Readiness
from tiphys.engine.runners.spawner import Process
from tiphys.errors import StoreError, TiphysError

__all__ = ["StepPod"]

Json = Any
SCRIPT = "/argo/staging/script"
PROGRESS = "/tmp/.argo-progress"  # not below /var/run/argo: that would be a folder more for every step
_ARG_LIMIT = 100_000  # a single environment value must stay below the kernel's 128 kB


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
        self.template = command.template
        self._running = running
        self._done = done
        self._processes: dict[str, Process] = {}
        self._codes: dict[str, int] = {}
        self._problems: dict[str, str] = {}
        self._main: Container | None = None
        self._capture: Capture | None = None
        self._stopping = False
        self._finished = False
        self._kill_timer: Timer | None = None
        self._readiness: Readiness | None = None
        self._pending_inits: list[Mapping[str, Json]] = []
        self._graph: Graph | None = None
        self._closing = False
        self.failure: tuple[str, str] | None = None  # (phase, message) that overrides the exit codes
        ip = claim_address(host, "127.22") if command.daemon else "127.0.0.1"
        self._text = json.dumps(self.template, separators=(",", ":"), ensure_ascii=False)
        self.space = PodSpace(
            host,
            command.pod_name,
            host.folders.take(command.node_id),
            volumes=command.volumes,
            metadata=_metadata(host, command),
            ip=ip,
            hostname=command.pod_name[:63].rstrip("-."),
        )

    @property
    def progress_file(self) -> Path | None:
        return self._main.on_host(PROGRESS) if self._main is not None else None

    def start(self) -> None:
        """Prepare the inputs (in a thread when there are artifacts), then start the containers."""
        artifacts = [
            item for item in (self.template.get("inputs") or {}).get("artifacts") or [] if item.get("path")
        ]
        if artifacts:
            self.host.loop.in_thread(lambda: self._fetch(artifacts), lambda _: self._begin(), self._refuse)
        else:
            self._begin()

    def stop(self, grace: float) -> None:
        """SIGTERM to every container, SIGKILL after ``grace`` seconds."""
        if self._finished or self._stopping:
            return
        self._stopping = True
        if not self._processes:
            if not self._closing:
                self._finish("Failed", self._exit_message(143), {"exitCode": "143"})
            return
        for process in list(self._processes.values()):
            process.signal(signal.SIGTERM)
        if self._kill_timer is None:
            self._kill_timer = self.host.loop.call_later(grace, self.kill)

    def kill(self) -> None:
        """SIGKILL everything now."""
        self._stopping = True
        for process in list(self._processes.values()):
            process.kill()

    # -- before -----------------------------------------------------------------------------------------------

    def _fetch(self, artifacts: Sequence[Mapping[str, Json]]) -> None:
        """In a thread: input artifacts go to the main container's files, or to a volume that is mounted there."""
        mounts, root = self.space.mounts(_main_spec(self.template)), self.space.folder
        for artifact in artifacts:
            load_artifact(self.host, artifact, place_of(str(artifact["path"]), root, mounts))

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
        spec = self._pending_inits.pop(0)
        name = str(spec.get("name"))

        def ended(process: Process) -> None:
            self._processes.pop(name, None)
            if process.code:
                self._finish("Failed", _message(name, process.code), None)
            else:
                self._next_init()

        self._guard(lambda: self._spawn(spec, name, ended))

    def _start_all(self) -> None:
        if (container_set := self.template.get("containerSet")) is not None:
            self._guard(lambda: self._start_set(container_set))
        else:
            self._guard(self._start_main)
        if self._finished:
            return
        for spec in self.template.get("sidecars") or []:
            name = str(spec.get("name"))
            self._guard(lambda spec=spec, name=name: self._spawn(spec, name, self._ended_sidecar(name)))  # type: ignore[misc]
        if self._finished:
            return
        if self.command.daemon:
            probe = _main_spec(self.template).get("readinessProbe")
            self._readiness = Readiness(self.host.loop, probe, self.space.ip, self._ready)
            self._readiness.start()
        else:
            self._running(self.space.ip)

    def _ready(self) -> None:
        if not self._finished:
            self._running(self.space.ip)

    def _start_main(self) -> None:
        spec = dict(_main_spec(self.template))
        script = self.template.get("script")
        extra: list[Path] = []
        if script is not None and script.get("source"):
            place = self.space.folder / SCRIPT[1:]
            place.parent.mkdir(parents=True)
            place.write_text(str(script["source"]))
            place.chmod(0o755)
            extra.append(place)
            spec["command"] = [*(spec.get("command") or []), SCRIPT]
        name = str(spec.get("name") or "main")
        self._spawn(
            spec, "main", self._ended_main, scripts=extra, shown=name, capture=self.command.capture_result
        )

    def _start_set(self, container_set: Mapping[str, Json]) -> None:
        def launch(spec: Mapping[str, Json], ended: Callable[[int], None]) -> None:
            name = str(spec["name"])
            shared = container_set.get("volumeMounts") or []
            spec = {**spec, "volumeMounts": [*shared, *(spec.get("volumeMounts") or [])]}

            def over(process: Process) -> None:
                self._processes.pop(name, None)
                ended(process.code or 0)

            capture = self.command.capture_result and name == "main"
            self._spawn(spec, name, over, capture=capture)

        self._graph = Graph(self.host.loop, container_set, launch, self._ended_set)
        self._graph.start()

    # -- while it runs ------------------------------------------------------------------------------------------

    def _spawn(
        self,
        spec: Mapping[str, Json],
        name: str,
        ended: Callable[[Process], None],
        *,
        scripts: Sequence[Path] = (),
        shown: str = "",
        capture: bool = False,
    ) -> None:
        if spec.get("mirrorVolumeMounts"):
            spec = {
                **spec,
                "volumeMounts": [
                    *(spec.get("volumeMounts") or []),
                    *_main_spec(self.template).get("volumeMounts", []),
                ],
            }
        suffix = "" if name == "main" else f".{name}"
        container = self.space.container(
            spec,
            name=name,
            extra_env=self._argo_env(name),
            declared=_declared(self.template),
            log=self.host.log_path(self.command.node_id + suffix),
        )
        container.scripts = tuple(scripts)
        if name == "main":
            self._main = container
        launch = self.host.runner.launch(container)
        if capture:
            self._capture = Capture(self.host.loop, container.log)
            launch.descriptors = (self._capture.writer,)
            launch.err = str(container.log)
        self._processes[name] = self.host.spawner.spawn(launch, ended)
        if capture and self._capture is not None:
            self._capture.started()

    def _ended_main(self, process: Process) -> None:
        self._processes.pop("main", None)
        self._codes["main"] = process.code or 0
        self._close()

    def _ended_set(self) -> None:
        assert self._graph is not None
        self._codes["main"] = self._graph.exit_code
        self._close()

    def _ended_sidecar(self, name: str) -> Callable[[Process], None]:
        def ended(process: Process) -> None:
            self._processes.pop(name, None)
            self._codes[name] = process.code or 0
            if self._closing and not self._processes:
                self._collect()

        return ended

    def _close(self) -> None:
        """The main work is over: end the sidecars, then collect."""
        self._closing = True
        if self._readiness is not None:
            self._readiness.stop()
        if not self._processes:
            self._collect()
            return
        for process in self._processes.values():
            process.signal(signal.SIGTERM)
        if self._kill_timer is None:
            grace = self.template.get("terminationGracePeriodSeconds")
            self._kill_timer = self.host.loop.call_later(30.0 if grace is None else float(grace), self.kill)

    # -- after --------------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        if self._finished:
            return
        result = self._capture.result() if self._capture is not None else None
        source = self._main
        pod = self.command.pod_name

        archived = archives_logs(self.template, self.host.spec)
        logs = self.host.log_path(self.command.node_id) if archived else None

        def work() -> tuple[dict[str, Json], str]:
            return collect(self.host, self.template, source, pod=pod, logs=logs)

        def done(found: tuple[dict[str, Json], str]) -> None:
            outputs, problem = found
            if result is not None:
                outputs["result"] = result
            code = self._codes.get("main", 0)
            if self._graph is None or "main" in self._graph.names:
                outputs["exitCode"] = str(self._graph.codes.get("main", code) if self._graph else code)
            phase, message = self._verdict(problem)
            self._finish(phase, message, outputs or None)

        if archived or has_artifacts(self.template):
            self.host.loop.in_thread(work, done, self._refuse)
        else:
            try:
                found = work()
            except (TiphysError, OSError) as error:
                self._refuse(error)
                return
            done(found)

    def _verdict(self, problem: str) -> tuple[str, str]:
        """Phase and message from the exit codes, in the order of the controller's inferFailedReason."""
        if self._graph is not None:
            for name, code in self._graph.codes.items():
                if code:
                    return "Failed", self._graph.messages.get(name) or _message(name, code)
        elif code := self._codes.get("main", 0):
            return "Failed", self._exit_message(code)
        if problem:
            return "Error", f"wait: Error (exit code 64): {problem}"
        for name, code in self._codes.items():
            if name != "main" and code not in (0, 137, 143):
                return "Failed", _message(name, code)
        return "Succeeded", ""

    def _exit_message(self, code: int) -> str:
        return self._problems.get("main") or _message("main", code)

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (StartProblem, TiphysError, OSError) as error:
            self._refuse(error)

    def _refuse(self, error: BaseException) -> None:
        """The pod cannot go on."""
        if self._finished:
            return
        if isinstance(error, StartProblem):
            phase, message, code = error.phase, error.message, error.code
        elif isinstance(error, TiphysError):
            phase, message, code = "Error", f"{error.code}: {error.message}", None
            if isinstance(error, StoreError):
                self.host.tell(Notice(time.time(), str(error), error.code))
        elif isinstance(error, OSError):
            phase, message, code = "Error", str(error), None
        else:
            raise error
        if self._processes:
            self.failure = (phase, message)
            self._closing = True
            self._codes.setdefault("main", code or 1)
            self.kill()
            return
        self._finish(phase, message, {"exitCode": str(code)} if code is not None else None)

    def _finish(self, phase: str, message: str, outputs: dict[str, Json] | None) -> None:
        if self._finished:
            return
        self._finished = True
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        if self._readiness is not None:
            self._readiness.stop()
        if self._capture is not None:
            self._capture.close()
        if self.failure is not None:
            phase, message = self.failure
            outputs = None
        containers = self._graph.report() if self._graph is not None else {}
        self.space.clean()
        if self.space.ip != "127.0.0.1":
            self.host.addresses.discard(self.space.ip)
        self._done(
            PodFinished(
                self.host.loop.now(),
                self.command.node_id,
                phase,  # type: ignore[arg-type]
                message,
                outputs,
                containers,
            )
        )

    def _argo_env(self, name: str) -> dict[str, str]:
        env = {
            "ARGO_CONTAINER_NAME": name,
            "ARGO_NODE_ID": self.command.node_id,
            "ARGO_POD_NAME": self.command.pod_name,
            "ARGO_WORKFLOW_NAME": self.host.workflow,
            "ARGO_WORKFLOW_UID": self.host.uid,
            "ARGO_INCLUDE_SCRIPT_OUTPUT": "true" if self.command.capture_result else "false",
            "ARGO_DEADLINE": _time(self.command.deadline),
            "ARGO_PROGRESS_FILE": PROGRESS,
            "ARGO_PROGRESS_FILE_TICK_DURATION": "3s",
            "ARGO_PROGRESS_PATCH_TICK_DURATION": "1m0s",
        }
        if len(self._text) < _ARG_LIMIT:
            env["ARGO_TEMPLATE"] = self._text
        return env


def _message(name: str, code: int) -> str:
    return f"{name}: Error (exit code {code})"


def _time(at: float | None) -> str:
    if at is None:
        return "0001-01-01T00:00:00Z"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _main_spec(template: Mapping[str, Json]) -> Mapping[str, Json]:
    found = template.get("container") or template.get("script")
    if found is not None:
        return dict(found)
    for spec in (template.get("containerSet") or {}).get("containers") or []:
        if spec.get("name") == "main":
            return dict(spec)
    containers = (template.get("containerSet") or {}).get("containers") or [{}]
    return dict(containers[0])


def _declared(template: Mapping[str, Json]) -> list[str]:
    """The paths of the template's inputs and outputs."""
    paths = []
    for side in ("inputs", "outputs"):
        group = template.get(side) or {}
        paths += [item["path"] for item in group.get("artifacts") or [] if item.get("path")]
        for item in group.get("parameters") or []:
            path = (item.get("valueFrom") or {}).get("path")
            if path:
                paths.append(path)
    return [str(path) for path in paths]


def _metadata(host: Host, command: StartPod) -> dict[str, Json]:
    given = command.template.get("metadata") or {}
    labels = {
        **(given.get("labels") or {}),
        "workflows.argoproj.io/workflow": host.workflow,
        "workflows.argoproj.io/completed": "false",
    }
    annotations = {
        **(given.get("annotations") or {}),
        "workflows.argoproj.io/node-name": command.node_name,
        "workflows.argoproj.io/node-id": command.node_id,
    }
    return {"labels": labels, "annotations": annotations}
