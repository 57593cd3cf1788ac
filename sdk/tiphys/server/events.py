"""The events of runs, as a cluster's controller records them: that a Workflow runs, and how it ended.

They are made from the Workflows of the board, and go with them; each has the number of the change with which it came,
so a watch goes on where its client stood. Source: updateWorkflowPhase of Argo 4.1.2 (workflow/controller/operator.go).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, cast

from tiphys.argo.nodes import COMPLETED, FAILED
from tiphys.argo.time import rfc3339, seconds
from tiphys.server.board import Board, BoardChange, ExpiredError
from tiphys.server.collections import Wholes

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject

__all__ = ["EventCollection", "events_of"]

_NORMAL = ("WorkflowRunning", "WorkflowSucceeded")
_TOLD = 1000  # events of what is no run, that are known


def events_of(workflow: Workflow) -> Iterator[JsonObject]:
    """Those of a Workflow, whole or brief, in the order in which they came."""
    status = workflow.get("status") or {}
    phase, started, finished = status.get("phase"), status.get("startedAt"), status.get("finishedAt")
    if started and (phase == "Running" or phase in COMPLETED):
        yield _event(workflow, "WorkflowRunning", str(started), "Workflow Running", f"{_tick(started)}0")
    if finished and phase == "Succeeded":
        yield _event(
            workflow, "WorkflowSucceeded", str(finished), "Workflow completed", f"{_tick(finished)}1"
        )
    elif finished and phase in FAILED:
        said = str(status.get("message") or "")
        yield _event(workflow, "WorkflowFailed", str(finished), said, f"{_tick(finished)}1")


def _tick(at: str) -> str:
    """As Kubernetes names events: by their time, so that lists have their order."""
    return f"{int(seconds(at)):x}"


def _event(about: Workflow, reason: str, at: str, message: str, end: str) -> JsonObject:
    metadata = about["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name']}.{end}",
            "namespace": metadata.get("namespace"),
            "uid": f"{metadata.get('uid')}-{end}",
            "resourceVersion": metadata.get("resourceVersion"),
            "creationTimestamp": at,
        },
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": about.get("kind") or "Workflow",
            "name": metadata["name"],
            "namespace": metadata.get("namespace"),
            "uid": metadata.get("uid"),
        },
        "reason": reason,
        "message": message,
        "type": "Normal" if reason in _NORMAL else "Warning",
        "source": {"component": "workflow-controller"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


class EventCollection(Wholes):
    """The events of all runs of a board, and those that somebody has told since the server began: see
    :class:`tiphys.server.collections.Collection`."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._guard = threading.Lock()
        self._seen: int | None = None  # the change up to which the board was read
        self._of: dict[str, dict[str, Workflow]] = {}  # by the names of runs, and their own
        self._told: dict[str, Workflow] = {}

    @property
    def number(self) -> int:
        return self._board.number

    def briefs(self) -> tuple[int, list[Workflow]]:
        with self._guard:
            number = self._catch_up()
            every = [event for events in self._known() for event in events.values()]
        return number, sorted(every, key=lambda event: event["metadata"]["name"])

    def get(self, name: str) -> Workflow | None:
        with self._guard:
            self._catch_up()
            return next((events[name] for events in self._known() if name in events), None)

    def changes(self, since: int) -> Iterator[BoardChange]:
        for _ in self._board.changes(since):
            break  # raises ExpiredError for one that is too old
        with self._guard:
            self._catch_up()
            new = [
                BoardChange(number, "ADDED", name, event)
                for events in self._known()
                for name, event in events.items()
                if (number := int(event["metadata"]["resourceVersion"])) > since
            ]
        yield from sorted(new, key=lambda change: change.number)

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]:
        return self._board.hear(heard)

    def warn(self, about: Workflow, reason: str, message: str) -> None:
        """Tell of something that is no run: a Warning, which is known as long as the server runs."""
        at = time.time_ns()
        event = cast("Workflow", _event(about, reason, rfc3339(at / 1e9), message, f"{at:x}"))
        with self._guard:
            event["metadata"]["resourceVersion"] = str(self._board.count())
            self._told[event["metadata"]["name"]] = event
            while len(self._told) > _TOLD:
                del self._told[next(iter(self._told))]

    def _known(self) -> Iterator[dict[str, Workflow]]:
        """Called with the guard held."""
        return chain(self._of.values(), (self._told,))

    def _catch_up(self) -> int:
        """Read what has changed since it was read last."""
        if self._seen is not None:
            try:
                for change in list(self._board.changes(self._seen)):
                    self._seen = max(self._seen, change.number)
                    if change.kind == "DELETED":
                        self._of.pop(change.name, None)
                    else:
                        self._add(change.workflow)
                return self._seen
            except ExpiredError:
                self._of.clear()
        self._seen, briefs = self._board.briefs()
        for brief in briefs:
            self._add(brief)
        return self._seen

    def _add(self, workflow: Workflow) -> None:
        known = self._of.setdefault(workflow["metadata"]["name"], {})
        for event in events_of(workflow):
            found = cast("Workflow", event)
            known.setdefault(found["metadata"]["name"], found)
