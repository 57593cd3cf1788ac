"""A place in memory, for tests of what stands above places, and how they wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.runs.backend import WorkflowLogLine
from tiphys.training.place import SeenJob

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.training.job import TrainingJob


def until(probe: Callable[[], object]) -> None:
    """Wait until ``probe`` is true."""
    end = time.monotonic() + 20
    while not probe():
        assert time.monotonic() < end
        time.sleep(0.01)


@dataclass
class FakePlace:
    """``runs``: what was begun, by name, each once; a test says in ``seen`` what becomes of it."""

    runs: dict[str, Workflow] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    seen: dict[str, SeenJob] = field(default_factory=dict)
    stopped: list[str] = field(default_factory=list)
    why_full: str = ""
    held: list[int] = field(default_factory=list)

    def create(self, job: TrainingJob, workflow: Workflow) -> None:
        if job.run not in self.runs:
            self.runs[job.run] = workflow
            self.begun.append(job.run)
            self.seen.setdefault(job.run, SeenJob(phase="Running"))

    def look(self, jobs: Sequence[TrainingJob]) -> Mapping[int, SeenJob]:
        return {job.id: self.seen.get(job.run, SeenJob()) for job in jobs}

    def stop(self, job: TrainingJob) -> None:
        self.stopped.append(job.run)
        if job.run in self.runs:
            self.seen[job.run] = SeenJob(phase="Failed", message="Stopped with strategy 'Stop'")

    def logs(self, job: TrainingJob, *, follow: bool) -> Iterator[WorkflowLogLine]:
        yield WorkflowLogLine(job.run, "main", "train", f"of {job.run}")

    def full(self, job: TrainingJob, wants: Mapping[str, int]) -> str:
        return self.why_full

    def holds(self, job: TrainingJob, wants: Mapping[str, int]) -> None:
        self.held.append(job.id)

    def close(self) -> None:
        """Nothing is held open."""
