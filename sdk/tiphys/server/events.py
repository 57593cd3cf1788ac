"""The events of runs, as a cluster's controller records them: that a Workflow runs, and how it ended.

They are made from the Workflows of the board, and go with them; each has the number of the change with which it came,
so a watch goes on where its client stood. Source: updateWorkflowPhase of Argo 4.1.2 (workflow/controller/operator.go).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from tiphys.argo.nodes import COMPLETED, FAILED
from tiphys.argo.time import seconds
from tiphys.server.board import BoardChange, ExpiredError

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.collections import Collection

__all__ = ["EventCollection", "events_of"]


def events_of(workflow: Workflow) -> Iterator[JsonObject]:
    """Those of a Workflow, whole or brief, in the order in which they came."""
    status = workflow.get("status") or {}
    phase, started, finished = status.get("phase"), status.get("startedAt"), status.get("finishedAt")
    if started and (phase == "Running" or phase in COMPLETED):
        yield _event(workflow, "WorkflowRunning", str(started), "Workflow Running")
    if finished and phase == "Succeeded":
        yield _event(workflow, "WorkflowSucceeded", str(finished), "Workflow completed")
    elif finished and phase in FAILED:
        yield _event(workflow, "WorkflowFailed", str(finished), str(status.get("message") or ""))


def _event(workflow: Workflow, reason: str, at: str, message: str) -> JsonObject:
    metadata = workflow["metadata"]
    # as Kubernetes names them: by their time, so that lists have their order
    name = f"{metadata['name']}.{int(seconds(at)):x}{0 if reason == 'WorkflowRunning' else 1}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": name,
            "namespace": metadata.get("namespace"),
            "uid": f"{metadata.get('uid')}-{name.rpartition('.')[2]}",
            "resourceVersion": metadata.get("resourceVersion"),
            "creationTimestamp": at,
        },
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "name": metadata["name"],
            "namespace": metadata.get("namespace"),
            "uid": metadata.get("uid"),
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if reason == "WorkflowFailed" else "Normal",
        "source": {"component": "workflow-controller"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


class EventCollection:
    """The events of all runs of a board: see :class:`tiphys.server.collections.Collection`."""

    def __init__(self, board: Collection) -> None:
        self._board = board
        self._guard = threading.Lock()
        self._seen: int | None = None  # the change up to which the board was read
        self._of: dict[str, dict[str, Workflow]] = {}  # by the names of runs, and their own

    @property
    def number(self) -> int:
        return self._board.number

    def briefs(self) -> tuple[int, list[Workflow]]:
        with self._guard:
            number = self._catch_up()
            every = [event for events in self._of.values() for event in events.values()]
        return number, sorted(every, key=lambda event: event["metadata"]["name"])

    def get(self, name: str) -> Workflow | None:
        with self._guard:
            self._catch_up()
            return next((events[name] for events in self._of.values() if name in events), None)

    def changes(self, since: int) -> Iterator[BoardChange]:
        for _ in self._board.changes(since):
            break  # raises ExpiredError for one that is too old
        with self._guard:
            self._catch_up()
            new = [
                BoardChange(number, "ADDED", name, event)
                for events in self._of.values()
                for name, event in events.items()
                if (number := int(event["metadata"]["resourceVersion"])) > since
            ]
        yield from sorted(new, key=lambda change: change.number)

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]:
        return self._board.hear(heard)

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
