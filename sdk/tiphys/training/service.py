"""The training service itself: what it answers, and the loop that begins jobs and sees how they end.

Everything that is answered is on the disk first (:mod:`tiphys.training.jobs`). A job's Workflow has a name that was
fixed when it was queued, and a place begins what has a name once: so a service that was killed at any moment goes on
when it is started again, and begins nothing twice.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import RefusedError, TiphysError, TrainingServiceError
from tiphys.queue.rules import RulesFile
from tiphys.store.layout import Store
from tiphys.training.algorithms import AlgorithmTable
from tiphys.training.file import TrainingFile
from tiphys.training.job import ENDED, Algorithm, JobState, TrainingJob, TrainingRequest
from tiphys.training.jobs import JobTable
from tiphys.training.pools import TrainingPool, TrainingRulesFile
from tiphys.training.rules import check_algorithm, check_request
from tiphys.training.standing import Standing
from tiphys.training.workflow import demand, workflow_of

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.backend import WorkflowLogLine
    from tiphys.training.place import JobPlace, SeenJob

__all__ = ["PoolState", "TrainingService"]

log = logging.getLogger("tiphys.training")
_GONE = 3  # looks in a row that found no Workflow of a job that ran: it was deleted
_LONGEST_WAIT = 60.0  # seconds until what a place refused for a while is tried again
_BYPASSES = 20  # jobs of a namespace that may begin past one that its quota has no room for
_BREATH = 0.05  # seconds between two rounds of the loop: what comes at once is decided at once
_PERMANENT = ("TIP607",)  # what a cluster refuses as invalid; RefusedError besides


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool, what its jobs have of it, and how many wait and run."""

    pool: TrainingPool
    used: Mapping[str, int]
    queued: int
    running: int


class TrainingService:
    """All methods may be called from any thread, and raise TiphysError.

    Parameters
    ----------
    store
        Where the queue is; its ``training.toml`` and ``queue.toml`` say who may use what, or those of ``rules``.
    place
        Where jobs run.
    register
        Writes the model of a job that succeeded into the registry; its name there, or why there is none.
    namespace
        That of pools that name none.
    period
        Seconds between two looks at the jobs that run.
    """

    def __init__(
        self,
        store: Store,
        place: JobPlace,
        *,
        rules: Path | None = None,
        register: Callable[[TrainingJob, SeenJob], str] | None = None,
        namespace: str = "",
        make: Callable[[TrainingJob, Algorithm], Workflow] = workflow_of,
        period: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        folder = rules or store.root
        self.rules = TrainingRulesFile(folder / "training.toml")
        self._shares = RulesFile(folder / "queue.toml")
        self._place, self._register, self._make = place, register, make
        self._namespace = namespace
        self._period, self._clock = period, clock
        self._file = TrainingFile(store)
        self._jobs, self._algorithms = JobTable(self._file), AlgorithmTable(self._file)
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closing = False
        self._notes: dict[int, str] = {}  # why a job waits or is not begun, when it is not for its pool
        # when a job is tried again, and the pause before that
        self._later: dict[int, tuple[float, float]] = {}
        self._missed: dict[int, int] = {}
        self._passed: dict[int, int] = {}
        self._launching: set[int] = set()
        self._listeners: builtins.list[Callable[[], None]] = []
        self._now = Standing(self.rules, self._shares, self._jobs.fact("used"), clock)
        for job in self._jobs.unended():
            wants = self._demand(job)
            self._now.put(job, wants)
            if job.state is not JobState.queuing:
                place.holds(job, wants)
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="launch")
        self._loop = threading.Thread(target=self._run, name="training", daemon=True)

    # -- its life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin jobs, and look after those that run."""
        self._loop.start()

    def close(self) -> None:
        """Begin nothing more, and give the file back. What runs goes on."""
        self._closing = True
        self._wake.set()
        if self._loop.is_alive():
            self._loop.join()
        self._threads.shutdown(wait=True)
        self._keep_use()
        self._file.close()
        self._place.close()

    # -- what it answers --------------------------------------------------------------------------------------

    def train(self, request: TrainingRequest, user: str) -> TrainingJob:
        """Queue a job; it is on the disk when this returns.

        Raises TrainingServiceError: TIP802 for a pool that is not the user's, TIP804 for a request id of another
        request, TIP807 for an algorithm that there is not, TIP811 and TIP812 for what could never train, TIP809 for
        more than the pool has in all; RefusedError TIP287 for a priority above the highest.
        """
        pool = self.rules().pool_for(user, request.pool)
        algorithm = self._algorithms.get(request.algorithm)
        check_request(request, algorithm)
        self._shares().check_class(user, request.priority)
        wants = demand(algorithm)
        for resource, size in pool.sizes.items():
            if wants.get(resource, 0) > size:
                raise TrainingServiceError(
                    "TIP809",
                    f"{request.algorithm} wants {wants[resource]} of {resource}; pool {pool.name} has {size} in all",
                    fix="choose another pool, or have the pool made larger",
                )
        where = pool.namespace or self._namespace
        job, new = self._jobs.submit(
            request, user=user, pool=pool.name, namespace=where, algorithm_version=algorithm.version, now=self._clock()
        )  # fmt: skip
        if new:
            with self._lock:
                self._now.put(job, wants)
                self._tell()
            self._wake.set()
        return job

    def status(self, number: int, user: str) -> TrainingJob:
        """A job of one of the user's pools, with why it waits. Raises TIP806 for one that there is not for the user."""
        job = self._mine(number, user)
        if job.state is JobState.queuing:
            with self._lock:
                return replace(job, message=self._notes.get(job.id) or self._now.why(job.id))
        return replace(job, message=self._notes.get(job.id) or job.message)

    def position(self, number: int) -> int:
        """How many are to begin before it, and itself; 0 for a job that is not queued."""
        with self._lock:
            return self._now.place(number)

    def on_change(self, call: Callable[[], None]) -> None:
        """Have ``call`` called, from any thread and quickly, whenever something has changed."""
        with self._lock:
            self._listeners.append(call)

    def cancel(self, number: int, user: str) -> TrainingJob:
        """Take it out of the queue, or ask for its end. One that has ended stays as it is."""
        self._mine(number, user)
        with self._lock:
            job = self._now.queued.get(number)
            if job is not None and number not in self._launching:
                job = replace(
                    job, state=JobState.cancelled, message="cancelled", cancelling=True, ended=self._clock()
                )
                self._write(job)
                return job
            active = self._now.active.get(number)
            if active is not None and not active.cancelling:
                self._write(replace(active, cancelling=True, message="cancelling"))
        self._wake.set()
        return self._mine(number, user)

    def list(
        self,
        user: str,
        *,
        pool: str = "",
        of_user: str = "",
        states: Sequence[JobState] = (),
        limit: int = 0,
        before: int = 0,
    ) -> builtins.list[TrainingJob]:
        """The jobs of the user's pools, the newest first; ``limit``: 0 for 100, at most 1000."""
        pools = [each.name for each in self.rules().of(user)]
        if pool:
            pools = [self.rules().pool_for(user, pool).name]
        limit = min(limit, 1000) if limit > 0 else 100
        return self._jobs.list(pools=pools, user=of_user, states=states, limit=limit, before=before)

    def logs(self, number: int, user: str, *, follow: bool = False) -> Iterator[WorkflowLogLine]:
        """What its containers wrote; of one that has not begun nothing."""
        job = self._mine(number, user)
        if job.state is JobState.queuing or not job.launched:
            return iter(())
        return self._place.logs(job, follow=follow and job.state not in ENDED)

    def create_algorithm(self, algorithm: Algorithm, user: str) -> Algorithm:
        """Version 1 of a new one. Raises TIP805, and what is wrong with it: TIP810, TIP811, TIP812."""
        check_algorithm(algorithm)
        return self._algorithms.create(algorithm, self._clock())

    def update_algorithm(self, algorithm: Algorithm, user: str) -> Algorithm:
        """The next version; jobs that are queued keep theirs. Raises TIP807, and as :meth:`create_algorithm`."""
        check_algorithm(algorithm)
        return self._algorithms.update(algorithm, self._clock())

    def algorithms(self, name: str = "") -> builtins.list[Algorithm]:
        """The newest version of each; of one all versions. Raises TIP807."""
        return self._algorithms.list(name)

    def pools(self, user: str) -> builtins.list[PoolState]:
        """The user's pools."""
        now = self._now
        with self._lock:
            return [
                PoolState(
                    pool,
                    now.used(pool.name),
                    sum(job.pool == pool.name for job in now.queued.values()),
                    sum(job.pool == pool.name for job in now.active.values()),
                )
                for pool in self.rules().of(user)
            ]

    # -- inside -----------------------------------------------------------------------------------------------

    def _mine(self, number: int, user: str) -> TrainingJob:
        with self._lock:
            job = self._now.queued.get(number) or self._now.active.get(number)
        job = job or self._jobs.get(number)
        if job.pool not in {pool.name for pool in self.rules().of(user)} and job.user != user:
            raise TrainingServiceError(
                "TIP806", f"there is no job {number}", fix="`tiphys train list` lists those of your pools"
            )
        return job

    def _demand(self, job: TrainingJob) -> Mapping[str, int]:
        return demand(self._algorithms.get(job.request.algorithm, job.algorithm_version))

    def _tell(self) -> None:
        """With the lock: something has changed."""
        for each in self._listeners:
            each()

    def _write(self, job: TrainingJob) -> None:
        """With the lock: keep how a job stands, on the disk and here."""
        self._jobs.write(job)
        self._now.put(job)
        if job.state in ENDED:
            for kept in (self._notes, self._later, self._missed, self._passed):
                kept.pop(job.id, None)
        self._tell()

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                self._look()
                self._begin()
            except Exception:  # the next look may do better, and the jobs must not stop for it
                log.exception("the training service's loop")
            self._wake.wait(self._period if self._now.active or self._now.queued else 60.0)
            time.sleep(_BREATH)

    # jobs that begin

    def _begin(self) -> None:
        without: set[int] = set()
        closed: set[str] = set()  # namespaces that are kept for a job that waits for their quota
        with self._lock:
            self._now.use()
            waiting = {*self._now.queued}
        while waiting - without and not self._closing:
            with self._lock:
                chosen = self._now.next(without)
            if not chosen:
                return
            for number in chosen:
                job = self._now.queued.get(number)
                if job is None or job.namespace in closed:
                    without.add(number)
                elif why := self._no_room(job):
                    without.add(number)
                    self._note(number, why)
                    if self._passed.get(number, 0) >= _BYPASSES:
                        closed.add(job.namespace)
                    break  # others may have its place
                else:
                    self._launch(job)
                    for other in without:
                        self._passed[other] = self._passed.get(other, 0) + 1

    def _no_room(self, job: TrainingJob) -> str:
        try:
            return self._place.full(job, self._now.wants(job.id))
        except TiphysError as error:
            return f"{error.code}: {error.message}"
        except Exception as error:  # of one job: the others must not wait for it
            log.exception("job %d", job.id)
            return f"whether there is room for it cannot be told: {error!r}"[:2000]

    def _note(self, number: int, why: str) -> None:
        with self._lock:
            if self._notes.get(number) != why:
                self._notes[number] = why
                self._tell()

    def _launch(self, job: TrainingJob) -> None:
        with self._lock:
            if job.id not in self._now.queued:  # cancelled just now
                return
            self._notes.pop(job.id, None)
            job = replace(job, state=JobState.launch, launched=self._clock())
            self._write(job)
            self._launching.add(job.id)
        self._threads.submit(self._create, job)

    def _create(self, job: TrainingJob) -> None:
        """Begin the Workflow of a job, which may have been begun before."""
        try:
            algorithm = self._algorithms.get(job.request.algorithm, job.algorithm_version)
            self._place.create(job, self._make(job, algorithm))
        except Exception as error:  # noqa: BLE001  it is told as the job's message, and in the log
            self._not_begun(job, error)
        else:
            with self._lock:
                self._later.pop(job.id, None)
                self._notes.pop(job.id, None)
                now = self._now.active.get(job.id)
                if now is not None and now.state is JobState.launch:
                    self._write(replace(now, state=JobState.running))
        finally:
            with self._lock:
                self._launching.discard(job.id)
            self._wake.set()

    def _not_begun(self, job: TrainingJob, error: Exception) -> None:
        told = f"{error.code}: {error.message}" if isinstance(error, TiphysError) else repr(error)
        if isinstance(error, TiphysError) and error.cause:
            told += f" ({error.cause})"
        permanent = isinstance(error, RefusedError) or getattr(error, "code", "") in _PERMANENT
        if not isinstance(error, TiphysError):
            log.exception("job %d", job.id, exc_info=error)
        with self._lock:
            now = self._now.active.get(job.id)
            if now is None:
                return
            if permanent:
                self._write(
                    replace(
                        now, state=JobState.failure, cause="refused", message=told[:2000], ended=self._clock()
                    )
                )
            else:
                pause = min(self._later.get(job.id, (0.0, 0.5))[1] * 2, _LONGEST_WAIT)
                self._later[job.id] = (self._clock() + pause, pause)
                self._note(job.id, f"it is tried again: {told}"[:2000])

    # jobs that run

    def _look(self) -> None:
        with self._lock:
            active = [job for job in self._now.active.values() if job.id not in self._launching]
            now = self._clock()
        for job in active:
            if job.cancelling:
                with contextlib.suppress(TiphysError):
                    self._place.stop(job)
        begun = [job for job in active if job.state is JobState.running or job.cancelling]
        try:
            seen = self._place.look(begun) if begun else {}
        except TiphysError as error:
            log.warning("the jobs cannot be looked at: %s", error)
            seen = {}
        for job in begun:
            if (found := seen.get(job.id)) is not None:
                self._saw(job, found)
        if any(job.id not in self._now.active for job in begun):
            self._keep_use()
        for job in active:
            if (
                job.state is JobState.launch
                and not job.cancelling
                and now >= self._later.get(job.id, (0.0, 0.0))[0]
            ):
                with self._lock:
                    if job.id in self._launching or job.id not in self._now.active:
                        continue
                    self._launching.add(job.id)
                self._threads.submit(self._create, job)

    def _saw(self, job: TrainingJob, seen: SeenJob) -> None:
        if not seen.phase:
            self._saw_none(job)
            return
        self._missed.pop(job.id, None)
        fresh = replace(
            job,
            progress=seen.progress or job.progress,
            metrics=dict(seen.metrics) or job.metrics,
            message="cancelling" if job.cancelling else seen.message[:2000],
        )
        if seen.phase in ("Succeeded", "Failed", "Error"):
            fresh = self._ended(fresh, seen)
        with self._lock:
            now = self._now.active.get(job.id)
            if now is None or (now == fresh):
                return
            if now.cancelling and not job.cancelling:  # asked for meanwhile: the next look sees to it
                return
            self._write(fresh)

    def _ended(self, job: TrainingJob, seen: SeenJob) -> TrainingJob:
        job = replace(job, ended=self._clock())
        if seen.phase == "Succeeded":
            model, message = "", ""
            if self._register is not None and job.request.output_model_name:
                try:
                    model = self._register(job, seen)
                except TiphysError as error:  # the training succeeded
                    message = f"{error.code}: {error.message}"
            return replace(job, state=JobState.succeed, model=model, message=message)
        if job.cancelling:
            return replace(job, state=JobState.cancelled, message="cancelled while it ran")
        return replace(job, state=JobState.failure, cause=seen.cause, message=seen.message[:2000])

    def _saw_none(self, job: TrainingJob) -> None:
        missed = self._missed[job.id] = self._missed.get(job.id, 0) + 1
        with self._lock:
            if job.id not in self._now.active:
                return
            if job.cancelling:
                self._write(replace(job, state=JobState.cancelled, message="cancelled", ended=self._clock()))
            elif missed >= _GONE:
                self._write(
                    replace(
                        job,
                        state=JobState.failure,
                        cause="stopped",
                        message=f"its Workflow {job.run} was deleted",
                        ended=self._clock(),
                    )
                )

    def _keep_use(self) -> None:
        with contextlib.suppress(TiphysError):
            self._jobs.keep("used", self._now.usage())
