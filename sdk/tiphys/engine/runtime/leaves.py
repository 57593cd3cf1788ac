"""Which implementation runs which kind of leaf template."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiphys.engine.machine.protocol import PodFinished, StartPod
from tiphys.engine.objects import ResourcePod, Resources
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.pod import StepPod

if TYPE_CHECKING:
    from tiphys.engine.runtime.driver import Pod

__all__ = ["make_pod"]

Json = Any


def make_pod(
    host: Host,
    resources: Resources,
    command: StartPod,
    running: Callable[[str], None],
    done: Callable[[PodFinished], None],
) -> Pod:
    """The pod for a ``StartPod``: ``running(ip)`` and then ``done`` are called, each at most once."""
    template = command.template
    if "resource" in template:
        return ResourcePod(host, resources, command, running, done)
    if "http" in template or "data" in template:
        from tiphys.engine.pods.http import DataPod, HttpPod  # rarely wanted, and slow to import

        return (HttpPod if "http" in template else DataPod)(host, command, running, done)
    return StepPod(host, command, running, done)
