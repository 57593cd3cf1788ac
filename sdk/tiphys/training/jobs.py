"""The jobs of the training service on the disk: queued before it answers, and never forgotten."""

from __future__ import annotations

import builtins
import json
import random
import sqlite3
import string
from collections.abc import Collection, Iterable
from dataclasses import asdict

from tiphys.errors import TrainingServiceError
from tiphys.training.file import TrainingFile
from tiphys.training.job import ENDED, JobState, TrainingJob, TrainingRequest

__all__ = ["JobTable"]

_COLUMNS = (
    "id, user, pool, namespace, run, state, algorithm_version, request, message, cause, progress, metrics, model, "
    "cancelling, created, launched, ended"
)
_LARGEST = 2**31 - 1  # of an int32


class JobTable:
    """The jobs of one file. Methods raise what :class:`TrainingFile` raises; TIP806 for a job that there is not."""

    def __init__(self, file: TrainingFile) -> None:
        self._file = file
        self._mark = file.change(_mark)

    def submit(
        self,
        request: TrainingRequest,
        *,
        user: str,
        pool: str,
        namespace: str,
        algorithm_version: int,
        now: float,
    ) -> tuple[TrainingJob, bool]:
        """The job, and whether it is new: the same request of the same user is one job.

        Raises TrainingServiceError: TIP804 when its ``request_id`` was used for another request.
        """

        def write(db: sqlite3.Connection) -> tuple[TrainingJob, bool]:
            text = _text(request)
            if request.request_id:
                row = db.execute(
                    f"SELECT {_COLUMNS} FROM jobs WHERE user=? AND request_id=?", (user, request.request_id)
                ).fetchone()
                if row is not None:
                    there = _job(row)
                    if _text(there.request) != text:
                        raise TrainingServiceError(
                            "TIP804",
                            f"the request id {request.request_id!r} is that of job {there.id}, another request",
                            cause="a request id names one request, so that it can be sent again",
                            fix="give each job a request id of its own, or none",
                        )
                    return there, False
            made = db.execute(
                "INSERT INTO jobs(user, request_id, pool, namespace, run, state, algorithm, algorithm_version, request,"
                " created) VALUES(?, ?, ?, ?, '', ?, ?, ?, ?, ?)",
                (user, request.request_id, pool, namespace, JobState.queuing, request.algorithm, algorithm_version,
                 text, now),
            )  # fmt: skip
            number = int(made.lastrowid or 0)
            run = f"train-{self._mark}-{number}"
            db.execute("UPDATE jobs SET run=? WHERE id=?", (run, number))
            return TrainingJob(
                number, request, user, pool, algorithm_version, run, namespace=namespace, created=now
            ), True

        return self._file.change(write)

    def get(self, number: int) -> TrainingJob:
        """Raises TIP806 for one that there is not."""
        row = None
        if 0 < number <= _LARGEST:
            row = self._file.ask(
                lambda db: db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id=?", (number,)).fetchone()
            )
        if row is None:
            raise TrainingServiceError(
                "TIP806", f"there is no job {number}", fix="`tiphys train list` lists them"
            )
        return _job(row)

    def list(
        self,
        *,
        pools: Collection[str] | None = None,
        user: str = "",
        states: Iterable[JobState] = (),
        limit: int = 100,
        before: int = 0,
    ) -> list[TrainingJob]:
        """The newest first, of these pools (None: of all). ``before``: older than the job of this number."""
        tests, values = ["1"], []
        if pools is not None:
            tests.append(f"pool IN ({', '.join('?' * len(pools))})")
            values += [*pools]
        if wanted := [int(each) for each in states]:
            tests.append(f"state IN ({', '.join(map(str, wanted))})")
        if user:
            tests.append("user=?")
            values.append(user)
        if before:
            tests.append(f"id<{int(before)}")
        query = f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(tests)} ORDER BY id DESC LIMIT {int(limit)}"
        return [_job(row) for row in self._file.ask(lambda db: db.execute(query, values).fetchall())]

    def unended(self) -> builtins.list[TrainingJob]:
        """All that are queued or under way, the oldest first."""
        query = f"SELECT {_COLUMNS} FROM jobs WHERE state IN (0, 1, 2) ORDER BY id"
        return [_job(row) for row in self._file.ask(lambda db: db.execute(query).fetchall())]

    def write(self, job: TrainingJob) -> bool:
        """Write how a job stands; of one that has ended nothing is written any more, and that is told."""
        values = (
            job.state, job.message, job.cause, job.progress, json.dumps(dict(job.metrics)), job.model, job.cancelling,
            job.launched, job.ended, job.id,
        )  # fmt: skip
        ended = ", ".join(str(int(each)) for each in sorted(ENDED))
        query = (
            "UPDATE jobs SET state=?, message=?, cause=?, progress=?, metrics=?, model=?, cancelling=?, launched=?, "
            f"ended=? WHERE id=? AND state NOT IN ({ended})"
        )
        return self._file.change(lambda db: db.execute(query, values).rowcount == 1)

    def fact(self, key: str) -> str:
        """A text that was kept; empty for none."""
        row = self._file.ask(lambda db: db.execute("SELECT value FROM facts WHERE key=?", (key,)).fetchone())
        return "" if row is None else str(row[0])

    def keep(self, key: str, value: str) -> None:
        """Keep a text."""
        self._file.change(
            lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES(?, ?)", (key, value)) and None
        )


def _mark(db: sqlite3.Connection) -> str:
    """What tells the runs of this file from those of another: made once."""
    row = db.execute("SELECT value FROM facts WHERE key='mark'").fetchone()
    if row is None:
        letters = string.ascii_lowercase + string.digits
        row = ("".join(random.SystemRandom().choices(letters, k=5)),)
        db.execute("INSERT INTO facts VALUES('mark', ?)", row)
    return str(row[0])


def _text(request: TrainingRequest) -> str:
    return json.dumps(asdict(request), sort_keys=True)


def _job(row: tuple[object, ...]) -> TrainingJob:
    (number, user, pool, namespace, run, state, version, request, message, cause, progress, metrics, model, cancelling,
     created, launched, ended) = row  # fmt: skip
    return TrainingJob(
        int(str(number)),
        TrainingRequest(**json.loads(str(request))),
        str(user),
        str(pool),
        int(str(version)),
        str(run),
        namespace=str(namespace),
        state=JobState(int(str(state))),
        message=str(message),
        cause=str(cause),
        progress=str(progress),
        metrics=json.loads(str(metrics)),
        model=str(model),
        cancelling=bool(cancelling),
        created=float(str(created)),
        launched=float(str(launched)),
        ended=float(str(ended)),
    )
