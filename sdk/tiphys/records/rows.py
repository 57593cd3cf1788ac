"""A run's record as rows of the index, and back."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tiphys.causes.cause import Cause
from tiphys.numbers import number
from tiphys.records.record import (
    SAMPLED,
    ArtifactRecord,
    AttemptRecord,
    EventRecord,
    Point,
    RunRecord,
    StepRecord,
)
from tiphys.records.schema import TABLES

__all__ = [
    "LONGEST",
    "MADE",
    "SAID",
    "TAKEN",
    "USED",
    "delete",
    "facts",
    "insert",
    "kept_points",
    "kind_of",
    "read",
    "shortened",
    "unwritten",
]

LONGEST = 256
"""Characters of a value that is kept as it is."""
USED, MADE, SAID, TAKEN = 0, 1, 2, 3
"""What an edge between a step and an artifact is (the column ``made``); ``TAKEN``: made, and a hit."""
_MOST = 500  # points of a series

_RUN = (
    "key, source, name, namespace, uid, pipeline, phase, message, created, started, finished, progress, more"
)


class Fact(NamedTuple):
    """Something that can be asked of a run: ``params.model`` is ``cnn``."""

    name: str
    value: str
    number: float | None


def shortened(text: str) -> str:
    """A text as it is compared: a long one by its beginning and its digest."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}…sha256:{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()}"


def facts(record: RunRecord) -> set[Fact]:
    """What can be asked of a run, of its steps together."""
    found = {Fact("image", shortened(image), None) for image in record.images}
    found.update(Fact("cause", cause.kind, None) for cause in _seen(record.steps))

    def texts(room: str, values: Mapping[str, str]) -> None:
        found.update(Fact(f"{room}.{name}", shortened(text), number(text)) for name, text in values.items())

    texts("params", record.parameters)
    texts("labels", record.labels)
    texts("made", {**record.made_from, **({"config": record.config} if record.config else {})})
    for step in record.steps:
        texts("inputs", step.inputs)
    for name, values in record.metrics().items():
        found.update(Fact(f"metrics.{name}", repr(value), value) for value in values)
    return found


def _seen(steps: Iterable[StepRecord]) -> Iterator[Cause]:
    """Also those of attempts that were followed by a better one."""
    for step in steps:
        for each in step.attempts:
            if each.cause is not None:
                yield each.cause


def kept_points(points: Iterable[Point]) -> list[Point]:
    """What the index keeps of the points of a step, in order of time.

    Of what was sampled the highest memory and the last of each counter, of what was reported all, of a long series
    every so many and the last. The files have the rest.
    """
    series: dict[tuple[str, str, str], list[Point]] = {}
    for point in points:
        series.setdefault((point.node, point.key, point.worker), []).append(point)
    kept: list[Point] = []
    for (_, key, _), of_one in series.items():
        if key == "memory":
            kept.append(max(of_one, key=lambda point: point.value))
        elif key in SAMPLED:
            kept.append(of_one[-1])
        else:
            stride = -(-len(of_one) // _MOST)
            kept += of_one[:-1:stride]
            kept.append(of_one[-1])
    return sorted(kept, key=lambda point: (point.at, point.node, point.key, point.worker))


def kind_of(uri: str) -> str:
    """What an artifact is, as its place says: ``models`` of ``pvc://tiphys/models/KEY``."""
    scheme, _, rest = uri.rpartition("://")
    parts = rest.split("/")
    if scheme and len(parts) > 2:
        return parts[1]
    return ""


def insert(db: sqlite3.Connection, record: RunRecord, change: int, stamp: str, known: dict[str, int]) -> None:
    """Write the rows of a run that has none. ``known`` are numbers of names that were seen in this transaction."""
    more = {
        "parameters": dict(record.parameters),
        "outputs": dict(record.outputs),
        "labels": dict(record.labels),
        "made_from": dict(record.made_from),
        "images": list(record.images),
        "config": record.config,
        "scheduled": record.scheduled,
        "resources": dict(record.resources),
    }
    duration = record.seconds if record.started and record.finished else None
    row = db.execute(
        f"INSERT INTO runs({_RUN}, duration, change, stamp) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            record.key, record.source, record.name, record.namespace, record.uid, record.pipeline, record.phase,
            record.message, record.created, record.started, record.finished, record.progress, _json(more), duration,
            change, stamp,
        ),
    ).lastrowid  # fmt: skip
    assert row is not None
    _insert_facts(db, row, facts(record), known)
    db.executemany(
        "INSERT INTO steps VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                row, place, step.node, step.name, step.template, step.kind, step.phase, step.message, step.hit,
                step.started, step.finished,
                _json({"inputs": dict(step.inputs), "outputs": dict(step.outputs), "metrics": dict(step.metrics),
                       "resources": dict(step.resources), "creates": step.creates, "requests": dict(step.requests),
                       "gang": dict(step.gang), "pool": step.pool}),
            )
            for place, step in enumerate(record.steps)
        ],
    )  # fmt: skip
    db.executemany(
        "INSERT INTO attempts VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            (
                row, place, each.number, each.node, each.phase, each.message, each.exit_code, each.started,
                each.finished, each.host, each.pod, _json(dict(each.resources)), _cause_text(each.cause),
            )
            for place, step in enumerate(record.steps)
            for each in step.attempts
        ],
    )  # fmt: skip
    db.executemany(
        "INSERT INTO samples VALUES(?,?,?,?,?,?,?,?,?)",
        [
            (row, place, order, each.node, each.at, each.key, each.value, each.epoch, each.worker)
            for place, step in enumerate(record.steps)
            if step.points
            for order, each in enumerate(kept_points(step.points))
        ],
    )
    db.executemany(
        "INSERT INTO events VALUES(?,?,?,?,?,?,?,?,?,?)",
        [
            (
                row,
                place,
                order,
                each.node,
                each.at,
                each.event,
                each.message,
                each.worker,
                each.exit_code,
                each.lost,
            )
            for place, step in enumerate(record.steps)
            for order, each in enumerate(step.events)
        ],
    )
    _insert_edges(db, row, record.steps)


def unwritten(record: RunRecord, why: str) -> RunRecord:
    """What stands for a run that SQLite cannot hold."""
    return RunRecord(
        key=record.key,
        name=record.key,
        namespace="",
        uid="",
        source=record.source,
        pipeline="",
        phase="Unreadable",
        message=why,
    )


def _cause_text(cause: Cause | None) -> str:
    return _json([cause.kind, cause.permanent, cause.evidence]) if cause is not None else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _insert_facts(db: sqlite3.Connection, row: int, found: set[Fact], known: dict[str, int]) -> None:
    for name in {fact.name for fact in found} - known.keys():
        there = db.execute("SELECT id FROM names WHERE name=?", (name,)).fetchone()
        if there is None:
            there = db.execute("INSERT INTO names(name) VALUES(?) RETURNING id", (name,)).fetchone()
        known[name] = there[0]
    db.executemany(
        "INSERT INTO facts VALUES(?,?,?,?)",
        [(row, known[fact.name], fact.value, fact.number) for fact in found],
    )


def _insert_edges(db: sqlite3.Connection, row: int, steps: Iterable[StepRecord]) -> None:
    known: dict[tuple[str, str], int] = {}
    edges = []
    for place, step in enumerate(steps):
        for made, items in (
            (USED, step.uses),
            (TAKEN if step.hit else MADE, step.makes),
            (SAID, step.said),
        ):
            for order, item in enumerate(items):
                key = (item.uri, item.digest)
                if key not in known:
                    known[key] = _artifact(db, *key)
                edges.append((row, place, made, order, item.name, known[key]))
    db.executemany("INSERT INTO edges VALUES(?,?,?,?,?,?)", edges)


def _artifact(db: sqlite3.Connection, uri: str, digest: str) -> int:
    found = db.execute("SELECT id FROM artifacts WHERE uri=? AND digest=?", (uri, digest)).fetchone()
    if found is not None:
        return int(found[0])
    made = db.execute(
        "INSERT INTO artifacts(uri, digest, kind) VALUES(?,?,?)", (uri, digest, kind_of(uri))
    ).lastrowid
    assert made is not None
    return made


def delete(db: sqlite3.Connection, row: int) -> None:
    """Remove the rows of a run, and the artifacts that no other run names."""
    named = db.execute("SELECT DISTINCT artifact FROM edges WHERE run=?", (row,)).fetchall()
    for table in TABLES:
        db.execute(f"DELETE FROM {table} WHERE run=?", (row,))
    db.execute("DELETE FROM runs WHERE id=?", (row,))
    db.executemany(
        "DELETE FROM artifacts WHERE id=? AND NOT EXISTS(SELECT 1 FROM edges WHERE artifact=artifacts.id)",
        named,
    )


def read(db: sqlite3.Connection, row: int) -> RunRecord | None:
    """The record that rows were made from; of its points those that were kept."""
    run = db.execute(f"SELECT {_RUN} FROM runs WHERE id=?", (row,)).fetchone()
    if run is None:
        return None
    fields = dict(zip(_RUN.split(", "), run, strict=True))
    more = json.loads(fields.pop("more"))
    more["images"] = tuple(more["images"])
    return RunRecord(**fields, **more, steps=tuple(_steps(db, row)))


def _steps(db: sqlite3.Connection, row: int) -> Iterator[StepRecord]:
    edges: dict[tuple[int, int], list[ArtifactRecord]] = {}
    for step, made, uri, digest, name in db.execute(
        "SELECT step, made, uri, digest, name FROM edges JOIN artifacts ON artifacts.id=artifact WHERE run=? "
        "ORDER BY step, made, position",
        (row,),
    ):
        edges.setdefault((step, made), []).append(ArtifactRecord(uri, digest, name))
    attempts: dict[int, list[AttemptRecord]] = {}
    for step, node, place, phase, message, code, started, finished, host, pod, resources, cause in db.execute(
        "SELECT step, node, number, phase, message, exit_code, started, finished, host, pod, resources, cause "
        "FROM attempts WHERE run=? ORDER BY step, number",
        (row,),
    ):
        attempts.setdefault(step, []).append(
            AttemptRecord(
                node,
                place,
                phase,
                message,
                code,
                started,
                finished,
                host,
                pod,
                json.loads(resources),
                Cause(*json.loads(cause)) if cause else None,
            )
        )
    points: dict[int, list[Point]] = {}
    for step, *point in db.execute(
        "SELECT step, node, at, key, value, epoch, worker FROM samples WHERE run=? ORDER BY step, position",
        (row,),
    ):
        points.setdefault(step, []).append(Point(*point))
    events: dict[int, list[EventRecord]] = {}
    for step, *event in db.execute(
        "SELECT step, node, at, event, message, worker, exit_code, lost FROM events WHERE run=? "
        "ORDER BY step, position",
        (row,),
    ):
        events.setdefault(step, []).append(EventRecord(*event))
    for place, node, name, template, kind, phase, message, hit, started, finished, more in db.execute(
        "SELECT position, node, name, template, kind, phase, message, hit, started, finished, more FROM steps "
        "WHERE run=? ORDER BY position",
        (row,),
    ).fetchall():
        yield StepRecord(
            node=node,
            name=name,
            template=template,
            kind=kind,
            phase=phase,
            message=message,
            hit=bool(hit),
            started=started,
            finished=finished,
            uses=tuple(edges.get((place, USED), ())),
            makes=tuple(edges.get((place, TAKEN if hit else MADE), ())),
            said=tuple(edges.get((place, SAID), ())),
            attempts=tuple(attempts.get(place, ())),
            points=tuple(points.get(place, ())),
            events=tuple(events.get(place, ())),
            **json.loads(more),
        )
