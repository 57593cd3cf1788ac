"""Which implementation runs which kind of leaf template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from tiphys.engine.machine.protocol import PodFinished, PodPhase, StartPod
from tiphys.engine.objects import Controllers, ResourcePod
from tiphys.engine.pods.executor_view import as_executor_reads
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.pod import StepPod

__all__ = ["Pod", "make_pod"]


class Pod(Protocol):
    """A started leaf template."""

    failure: tuple[PodPhase, str] | None

    def start(self) -> None: ...

    def stop(self, grace: float) -> None: ...

    def kill(self) -> None: ...


def make_pod(
    host: Host,
    resources: Controllers,
    command: StartPod,
    running: Callable[[str], None],
    done: Callable[[PodFinished], None],
    workers: Callable[[], int] | None = None,
) -> Pod:
    """The pod for a ``StartPod``: ``running(ip)`` and then ``done`` are called, each at most once.

    ``workers`` says with how many a training starts, where that is not fixed.
    """
    template = command.template
    if "http" not in template:  # no pod of its own reads that one
        template = as_executor_reads(command, host.workflow, host.uid)
        command = command if template is command.template else replace(command, template=template)
    if "resource" in template:
        return ResourcePod(host, resources, command, running, done, workers)
    if "http" in template or "data" in template:
        from tiphys.engine.pods.http import DataPod, HttpPod  # rarely wanted, and slow to import

        return (HttpPod if "http" in template else DataPod)(host, command, running, done)
    return StepPod(host, command, running, done)
