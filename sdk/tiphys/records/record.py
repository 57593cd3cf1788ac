"""What is known of a run: the rows of the index, and what every question and export is answered from.

Made by :func:`tiphys.records.fold.fold` from a Workflow object and the samples of its steps; the same for a run of this
machine and one of a cluster. Times are seconds since the epoch; 0 is "not yet". Nothing here refers to a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.argo.nodes import FAILED
from tiphys.causes.cause import Cause, Ending
from tiphys.causes.rules import cause_of

__all__ = ["SAMPLED", "ArtifactRecord", "AttemptRecord", "EventRecord", "Point", "RunRecord", "StepRecord"]

SAMPLED = ("memory", "peak_memory", "cpu", "received", "sent")
"""The keys that the engine's sampler writes: bytes, bytes at most so far, seconds of a core since the start, bytes,
bytes."""


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A thing that a step used or made: ``uri`` (``pvc://…``, ``file://…``, ``s3://…``) or an artifact's key.

    ``digest`` is ``sha256:…`` where it is known. ``name`` is that of the input or output.
    """

    uri: str
    digest: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One pod of a step. ``exit_code`` is None where nothing says it. ``resources`` is its ``resourcesDuration``.

    ``cause`` is why it ended badly; None when it did not.
    """

    node: str
    number: int
    phase: str
    message: str = ""
    exit_code: int | None = None
    started: float = 0.0
    finished: float = 0.0
    host: str = ""
    pod: str = ""
    resources: Mapping[str, int] = field(default_factory=dict)
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A number that a step told, or was seen to have, at a time.

    ``worker`` names the replica of a gang (``worker-1``); empty for a step's own pod. ``epoch`` counts from 1; 0 is
    "between epochs". ``key`` is one of :data:`SAMPLED` or what the author reports (``accuracy``, ``loss``).
    """

    node: str
    at: float
    key: str
    value: float
    epoch: int = 0
    worker: str = ""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """What happened to a pod that a step waits for: ``event`` is ``started``, ``succeeded``, ``failed``, ``restarted``
    or ``stopped``, ``worker`` which replica it was.

    ``lost`` of a start: the seconds since the same replica had ended before.
    """

    node: str
    at: float
    event: str
    message: str = ""
    worker: str = ""
    exit_code: int | None = None
    lost: float = 0.0


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step as a person counts them (:func:`tiphys.argo.nodes.is_step`).

    ``node`` is its ID; ``name`` its path, as ``tiphys get`` shows it; ``metrics`` are its numeric outputs, and the last
    value of everything that it reported; ``makes`` are the outputs that it was not given as inputs, ``said`` the others
    (a report about a model); ``creates`` is the kind of object that a resource template makes; ``resources`` is Argo's
    ``resourcesDuration`` (seconds of a resource times what was requested of it) of its own pods; ``requests`` is what
    one of them requests, ``gang`` what the replicas of its training do together (cores, bytes, devices), ``pool`` whose
    permits it needs; ``points`` and ``events`` are in order of time.
    """

    node: str
    name: str
    template: str
    kind: str
    phase: str
    message: str = ""
    hit: bool = False
    started: float = 0.0
    finished: float = 0.0
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    uses: tuple[ArtifactRecord, ...] = ()
    makes: tuple[ArtifactRecord, ...] = ()
    said: tuple[ArtifactRecord, ...] = ()
    creates: str = ""
    attempts: tuple[AttemptRecord, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    requests: Mapping[str, float] = field(default_factory=dict)
    gang: Mapping[str, float] = field(default_factory=dict)
    pool: str = ""
    points: tuple[Point, ...] = ()
    events: tuple[EventRecord, ...] = ()

    @property
    def cause(self) -> Cause | None:
        """Why it failed: the cause of its last attempt; None when it did not fail."""
        return self.attempts[-1].cause if self.phase in FAILED and self.attempts else None

    @property
    def seconds(self) -> float:
        """From its start to its end; 0 while it goes on."""
        return max(self.finished - self.started, 0.0) if self.started and self.finished else 0.0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run. ``key`` is its identity in the index: the name that the verbs take for a run of this machine, and
    ``SOURCE/NAMESPACE/UID`` for one of a cluster; ``source`` is ``local`` or the cluster's name.

    ``pipeline`` is the name that its runs have in common; ``parameters`` those of the workflow, as text; ``made_from``
    what its annotations say that it was made from (``code``, ``lock``, ``git``, ``tiphys``); ``config`` names the
    version of its configuration, ``PIPELINE@DIGEST`` of all that the Workflow says and of the parameters' values: equal
    names are equal configurations, on whatever machine. ``scheduled`` is the time at which its CronWorkflow was due.
    """

    key: str
    name: str
    namespace: str
    uid: str
    source: str
    pipeline: str
    phase: str
    message: str = ""
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    progress: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    made_from: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    images: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()
    scheduled: float = 0.0

    def causes(self) -> list[tuple[str, Cause]]:
        """The name and the cause of each step that failed; of a run that came to no step, its own."""
        found = [(step.name, step.cause) for step in self.steps if step.cause is not None]
        own = None if found else cause_of(Ending(self.phase, self.message))
        return [(self.name, own)] if own is not None else found

    @property
    def seconds(self) -> float:
        """From its start to its end; 0 while it goes on."""
        return max(self.finished - self.started, 0.0) if self.started and self.finished else 0.0

    def metrics(self) -> dict[str, list[float]]:
        """All values of each metric, in the order in which its steps started; outputs of the run come last."""
        found: dict[str, list[float]] = {}
        for step in sorted(self.steps, key=lambda step: step.started):
            for name, value in step.metrics.items():
                found.setdefault(name, []).append(value)
        return found
