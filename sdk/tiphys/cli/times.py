"""How long things took, more finely than the whole seconds of Argo's status."""

from __future__ import annotations

from collections.abc import Callable

from tiphys.engine.base.observations import NodeChanged, Observation, RunFinished, RunStarted

__all__ = ["Times"]


class Times:
    """An observer that measures a run and passes what it sees on.

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
