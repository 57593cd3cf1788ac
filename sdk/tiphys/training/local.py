"""Jobs of the training service on this machine: each a run of the store, with an engine of its own that outlives the
service."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.engine.base.options import NetworkName, RunnerName, RunOptions
from tiphys.errors import RefusedError, StoreError, TiphysError
from tiphys.runs.backend import ended
from tiphys.runs.local import LocalRuns, detach
from tiphys.store.files import alone, write_atomic
from tiphys.store.layout import Store
from tiphys.training.place import SeenJob
from tiphys.training.seen import seen_job

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.backend import WorkflowLogLine
    from tiphys.training.job import TrainingJob

__all__ = ["LocalPlace"]

_FOLDER = "training"  # of the store: the Workflow of each job, and the lock of its engine


class LocalPlace:
    """Runs of ``store``. ``runner``, ``network`` and ``images``: as of :class:`tiphys.engine.RunOptions`; ``project``
    is put on the path of steps that run in this Python environment."""

    def __init__(
        self,
        store: Store,
        *,
        runner: RunnerName = "process",
        network: NetworkName = "",
        images: Mapping[str, str] | None = None,
        project: Path | str = "",
    ) -> None:
        self._store = Store(store.root.absolute())
        self._folder = self._store.root / _FOLDER
        self._runs = LocalRuns(RunOptions(store=self._store.root))
        said = {"runner": runner, "network": network, "images": dict(images or {}), "project": str(project)}
        self._options = json.dumps({**said, "store": str(self._store.root)})
        self._stamps: dict[int, tuple[object, SeenJob]] = {}
        self._lost: set[int] = set()  # that did not go on when their engine was killed: they are tried again

    def create(self, job: TrainingJob, workflow: Workflow) -> None:
        """Raises RefusedError TIP218 with what the engine said when the run could not begin, StoreError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with alone(self._folder / f"{job.run}.lock") as lock:  # the engine has it, too, and for longer
            if lock is None:
                return  # somebody goes on with it
            there = self._there(job)
            if there is None:
                file = self._folder / f"{job.run}.json"
                write_atomic(file, json.dumps(workflow, ensure_ascii=True).encode())
                self._begin(job, str(file), lock)
            elif not ended(there):
                self._begin(job, "", lock)

    def _begin(self, job: TrainingJob, file: str, lock: int) -> None:
        """Start an engine. ``file`` empty: it goes on with what another one had begun."""
        words = [job.run, file, self._options]
        detach(words, job.run, self._store.root, resumed=not file, module="tiphys.training.engine", kept=lock)

    def _there(self, job: TrainingJob) -> Workflow | None:
        if not self._store.has_run(job.run):
            return None
        try:
            return self._runs.get("", job.run)
        except RefusedError as error:
            if error.code in ("TIP211", "TIP226"):  # an engine was killed before it had begun
                return None
            raise

    def look(self, jobs: Sequence[TrainingJob]) -> Mapping[int, SeenJob]:
        """One whose engine was killed goes on. Of one that cannot be read nothing is told."""
        found = {}
        for job in jobs:
            stamp = self._stamp(job)
            known = self._stamps.get(job.id)
            if known is None or known[0] != stamp or stamp is None or job.id in self._lost:
                try:
                    known = (stamp, self._seen(job))
                except (RefusedError, StoreError, OSError):
                    continue
                self._stamps[job.id] = known
            found[job.id] = known[1]
        for gone in self._stamps.keys() - {job.id for job in jobs}:
            del self._stamps[gone]
            self._lost.discard(gone)
        return found

    def _stamp(self, job: TrainingJob) -> object:
        """What changes when something happens in a run, or to its engine."""
        folder = self._store.root / "runs" / job.run
        states: list[object] = []
        for name in ("workflow.json", "journal.db", "journal.db-wal"):
            try:
                state = os.stat(folder / name)
                states.append((state.st_mtime_ns, state.st_size))
            except OSError:
                states.append(None)
        report = self._store.root / "volumes" / "tiphys" / "records" / job.run
        try:
            states.append(max((each.stat().st_mtime_ns for each in os.scandir(report)), default=0))
        except OSError:
            states.append(None)
        try:
            states.append(self._store.held(job.run))
        except (OSError, StoreError):
            return None
        return tuple(states)

    def _seen(self, job: TrainingJob) -> SeenJob:
        workflow = self._there(job)
        if workflow is None:
            return SeenJob()
        seen = seen_job(workflow, self._store)
        if not ended(workflow) and not self._store.held(job.run):
            try:
                self.create(job, workflow)
            except TiphysError as error:
                why = f"its engine was killed, and it does not go on: {error.code}: {error.message}"
                self._lost.add(job.id)
                return replace(seen, message=". ".join(filter(None, (why, error.cause))))
        self._lost.discard(job.id)
        return seen

    def stop(self, job: TrainingJob) -> None:
        """What has ended, or has never begun, stays as it is."""
        if self._there(job) is None:
            return
        try:
            self._runs.terminate("", job.run)
        except RefusedError as error:
            if error.code not in ("TIP211", "TIP216"):
                raise

    def logs(self, job: TrainingJob, *, follow: bool) -> Iterator[WorkflowLogLine]:
        """Those of its containers, as `tiphys logs` shows them."""
        return self._runs.logs("", job.run, follow=follow)

    def full(self, job: TrainingJob, wants: Mapping[str, int]) -> str:
        """Nothing is counted here but the service's own pools."""
        return ""

    def holds(self, job: TrainingJob, wants: Mapping[str, int]) -> None:
        """Nor here."""

    def close(self) -> None:
        """Nothing is held open."""
