"""Pods of a run that wait for room on this machine before they are started: the driver's side of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tiphys.engine.machine.bodies.pod import DEADLINE, active_seconds
from tiphys.engine.machine.protocol import Event, PodFinished, PodWaiting, StartPod
from tiphys.engine.pods.gpus import NoGpus
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.podspec import pod_gpus, pod_requests
from tiphys.engine.runners.base import StartProblem
from tiphys.errors import RefusedError

__all__ = ["Turns"]


class Turns:
    """``start`` is called with what may start; ``emit`` takes what is to be told of the others."""

    def __init__(self, host: Host, emit: Callable[[Event], None], start: Callable[[StartPod], None]) -> None:
        self._host = host
        self._emit = emit
        self._start = start
        self._waiting: dict[str, StartPod] = {}

    def enter(self, command: StartPod) -> None:
        """Start a pod when it has all it asks for: one that asks for nothing at once."""
        node_id = command.node_id
        try:
            count, wants = pod_gpus(command), self._requests(command)
            waits = bool(count) or self._host.room.counts(wants)
            if waits:
                self._waiting[node_id] = command
                guest = self._host.guest(node_id, command.node_name)
                granted, told = partial(self._granted, node_id), partial(self._wait, node_id)
                self._host.room.ask(guest, wants, count, granted, told)
        except (NoGpus, RefusedError, StartProblem) as error:
            self.leave(node_id)
            text = error.message
            if not isinstance(error, StartProblem):
                text = f"{error.code}: {error.message}"
                self._host.notice(error)
            self._emit(PodFinished(self._host.loop.now(), node_id, "Error", text))
            return
        if not waits:
            self._start(command)

    def taken_over(self, command: StartPod) -> StartPod:
        """One that a killed engine started, for how long nobody knows: rather too late an end than too early."""
        guest = self._host.guest(command.node_id, command.node_name)
        self._host.room.take_over(guest, self._requests(command))
        has = self._host.room.gpus.of(self._host.holder(command.node_id))
        return _from_now(command, self._host.loop.now()) if has else command

    def leave(self, node_id: str) -> bool:
        """It is not to be started any more, or has ended; whether it still waited."""
        self._host.room.give_back(self._host.holder(node_id))
        return self._waiting.pop(node_id, None) is not None

    def clear(self) -> None:
        """Nothing that waits is to be started."""
        for node_id in list(self._waiting):
            self.leave(node_id)

    def _requests(self, command: StartPod) -> dict[str, int]:
        """A patch is applied only where the answer counts: it takes longer than all the rest of a start."""
        return {} if command.patches and not self._host.room.sizes() else pod_requests(command)

    def _granted(self, node_id: str) -> None:
        self._start(_from_now(self._waiting.pop(node_id), self._host.loop.now()))

    def _wait(self, node_id: str, text: str) -> None:
        self._emit(PodWaiting(self._host.loop.now(), node_id, text))


def _from_now(command: StartPod, now: float) -> StartPod:
    """``activeDeadlineSeconds`` counts from when the pod has its node."""
    seconds = active_seconds(command.template)
    if seconds is None or command.deadline_message != DEADLINE or command.template.get("timeout"):
        return command
    return replace(command, deadline=now + seconds)
