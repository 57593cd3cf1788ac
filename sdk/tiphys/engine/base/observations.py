"""What a run tells while it goes on: typed observations for the command line, tests and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.argo.types import Node

__all__ = [
    "CacheChecked",
    "Change",
    "LogLine",
    "NodeChanged",
    "Notice",
    "Observation",
    "Observer",
    "ReplicaChanged",
    "RunFinished",
    "RunStarted",
]


@frozen
class Observation:
    """Something a person who watches the run may want to see. ``at``: seconds since the epoch."""

    at: float


@frozen
class RunStarted(Observation):
    """The run has its name and its folder. ``resumed``: it continues an earlier one."""

    name: str
    folder: str
    resumed: bool = False


Change: TypeAlias = Literal["created", "started", "waiting", "hit", "progress", "finished"]


@frozen
class NodeChanged(Observation):
    """A node came into being or changed.

    ``change``: ``created``, ``started`` (runs now), ``waiting`` (for a lock or for the next attempt; see
    ``node["message"]``), ``hit`` (taken from the cache), ``progress`` or ``finished``. ``node`` is its entry in
    ``status.nodes``.
    """

    change: Change
    node: Node


@frozen
class CacheChecked(Observation):
    """A memoization cache was asked. ``why`` tells the reason of a miss that had an entry."""

    node_id: str
    cache: str
    key: str
    hit: bool
    why: str = ""


@frozen
class ReplicaChanged(Observation):
    """A process behind a resource: ``kind``/``name`` such as TFJob/WF-cnn, ``replica`` such as worker-0."""

    kind: str
    name: str
    replica: str
    state: str  # started, ready, restarted, failed, succeeded, stopped
    message: str = ""


@frozen
class LogLine(Observation):
    """A line that a step or a replica wrote (only with ``RunOptions.follow_logs``)."""

    source: str  # the log's name: a node's or a replica's
    text: str


@frozen
class Notice(Observation):
    """Something about the run itself, such as a weaker sandbox or a first Ctrl-C."""

    text: str
    code: str = ""


@frozen
class RunFinished(Observation):
    """The workflow is complete and everything is cleaned up."""

    phase: str
    message: str = ""


Observer = Callable[[Observation], None]
