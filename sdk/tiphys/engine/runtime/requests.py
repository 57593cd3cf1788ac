"""Requests: how another process changes the course of a run.

A request is an event of the core. It is written into the run's journal first, so it is not lost; then the engine is
woken through a named pipe in the run's folder. Where no engine runs, nobody reads the pipe, and the request is carried
out when one does.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.selectors import SelectorError, matches_node, parse_fields
from tiphys.engine.base.loop import Loop
from tiphys.engine.machine.machine import Machine
from tiphys.engine.machine.protocol import Event, NodeSet, Relabel, Resume, Shutdown, Suspend
from tiphys.engine.runtime.journal import Journal

if TYPE_CHECKING:
    from tiphys.argo.types import Node

__all__ = ["Bell", "ring", "unanswered", "why_not"]

_PIPE = "bell"


class Bell:
    """The engine's end: calls ``rung`` in the loop when another process has written a request."""

    def __init__(self, loop: Loop, folder: Path, rung: Callable[[], None]) -> None:
        self._loop = loop
        self._rung = rung
        path = folder / _PIPE
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # open for both ways: it never comes to an end when the last writer closes
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        loop.watch(self._descriptor, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 4096):
                pass
        self._rung()

    def close(self) -> None:
        """Nobody listens any more."""
        self._loop.unwatch(self._descriptor)
        os.close(self._descriptor)


def ring(folder: Path) -> bool:
    """Wake the engine of a run; False when none listens."""
    try:
        descriptor = os.open(folder / _PIPE, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    try:
        os.write(descriptor, b"!")
    except BlockingIOError:
        pass  # full: it will wake all the same
    except BrokenPipeError:
        return False
    finally:
        os.close(descriptor)
    return True


def why_not(machine: Machine, event: Event) -> str:
    """Why Argo would refuse a request, and perhaps on a second line what to do; an empty string if it would not."""
    if isinstance(event, Relabel):
        return ""
    if machine.done:
        return f"it has ended as {machine.phase}"
    if isinstance(event, (Shutdown, Suspend)):
        return ""
    selector = event.selector if isinstance(event, (Resume, NodeSet)) else ""
    try:
        wanted = parse_fields(selector)
    except SelectorError as error:  # written down by an older version
        return error.message
    waiting = [
        node
        for node in machine.nodes.values()
        if node["type"] == "Suspend" and node["phase"] == "Running" and matches_node(wanted, node)
    ]
    if selector and not waiting:
        return f"no suspended node matches {selector!r}"
    if isinstance(event, NodeSet) and event.output_parameters:
        for node in waiting:
            if problem := _unexpected(node, event.output_parameters):
                return problem
    if isinstance(event, Resume):
        for node in waiting:
            for item in (node.get("outputs") or {}).get("parameters") or ():
                if "value" not in item and "default" not in (item.get("valueFrom") or {}):
                    return (
                        f"raw output parameter '{item['name']}' of {node['displayName']} has not been set and does not "
                        "have a default value\n"
                        f"supply it: tiphys resume RUN --node displayName={node['displayName']} "
                        f"--output-parameter {item['name']}=VALUE"
                    )
    return ""


def _unexpected(node: Node, outputs: Mapping[str, str]) -> str:
    """Why Argo would not set these outputs of a node that waits; empty if it would. Source: updateSuspendedNode."""
    waits = {item["name"]: item for item in (node.get("outputs") or {}).get("parameters") or ()}
    if not waits:
        return "cannot set output parameters because node is not expecting any raw parameters"
    for name in outputs:
        if name not in waits:
            return f"node is not expecting output parameter '{name}'"
        if "value" in waits[name]:
            return f"cannot set output parameter '{name}' because it does not use valueFrom.raw or it was already set"
    return ""


def unanswered(journal: Journal, machine: Machine, emit: Callable[[Event], None]) -> None:
    """Take what is asked of the run, or say why not; the answers come with the journal's next commit."""
    for number, event in journal.requests():
        problem = why_not(machine, event)
        journal.answer(number, problem)
        if not problem:
            emit(event)
