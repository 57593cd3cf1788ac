"""Where jobs run: the runs of a store, or those of a cluster. What the service asks of either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.backend import WorkflowLogLine
    from tiphys.training.job import TrainingJob

__all__ = ["JobPlace", "SeenJob"]


@dataclass(frozen=True, slots=True)
class SeenJob:
    """What a place knows of a job's Workflow. ``phase`` is Argo's, empty when there is none of the name.

    ``outputs``: the output parameters of the entrypoint. The rest is as in :class:`TrainingJob`.
    """

    phase: str = ""
    message: str = ""
    cause: str = ""
    progress: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


class JobPlace(Protocol):
    """Every method raises TiphysError; what may pass (no answer, no permission yet) has ``code`` of the room it comes
    from, and the service tries again. All of them may be called again after a kill, and then change nothing."""

    def create(self, job: TrainingJob, workflow: Workflow) -> None:
        """Begin the job's Workflow, under its name; one of that name is the job's, and nothing is done."""

    def look(self, jobs: Sequence[TrainingJob]) -> Mapping[int, SeenJob]:
        """What became of these jobs, by their ids."""

    def stop(self, job: TrainingJob) -> None:
        """Ask for the Workflow's end; without one, nothing."""

    def logs(self, job: TrainingJob, *, follow: bool) -> Iterator[WorkflowLogLine]:
        """What its containers wrote."""

    def full(self, job: TrainingJob, wants: Mapping[str, int]) -> str:
        """Why so much does not fit into what the job's namespace may have now: ``cpu`` in thousandths, ``memory`` in
        bytes, ``pods``, ``nvidia.com/gpu``. Empty when it does, and where there is no quota. What fits is the job's
        until it is seen to have ended: what is asked next counts it in."""

    def holds(self, job: TrainingJob, wants: Mapping[str, int]) -> None:
        """A job that was begun before this service was started has so much, as if it had been asked for."""

    def close(self) -> None: ...
