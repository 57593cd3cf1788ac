"""Pods: container, script, containerSet, resource, data (and http): everything the driver runs."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from tiphys.argo.any_string import any_string
from tiphys.argo.names import invalid_pod_name, pod_name
from tiphys.argo.nodes import ACTIVE
from tiphys.argo.spec import containers
from tiphys.engine.machine.arguments import input_parameters, substitute_pod
from tiphys.engine.machine.bodies.body import Body
from tiphys.engine.machine.bodies.containers import create_containers, finish_containers, run_containers
from tiphys.engine.machine.library import NODE_TYPES
from tiphys.engine.machine.protocol import PodFinished, StartPod, StopPod
from tiphys.engine.machine.state import DEADLINE_PASSED
from tiphys.expr.durations import parse_named
from tiphys.expr.gotext import atoi, atoi_problem
from tiphys.expr.tags import Layers, substitute
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Template
    from tiphys.argo.volume_types import VolumeSpec


__all__ = ["DEADLINE", "PodBody", "active_seconds", "result_users"]

DEADLINE = "Pod was active on the node longer than the specified deadline"
_RESULT = regex(r"(?:steps|tasks)(?:\.([\w-]+)|\[\s*'([\w-]+)'\s*\]|\[\s*\"([\w-]+)\"\s*\])\.outputs\.result")


def result_users(template: Template) -> frozenset[str]:
    """Return the steps or tasks whose ``outputs.result`` the template's text mentions."""
    text = json.dumps(template).replace('\\"', '"')
    return frozenset(a or b or c for a, b, c in _RESULT.findall(text))


def active_seconds(template: Template) -> int | None:
    """``activeDeadlineSeconds``, of a template whose number was looked at; None without one."""
    value = template.get("activeDeadlineSeconds")
    return None if value is None else atoi(any_string(value))


@lru_cache(maxsize=4096)
def _bare(name: str) -> str:
    """Return a step's name without the parts that loops and retries add."""
    return re.sub(r"\(.*\)$", "", name)


class PodBody(Body):
    """One pod (or HTTP request): started, running, finished."""

    __slots__ = ("message_after_stop", "phase_after_stop")

    def start(self) -> None:
        state = self.run.state
        assert self.run.compiled is not None
        kind = NODE_TYPES[self.run.compiled.kind]
        self.message_after_stop = ""
        self.phase_after_stop = ""
        self.begin(kind, "Pending")
        node = self.node
        name = pod_name(state.name, node["id"], str(self.template.get("name") or ""))
        problem = (
            self.run.display_problem()
            or self._check_deadline()
            or self._check_timeout()
            or self._check_volumes()
            or invalid_pod_name(name, state.name)
            or self._check_artifacts(name)
            or self._check_names(name)
            or self._check_env(name)
        )
        if problem:
            state.defer(self.run.fail_body, self, problem)
            return
        if self.run.compiled.kind == "containerSet":
            create_containers(self)
        deadline, deadline_message = self._deadline()
        timeout = self.run.seconds("timeout")
        if timeout is not None:
            at = state.nodes.started[node["id"]] + timeout
            if at <= state.now:
                state.defer(self.run.time_out, self)
                return
            if deadline is None or at < deadline:
                deadline, deadline_message = at, DEADLINE
            state.timer(at, f"timeout/{node['id']}", self._timed_out)
        pending = self.run.seconds("pendingTimeout")
        if pending is not None:
            at = state.nodes.started[node["id"]] + pending
            if at <= state.now:
                state.defer(self.run.time_out, self)
                return
            state.timer(at, f"pending/{node['id']}", self._timed_out)
        state.pods[node["id"]] = self
        if (
            state.workflow_deadline is not None
            and not self.run.on_exit
            and (deadline is None or state.workflow_deadline < deadline)
        ):
            deadline, deadline_message = state.workflow_deadline, DEADLINE_PASSED
        template = self._for_pod(name)
        state.emit(
            StartPod(
                node["id"],
                self.name,
                name,
                template,
                volumes=self._volumes(),
                capture_result=self._captured(),
                deadline=deadline,
                deadline_message=deadline_message,
                daemon=bool(template.get("daemon")),
                retry_attempt=max(self.attempt, 0),
                patches=self._patches(name),
                holder=self.run.id if self.run.holds_locks else "",
            )
        )

    def _check_names(self, pod: str) -> str:
        """4.1 keeps the name of Argo's own container to itself; in 4.0 the pod then has two of it."""
        if self.run.state.argo != "4.0":
            return ""
        mains = (self.template.get("containerSet") or {}).get("containers") or [{"name": "main"}]
        for at, each in enumerate([*mains, *(self.template.get("sidecars") or ())], 1):
            if each.get("name") == "wait":
                return f'Pod "{pod}" is invalid: spec.containers[{at}].name: Duplicate value: "wait"'
        return ""

    def _check_env(self, pod: str) -> str:
        """A variable has a name; Argo's own containers come before those of the template."""
        counts = {"spec.containers": 0, "spec.initContainers": 0}
        missing = []
        for path, container in containers(self.template):
            kind = f"spec.{path[0] if path[0] == 'initContainers' else 'containers'}"
            counts[kind] += 1
            missing += [
                f"{kind}[{counts[kind]}].env[{at}].name: Required value"
                for at, item in enumerate(container.get("env") or ())
                if not item.get("name")
            ]
        told = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
        return f'Pod "{pod}" is invalid: {told}' if missing else ""

    def _globals_in_pod(self, name: str) -> Layers:
        values = self.run.state.globals
        return Layers({**values.moving, **input_parameters(self.template), "pod.name": name}, values.values)

    def _for_pod(self, name: str) -> Template:
        """The template as the pod of that name gets it; what is no pod of its own gets it as it is."""
        compiled = self.run.compiled
        assert compiled is not None
        if NODE_TYPES[compiled.kind] != "Pod":
            return self.template
        return substitute_pod(compiled, self.template, lambda: self._globals_in_pod(name))

    def _volumes(self) -> tuple[VolumeSpec, ...]:
        return (*self.run.state.volumes, *(self.template.get("volumes") or ()))

    def _patches(self, name: str) -> tuple[str, ...]:
        """The texts of ``podSpecPatch``, the workflow's before the template's, with the variables of the pod."""
        patches = [self.run.state.spec.get("podSpecPatch"), self.template.get("podSpecPatch")]
        texts = [str(patch) for patch in patches if patch]
        if texts:
            known = self._globals_in_pod(name)
            for _ in range(3):  # twice as part of the template, once as part of the pod
                texts = [substitute(text, known) for text in texts]
        return tuple(texts)

    def _captured(self) -> bool:
        run = self.run
        if run.boundary is None:
            return False
        users = run.state.result_users.get(run.boundary["id"])
        if not users:
            return False
        name = run.name[len(run.boundary["name"]) :]
        name = name.partition("].")[2] if name.startswith("[") else name[1:]
        return _bare(name) in users

    def _check_deadline(self) -> str:
        value = self.template.get("activeDeadlineSeconds")
        if value is None:
            return ""
        text = any_string(value)
        return f'strconv.Atoi: parsing "{text}": {atoi_problem(text)}' if atoi(text) is None else ""

    def _check_timeout(self) -> str:
        value = self.template.get("timeout")
        if value:
            try:
                parse_named(str(value))
            except ValueError as error:
                return f"invalid timeout format {error}"
        return ""

    def _deadline(self) -> tuple[float | None, str]:
        seconds = active_seconds(self.template)
        return (None, "") if seconds is None else (self.run.state.now + seconds, DEADLINE)

    def _timed_out(self) -> None:
        if self.node["phase"] == "Pending":
            state = self.run.state
            if state.pods.pop(self.node["id"], None) is not None:
                state.emit(StopPod(self.node["id"]))
            self.run.time_out(self)

    def _check_artifacts(self, pod: str) -> str:
        """There are no artifact drivers here. Of one for an output the controller says so; for an input it makes an
        empty init container, which the API server refuses (asked of 4.0.5)."""
        inputs, outputs = self.template.get("inputs") or {}, self.template.get("outputs") or {}
        for artifact in outputs.get("artifacts") or ():
            if artifact.get("plugin"):
                return f"artifact driver {artifact['plugin'].get('name')} not found"
        asked = {item["plugin"].get("name") for item in inputs.get("artifacts") or () if item.get("plugin")}
        missing = [
            f"spec.initContainers[{at}].{field}: Required value"
            for at in range(1, len(asked) + 1)
            for field in ("name", "image")
        ]
        return f'Pod "{pod}" is invalid: [{", ".join(missing)}]' if missing else ""

    def _check_volumes(self) -> str:
        known = {volume.get("name") for volume in self._volumes()}
        for _, container in containers(self.template):
            for mount in container.get("volumeMounts") or ():
                if mount.get("name") not in known:
                    return f"volume '{mount.get('name')}' not found in workflow spec"
        return ""

    # -- events ----------------------------------------------------------------------------------------------

    def waiting(self, message: str) -> None:
        """There is no room for it yet."""
        if self.node["phase"] == "Pending":
            self.run.state.nodes.mark(self.node, "Pending", message)

    def says(self, message: str) -> None:
        """It runs, and people should know this of it."""
        if self.node["phase"] == "Running":
            self.run.state.nodes.mark(self.node, "Running", message)

    def running(self, pod_ip: str) -> None:
        """The processes run; a daemon is ready."""
        if self.node["phase"] not in ("Pending", "Running"):
            return
        if pod_ip:
            self.node["podIP"] = pod_ip
        state = self.run.state
        if self.node["phase"] == "Pending":  # it waits for nothing any more
            self.node.pop("message", None)
        if self.template.get("daemon"):
            if self.node.get("daemoned"):  # started again by the next engine: who waited for it has gone on
                return
            self.node["daemoned"] = True
            state.nodes.mark(self.node, "Running")
            boundary = self.node.get("boundaryID", "")
            state.daemons.setdefault(boundary, []).append(self)
            if self.run.retrying is not None:
                self.run.retrying.daemoned(self)
            else:
                self.run.daemoned()
            return
        state.nodes.mark(self.node, "Running")
        if self.template.get("containerSet"):
            run_containers(self)
        self.run.owner.run_changed(self.run)

    def finished(self, event: PodFinished) -> None:
        """The pod ended."""
        state = self.run.state
        state.pods.pop(self.node["id"], None)
        node = self.node
        if event.outputs:
            node["outputs"] = event.outputs.copy()
        if event.resources and node["phase"] in ACTIVE:  # a daemon may have been counted as ended before
            node["resourcesDuration"] = {**event.resources}
        phase: str = event.phase
        if self.template.get("containerSet"):
            finish_containers(self, phase, event.containers)
        if not event.created:
            self.run.fail_body(self, event.message)
            return
        message = event.message
        if self.phase_after_stop:
            phase, message = self.phase_after_stop, self.message_after_stop or message
        if node.get("daemoned"):
            node.pop("daemoned")
            if self.phase_after_stop == "":
                self.run.daemon_lost(self, phase, message)
                return
            state.nodes.mark(node, phase, message)
            return
        self.run.complete(self, phase, message)

    def stop(self, phase: str, message: str) -> None:
        """Ask for the pod's end; a node that is still Pending ends at once with ``message``."""
        state = self.run.state
        identity = self.node["id"]
        if identity in state.pods:
            state.emit(StopPod(identity))
        if self.node["phase"] == "Pending" and phase:
            state.pods.pop(identity, None)
            self.run.complete(self, phase, message)

    def end_daemon(self) -> None:
        """The boundary ended: a daemon is stopped and counts as Succeeded, unless it had ended by itself."""
        if self.node["phase"] not in ("Pending", "Running"):
            return
        self.phase_after_stop = "Succeeded"
        if self.node["id"] in self.run.state.pods:
            self.run.state.emit(StopPod(self.node["id"]))
        node: Node = self.node
        node.pop("daemoned", None)
        self.run.state.nodes.mark(node, "Succeeded", "")
