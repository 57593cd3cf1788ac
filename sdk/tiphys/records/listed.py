"""Runs as lines of a list: what is asked for most, without their steps."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tiphys.records.index import Index
from tiphys.records.query import select, strange_names
from tiphys.records.where import order_of, parsed

__all__ = ["ListedRun", "listed"]


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as a line. Times are seconds since the epoch, ``seconds`` is how long it took; 0 is "not yet".

    Of a metric of several steps ``metrics`` has the highest value. ``cause`` names why attempts failed: ``code, oom``.
    """

    key: str
    name: str
    source: str
    pipeline: str
    phase: str
    message: str
    progress: str
    created: float
    started: float
    finished: float
    seconds: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    cause: str = ""

    def flat(self) -> dict[str, str | float]:
        """One column for each thing: ``pandas.DataFrame(run.flat() for run in found)``."""
        rooms = {"params": self.parameters, "labels": self.labels, "metrics": self.metrics}
        plain = [name for name in self.__slots__ if name not in ("parameters", "labels", "metrics")]
        return {name: getattr(self, name) for name in plain} | {
            f"{room}.{name}": value for room, values in rooms.items() for name, value in values.items()
        }


def listed(
    index: Index, where: str = "", order_by: str = "", limit: int = 0
) -> tuple[list[ListedRun], list[str]]:
    """The runs that a condition chooses, the newest first if no order is given; and notes on names that none has.

    Raises RefusedError TIP255.
    """
    condition = parsed(where) if where else None
    order = order_of(order_by) if order_by else None
    with index.reading() as db:
        found = _lines(db, select(db, condition, order, limit))
        notes = strange_names(db, condition) if condition is not None and not found else []
    return found, notes


_PLAIN = "key, name, source, pipeline, phase, message, progress, created, started, finished"


def _lines(db: sqlite3.Connection, rows: Iterable[int]) -> list[ListedRun]:
    found = []
    for row in rows:
        run = db.execute(f"SELECT {_PLAIN}, duration, more FROM runs WHERE id=?", (row,)).fetchone()
        metrics = db.execute(
            "SELECT substr(n.name, 9), max(number) FROM facts f NOT INDEXED CROSS JOIN names n ON n.id=f.name "
            "WHERE run=? AND n.name>='metrics.' AND n.name<'metrics/' GROUP BY n.name",
            (row,),
        ).fetchall()
        causes = db.execute(
            "SELECT value FROM facts f NOT INDEXED WHERE run=? AND name=(SELECT id FROM names WHERE name='cause')",
            (row,),
        ).fetchall()
        values = json.loads(run[-1])
        found.append(
            ListedRun(
                **dict(zip(_PLAIN.split(", "), run[:-2], strict=True)),
                seconds=run[-2] or 0.0,
                parameters=values["parameters"],
                labels=values["labels"],
                metrics=dict(metrics),
                cause=", ".join(sorted(cause for (cause,) in causes)),
            )
        )
    return found
