"""When things happened and how long they took: as an observer saw it, and in the whole seconds of Argo's status."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tiphys.argo.time import is_time, seconds
from tiphys.engine.base.observations import NodeChanged, Observation, RunFinished, RunStarted

__all__ = ["Times", "elapsed", "since_epoch"]


class Times:
    """An observer that measures a run, more finely than its status, and passes what it sees on.

    ``nodes``: seconds by node id, in the order in which the nodes were first seen; ``total``: seconds from the
    start (of this process's part, of a run that is resumed) to the end, ``None`` before.
    """

    def __init__(self, following: Callable[[Observation], None]) -> None:
        self.nodes: dict[str, float] = {}
        self.total: float | None = None
        self._following = following
        self._begin = 0.0
        self._started: dict[str, float] = {}

    def __call__(self, seen: Observation) -> None:
        if isinstance(seen, NodeChanged):
            node_id = str(seen.node.get("id", ""))
            self.nodes.setdefault(node_id, 0.0)
            if seen.change == "started":
                self._started.setdefault(node_id, seen.at)
            elif seen.change == "finished" and node_id in self._started:
                self.nodes[node_id] = seen.at - self._started[node_id]
        elif isinstance(seen, RunStarted):
            self._begin = seen.at
        elif isinstance(seen, RunFinished):
            self.total = seen.at - self._begin
        self._following(seen)


def since_epoch(text: object) -> float:
    """Seconds since the epoch of an RFC 3339 time, 0 when there is none."""
    if not text:
        return 0.0
    return seconds(str(text)) if is_time(str(text)) else 0.0


def elapsed(status: Mapping[str, object], now: float = 0.0) -> float:
    """The seconds that a node or a workflow took, until ``now`` if it has not ended; 0 when it has not begun."""
    start = since_epoch(status.get("startedAt"))
    return max(0.0, (since_epoch(status.get("finishedAt")) or now) - start) if start else 0.0
