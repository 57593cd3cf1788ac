"""Which runs of the index a condition chooses, in an order: the SQL, and how it is asked for at a million runs.

What somebody wrote is bound to the SQL, never spliced into it. Two ways lead to the first hundred: along the order,
passing over what does not fit; or from the test that the fewest runs can pass. SQLite cannot know which is shorter: how
many pass one test does not say how many pass all. So a thousand runs are asked first. Which index a table is asked by
is said each time ("NOT INDEXED" is by its own key): a run has ten facts, and a name has millions.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tiphys.errors import did_you_mean
from tiphys.records.rows import shortened
from tiphys.records.where import COLUMNS, Comparison, Junction, Order

__all__ = ["RunCondition", "compiled", "select", "strange_names"]

_ASKED = 1000  # runs, to see how many fit
_FEW = 2000  # runs that are all looked at, rather than asking how many fit
_COUNTED = 200_000  # runs, at which counting ends
_INSTRUCTIONS = 3_000_000  # of SQLite's machine, some 30 ms: after them the order was the wrong way
_NEWEST = Order("started", falling=True)
_INDEXED = ("key", "name", "phase", "pipeline", "uid", "started", "duration")

_Values = tuple[str | float, ...]


class RunCondition(NamedTuple):
    """A condition as SQL: ``{run}`` in it is the run's number, ``{row}`` the alias of its row; ``values`` are bound.

    ``among`` are queries that each give, by an index, the numbers of the runs outside of which it cannot hold.
    """

    sql: str
    values: _Values = ()
    among: tuple[tuple[str, _Values], ...] = ()


_ALL = RunCondition("1")


def select(
    db: sqlite3.Connection, where: Junction | Comparison | None, order: Order | None = None, limit: int = 0
) -> list[int]:
    """The numbers of the runs; without an order the newest first. ``limit``: 0 for all."""
    order = order or _NEWEST
    condition = compiled(where, lambda name: _number(db, name)) if where is not None else _ALL
    few, shorter = _fewest(db, condition, limit)
    if few is not None and shorter:
        return _from_few(db, condition, few, order, limit)
    along = _along_column if order.field in COLUMNS else _along_fact
    if few is None:
        return along(db, condition, order, limit)
    try:
        with _patience(db):
            return along(db, condition, order, limit)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    return _from_few(db, condition, few, order, limit)  # what fits lies far back in the order


def strange_names(db: sqlite3.Connection, where: Junction | Comparison) -> list[str]:
    """What is to be said of names that no run has: nothing is found by them."""
    known = [name for (name,) in db.execute("SELECT name FROM names")]
    asked = {
        test.field: None for test in _tests(where) if test.field not in COLUMNS and test.field not in known
    }
    return [f"no run has {name}.{did_you_mean(name, known)}" for name in asked]


def _tests(part: Junction | Comparison) -> list[Comparison]:
    return [part] if isinstance(part, Comparison) else [test for each in part.inside for test in _tests(each)]


def _number(db: sqlite3.Connection, name: str) -> int:
    found = db.execute("SELECT id FROM names WHERE name=?", (name,)).fetchone()
    return int(found[0]) if found is not None else 0


# -- the SQL -------------------------------------------------------------------------------------------------


def compiled(part: Junction | Comparison, number_of: Callable[[str], int]) -> RunCondition:
    """A condition as SQL; ``number_of`` gives the number that the index has for a name, 0 if none."""
    if isinstance(part, Comparison):
        return _column(part) if part.field in COLUMNS else _fact(part, number_of(part.field))
    inside = [compiled(each, number_of) for each in part.inside]
    values = tuple(value for each in inside for value in each.values)
    if part.word == "not":
        return RunCondition(f"NOT {inside[0].sql}", values)
    sql = "(" + f" {part.word.upper()} ".join(each.sql for each in inside) + ")"
    if part.word == "and":
        return RunCondition(sql, values, tuple(among for each in inside for among in each.among))
    if not all(each.among for each in inside):
        return RunCondition(sql, values)
    ways = [each.among[0] for each in inside]
    union = " UNION ALL ".join(query for query, _ in ways)
    return RunCondition(sql, values, ((union, tuple(value for _, own in ways for value in own)),))


def _fact(test: Comparison, name: int) -> RunCondition:
    column = "number" if test.values and isinstance(test.values[0], float) else "value"
    found, values = _compared(column, test, shortened)
    chosen, bound = f"name=?{' AND ' * bool(found)}{found}", (name, *values)
    own = chosen.replace("number", "+number")  # else SQLite takes the index of numbers, whatever is said
    return RunCondition(
        f"EXISTS(SELECT 1 FROM facts NOT INDEXED WHERE run={{run}} AND {own})",
        bound,
        ((f"SELECT run FROM facts INDEXED BY facts_{column} WHERE {chosen}", bound),),
    )


def _column(test: Comparison) -> RunCondition:
    found, values = _compared(test.field, test, str)
    if test.field in ("created", "started", "finished"):  # 0 is "not yet"
        found = f"{test.field}>0 AND {found}"
    own = found.replace(test.field, f"{{row}}.{test.field}")
    if test.field == "duration":
        own = f"{{row}}.duration IS NOT NULL AND {own}"
    among = ((f"SELECT id AS run FROM runs WHERE {found}", values),) if test.field in _INDEXED else ()
    return RunCondition(f"({own})", values, among)


def _compared(column: str, test: Comparison, as_bound: Callable[[str], str]) -> tuple[str, _Values]:
    values = tuple(as_bound(value) if isinstance(value, str) else value for value in test.values)
    if not test.sign:
        return "", ()
    if test.sign == "in":
        return f"{column} IN ({','.join('?' * len(values))})", values
    if test.sign == "like":
        pattern = str(test.values[0])
        beginning = pattern[
            : min((at for each in "%_" if (at := pattern.find(each)) >= 0), default=len(pattern))
        ]
        ending = beginning + "\U0010ffff"
        return f"{column}>=? AND {column}<? AND {column} GLOB ?", (beginning, ending, _glob(pattern))
    return f"{column}{test.sign}?", values


def _glob(pattern: str) -> str:
    """A pattern of LIKE as one of GLOB, which tells large letters from small ones."""
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(signs.get(each, each) for each in pattern)


# -- the ways ------------------------------------------------------------------------------------------------


def _fewest(
    db: sqlite3.Connection, condition: RunCondition, limit: int
) -> tuple[tuple[str, _Values] | None, bool]:
    """The query that gives the fewest runs, if they are not too many; and whether to begin with it is shorter."""
    if not condition.among:
        return None, False
    fewest, among = min(
        ((_count(db, each, _FEW), each) for each in condition.among), key=lambda item: item[0]
    )
    if fewest < _FEW or not limit:
        return among, True
    fewest, among = min(
        ((_count(db, each, _COUNTED), each) for each in condition.among), key=lambda item: item[0]
    )
    if fewest >= _COUNTED:
        return None, False
    part, all_runs = _part(db, condition)
    return among, fewest < min(limit / part, all_runs)


@contextlib.contextmanager
def _patience(db: sqlite3.Connection) -> Iterator[None]:
    """A statement inside is interrupted when it has gone on for long."""
    db.set_progress_handler(lambda: 1, _INSTRUCTIONS)
    try:
        yield
    finally:
        db.set_progress_handler(None, 0)


def _count(db: sqlite3.Connection, among: tuple[str, _Values], most: int) -> int:
    query, values = among
    return int(
        db.execute(f"SELECT count(*) FROM (SELECT 1 FROM ({query}) LIMIT {most})", values).fetchone()[0]
    )


def _part(db: sqlite3.Connection, condition: RunCondition) -> tuple[float, int]:
    """Which part of the runs fits, as some that are taken by chance say, and how many runs there are at most."""
    last = db.execute("SELECT max(id) FROM runs").fetchone()[0] or 1
    chance = random.Random(last)
    asked = json.dumps([chance.randint(1, last) for _ in range(_ASKED)])
    there, fit = db.execute(
        f"SELECT count(*), sum({condition.sql.format(run='r.id', row='r')}) FROM json_each(?) j "
        "CROSS JOIN runs r ON r.id=j.value",
        (*condition.values, asked),
    ).fetchone()
    return ((fit or 0) + 0.5) / (there + 1), last


def _from_few(
    db: sqlite3.Connection, condition: RunCondition, among: tuple[str, _Values], order: Order, limit: int
) -> list[int]:
    query, values = among
    best, bound = f"r.{order.field}", tuple[int, ...]()
    if order.field not in COLUMNS:
        which = "max" if order.falling else "min"
        best = f"(SELECT {which}(number) FROM facts NOT INDEXED WHERE run=r.id AND name=?)"
        bound = (_number(db, order.field),)
    way = "DESC" if order.falling else "ASC"
    found = db.execute(
        f"SELECT r.id, {best} AS best FROM (SELECT DISTINCT run FROM ({query})) d CROSS JOIN runs r ON r.id=d.run "
        f"WHERE {condition.sql.format(run='d.run', row='r')} "
        f"ORDER BY best IS NULL, best {way}, CASE WHEN best IS NULL THEN r.started END DESC, r.id {way} LIMIT ?",
        (*bound, *values, *condition.values, limit or -1),
    )
    return [row for row, _ in found]


def _along_column(db: sqlite3.Connection, condition: RunCondition, order: Order, limit: int) -> list[int]:
    way = "DESC" if order.falling else "ASC"
    index = "sqlite_autoindex_runs_1" if order.field == "key" else f"runs_{order.field}"
    there = "r.duration IS NOT NULL" if order.field == "duration" else "1"
    found = [
        row
        for (row,) in db.execute(
            f"SELECT r.id FROM runs r INDEXED BY {index} WHERE {there} AND "
            f"{condition.sql.format(run='r.id', row='r')} ORDER BY r.{order.field} {way}, r.id {way} LIMIT ?",
            (*condition.values, limit or -1),
        )
    ]
    if order.field == "duration" and (not limit or len(found) < limit):
        found += _without(db, condition, "r.duration IS NULL", (), limit - len(found) if limit else 0)
    return found


def _along_fact(db: sqlite3.Connection, condition: RunCondition, order: Order, limit: int) -> list[int]:
    name, way = _number(db, order.field), "DESC" if order.falling else "ASC"
    better = ">" if order.falling else "<"
    found = [
        row
        for (row,) in db.execute(
            "SELECT o.run FROM facts o INDEXED BY facts_number CROSS JOIN runs r ON r.id=o.run "
            "WHERE o.name=? AND o.number IS NOT NULL AND NOT EXISTS("
            f"SELECT 1 FROM facts b NOT INDEXED WHERE b.run=o.run AND b.name=o.name AND (+b.number{better}o.number OR "
            "(+b.number=o.number AND b.value<o.value))) "
            f"AND {condition.sql.format(run='o.run', row='r')} ORDER BY o.number {way}, o.run {way} LIMIT ?",
            (name, *condition.values, limit or -1),
        )
    ]
    if not limit or len(found) < limit:
        has_none = (
            "NOT EXISTS(SELECT 1 FROM facts NOT INDEXED WHERE run=r.id AND name=? AND +number IS NOT NULL)"
        )
        found += _without(db, condition, has_none, (name,), limit - len(found) if limit else 0)
    return found


def _without(
    db: sqlite3.Connection, condition: RunCondition, has_none: str, values: _Values, limit: int
) -> list[int]:
    """Those that have nothing to be ordered by: the newest first."""
    return [
        row
        for (row,) in db.execute(
            f"SELECT r.id FROM runs r INDEXED BY runs_started WHERE {has_none} AND "
            f"{condition.sql.format(run='r.id', row='r')} ORDER BY r.started DESC, r.id DESC LIMIT ?",
            (*values, *condition.values, limit or -1),
        )
    ]
