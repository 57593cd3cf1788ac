"""Records that nobody ran: for the tests of what is asked of many."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from tiphys.records.record import ArtifactRecord, AttemptRecord, Point, RunRecord, StepRecord

TABLES = {
    "runs": "key, stamp, source, name, namespace, uid, pipeline, phase, message, created, started, finished, duration, "
    "progress, more",
    "facts": "(SELECT key FROM runs WHERE id=run), (SELECT name FROM names WHERE id=facts.name), value, number",
    "steps": "(SELECT key FROM runs WHERE id=run), position, node, name, template, kind, phase, message, hit, started, "
    "finished, more",
    "attempts": "(SELECT key FROM runs WHERE id=run), step, number, node, phase, message, exit_code, started, "
    "finished, host, pod",
    "samples": "(SELECT key FROM runs WHERE id=run), step, position, node, at, key, value, epoch, worker",
    "events": "(SELECT key FROM runs WHERE id=run), step, position, node, at, event, message, worker, exit_code, lost",
    "artifacts": "uri, digest, kind",
    "edges": "(SELECT key FROM runs WHERE id=run), step, made, position, name, "
    "(SELECT uri || ' ' || digest FROM artifacts WHERE id=artifact)",
}


def run(
    key: str,
    *,
    phase: str = "Succeeded",
    started: float = 1000.0,
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    uses: str = "",
    makes: str = "",
    source: str = "local",
    seconds: float = 60.0,
) -> RunRecord:
    """A run of two steps; the second made and used things, and reported."""
    end = started + seconds if phase != "Running" else 0.0
    first = StepRecord(
        f"{key}-1", "ingest", "ingest", "Pod", "Succeeded", hit=True, started=started, finished=started
    )
    second = StepRecord(
        node=f"{key}-2",
        name="train",
        template="train",
        kind="Pod",
        phase=phase,
        started=started + 1,
        finished=end,
        inputs={"data": uses},
        metrics=metrics or {},
        uses=(ArtifactRecord(uses, "", "data"),) if uses else (),
        makes=(ArtifactRecord(makes, "sha256:" + makes.rpartition("/")[2], "model"),) if makes else (),
        attempts=(AttemptRecord(f"{key}-2", 1, phase, exit_code=0, started=started + 1, finished=end),),
        points=(
            Point(f"{key}-2", started + 2, "accuracy", 0.5, 1),
            Point(f"{key}-2", started + 3, "memory", 7e6),
        ),
    )
    return RunRecord(
        key=key,
        name=key.rpartition("/")[2],
        namespace="argo",
        uid=f"uid-{key}",
        source=source,
        pipeline=key.rpartition("-")[0],
        phase=phase,
        created=started,
        started=started,
        finished=end,
        parameters=params or {},
        labels=labels or {},
        images=("python:3.12",),
        steps=(first, second),
    )


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that an index holds, named as what it is about is named elsewhere: without numbers of this very file."""
    with closing(sqlite3.connect(path)) as db:
        return {
            table: sorted(db.execute(f"SELECT {columns} FROM {table}"), key=repr)
            for table, columns in TABLES.items()
        }
