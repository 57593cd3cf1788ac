"""The project's pools in the table of the store: claims, what they hold, and what was used.

What may start is for :func:`tiphys.queue.core.decide` to say. Whoever changes something here asks it in the same
transaction and writes what it decided, for everybody: the others find it when they hear of news. So one engine that
looks moves all, and a kill at any moment leaves a table in which nothing is half done.

The file is that of :mod:`tiphys.queue.locks`: a step may want of both, their engines have the same heirs, and who waits
for either hears of news in one place. Rows are an engine's (PID and start time). The claims of a dead one are void, but
for what its steps have while an heir lives; what it was admitted to and had not seen yet, it had not started.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tiphys.errors import RunError
from tiphys.frozen import frozen
from tiphys.queue.circles import circle
from tiphys.queue.core import (
    Admit,
    Bucket,
    Claim,
    Holding,
    Move,
    PermitPool,
    Preempt,
    QueueState,
    Wait,
    advance,
    decide,
    explain,
    stuck,
)
from tiphys.queue.machine import PRICES
from tiphys.queue.rules import Rules
from tiphys.queue.table import InheritedTable, process_start, version

__all__ = ["Bid", "Permits", "Queued", "View"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS claims(
  name TEXT PRIMARY KEY, shown TEXT NOT NULL, wants TEXT NOT NULL, user TEXT NOT NULL, priority INTEGER NOT NULL,
  created REAL NOT NULL, least INTEGER NOT NULL, most INTEGER NOT NULL, preemptible INTEGER NOT NULL,
  within TEXT NOT NULL, asked REAL NOT NULL, pid INTEGER NOT NULL, start TEXT NOT NULL,
  passed INTEGER NOT NULL DEFAULT 0, units INTEGER NOT NULL DEFAULT 0, since REAL NOT NULL DEFAULT 0,
  ending INTEGER NOT NULL DEFAULT 0, taken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kinds ON claims(units, priority, user, wants, least, created, name);
CREATE INDEX IF NOT EXISTS inside ON claims(within);
CREATE INDEX IF NOT EXISTS said ON claims(wants, created, name);
CREATE INDEX IF NOT EXISTS owners ON claims(pid, start);
CREATE TABLE IF NOT EXISTS pool_sizes(pool TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used(user TEXT PRIMARY KEY, permit_seconds REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used_until(only INTEGER PRIMARY KEY CHECK(only = 0), at REAL NOT NULL);
"""
_FIELDS = (
    "name, shown, wants, user, priority, created, least, most, preemptible, within, asked, passed, units, since,"
    " ending"
)
_age = itemgetter(5, 0)  # of a row: when it was made, and its name
_FEW = 32  # of a kind that a decision reads at first
_Row = tuple[Any, ...]


@frozen
class Bid:
    """A claim, how large its pools are where nobody has set it, and what people call it."""

    claim: Claim
    sizes: Mapping[str, int]
    shown: str


@frozen
class Queued:
    """It waits for ``pool``."""

    pool: str
    message: str


@dataclass(frozen=True)
class View:
    """The table at one moment. ``asked``: since when each claim is there, in seconds since the epoch."""

    state: QueueState
    shown: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def waiting(self) -> dict[str, Claim]:
        return {each.name: each for there in self.state.waiting.values() for each in there}

    @cached_property
    def holding(self) -> dict[str, Holding]:
        return {each.claim.name: each for each in self.state.holding}

    @cached_property
    def free(self) -> dict[str, int]:
        return self.state.free()

    @cached_property
    def stuck(self) -> bool:
        """Whether some wait for one another."""
        return any(each.within for each in self.waiting.values()) and bool(stuck(self.state))


class Permits(InheritedTable):
    """The pools of one store. Safe for several threads and processes.

    ``rules`` are asked for at each decision; ``clock`` gives seconds since the epoch.
    """

    def __init__(
        self, path: Path, rules: Callable[[], Rules] = Rules, clock: Callable[[], float] = time.time
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._mine: dict[str, str] = {}  # claims that were asked for here, with what they want
        self._last: tuple[int, View] | None = None  # what was seen, and at which of the changes
        self._brief: tuple[int, View] | None = None  # the same, with the first few of each kind alone
        super().__init__(path, _SCHEMA)

    def close(self) -> None:
        """Give back everything that was asked for through this object, and close the table."""
        with self._turn() as db:
            self._delete(db, self._mine)
            self.disinherit(db)
            self._settle(db)
        super().close()

    def ask(self, bid: Bid, *, had: bool = False) -> Holding | Queued | RunError:
        """What a claim has now, or why it waits; it is the same claim when it asks again, also by the next engine.

        RunError TIP304: it would wait for ever, since others wait for what its own run holds. It is not in the queue
        then. Not so if the run ``had`` this already before its engine was killed: it waits, and one of the others is
        told.
        """
        claim, wants = bid.claim, _wants(bid)
        if self._mine.get(claim.name) == wants:  # it is only looked, which disturbs nobody
            with self.looking() as db:
                row = db.execute("SELECT units FROM claims WHERE name=?", (claim.name,)).fetchone()
                if row == (0,) and not (_nested(db) and self._load(db).stuck):
                    return self._queued(db, claim)
            if row is not None and row[0]:
                with self.transaction() as db:
                    if held := self._take(db, claim.name):
                        return held
        self._mine[claim.name] = wants
        brief = self._brief
        with self._turn() as db:
            if self._enter(db, bid) and _behind(db, claim, wants):
                self._brief = brief  # for nobody anything has changed
                return self._queued(db, claim)
            self._settle(db)
            if held := self._take(db, claim.name):
                return held
            found = []
            if claim.within and not had and _nested(db):
                view = self._load(db)
                found = circle(view.state, claim.name) if view.stuck else []
            if not found:
                return self._queued(db, claim)
            self._delete(db, [claim.name])
            self._settle(db)
        del self._mine[claim.name]
        return _deadlock(view, found)

    def granted(self) -> set[str]:
        """Claims that were asked for here and have been admitted since they were told to wait."""
        with self.looking() as db:
            rows = db.execute("SELECT name FROM claims WHERE units>0 AND taken=0").fetchall()
        return {name for (name,) in rows} & self._mine.keys()

    def give_back(self, *names: str) -> bool:
        """Give back what claims hold, or their places in the queue; whether there were any."""
        for name in names:
            self._mine.pop(name, None)
        with self.looking() as db:
            there = [
                name for name in names if db.execute("SELECT 1 FROM claims WHERE name=?", (name,)).fetchone()
            ]
        if not there:  # who gives back nothing disturbs nobody
            return False
        with self._turn() as db:
            self._delete(db, there)
            self._settle(db)
        return True

    def leave(self, name: str, pid: int) -> None:
        """A claim is the process ``pid``'s from now on: what it holds is held until that has ended."""
        self._mine.pop(name, None)
        with self.transaction() as db:
            db.execute("UPDATE claims SET pid=?, start=? WHERE name=?", (pid, process_start(pid), name))

    def resize(self, name: str, units: int) -> None:
        """What holds ``name`` goes on with so many units, fewer than it has; 0: it has ended at its backup, and waits
        once more in its place."""
        with self._turn() as db:
            if units:
                _resize(db, name, units, self._clock())
            else:
                db.execute("UPDATE claims SET units=0, ending=0, taken=0, passed=0 WHERE name=?", (name,))
            self._settle(db)

    def settle(self) -> None:
        """What may happen now only because time has passed is decided."""
        with self._turn() as db:
            self._settle(db)

    def forsake(self, workflow: str) -> None:
        """Give back what killed engines held for a workflow (``NAMESPACE/NAME``) of which nothing goes on, whatever
        heirs they have."""
        where = "name=? OR substr(name, 1, ?)=?"
        inside = f"{workflow}/"
        with self.looking() as db:
            rows = db.execute(
                f"SELECT name, pid, start FROM claims WHERE {where}", (workflow, len(inside), inside)
            ).fetchall()
        self.give_back(*(name for name, *owner in rows if not self.lives(*owner)))

    def news(self) -> bool:
        """As :meth:`SharedTable.news`; what dead engines left is cleared away."""
        if not super().news():
            return False
        with self.looking() as db:
            void = self._void(db)
        if void:
            with self._turn() as db:
                self._settle(db)
        return True

    def view(self) -> View:
        """What is in the table."""
        changes = self.changes()
        if self._last is None or self._last[0] != changes:
            with self.looking() as db:
                self._last = changes, self._load(db)
        return self._last[1]

    def sizes(self) -> dict[str, int]:
        """The pools whose size was set here."""
        with self.looking() as db:
            return dict(db.execute("SELECT pool, size FROM pool_sizes").fetchall())

    def set_size(self, pool: str, size: int | None) -> None:
        """From now on a pool has so many permits, whatever anybody else says; None: what they say holds again."""
        with self._turn() as db:
            db.execute("DELETE FROM pool_sizes WHERE pool=?", (pool,))
            if size is not None:
                db.execute("INSERT INTO pool_sizes VALUES(?,?)", (pool, size))
            self._settle(db)

    # -- inside -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _turn(self) -> Iterator[sqlite3.Connection]:
        """Change the table, after what was used so far is counted; to be followed by :meth:`_settle`."""
        with self.transaction() as db:
            self._last = self._brief = None
            self._count_use(db)
            yield db

    def _settle(self, db: sqlite3.Connection) -> None:
        """What may happen now is decided and written, for everybody."""
        self._bury(db)
        now = self._clock()
        more = True
        while more:
            state = self._load(db, *_few(db)).state
            moves = decide(state, now)
            for move in moves:
                _write(db, move, now)
            admitted = {each.name for each in moves if isinstance(each, Admit)}
            more = any(len(there) >= _FEW and there[-1].name in admitted for there in state.waiting.values())

    def _enter(self, db: sqlite3.Connection, bid: Bid) -> bool:
        """A row for the claim, unless it is there and wants the same: then it is this engine's from now on. Whether it
        is a new one."""
        claim, wants = bid.claim, _wants(bid)
        there = db.execute("SELECT wants FROM claims WHERE name=?", (claim.name,)).fetchone()
        if there is not None and _read(there[0])[0] == claim.each:
            given = (wants, *self.me, claim.name)
            db.execute("UPDATE claims SET wants=?, pid=?, start=? WHERE name=?", given)
            return False
        db.execute(
            "INSERT OR REPLACE INTO claims(name, shown, wants, user, priority, created, least, most, preemptible,"
            " within, asked, pid, start) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(claim.name, bid.shown, wants, claim.user, claim.priority, claim.created),
                *(claim.least, claim.most, claim.preemptible, claim.within, self._clock(), *self.me),
            ),
        )
        return True

    @staticmethod
    def _delete(db: sqlite3.Connection, names: Iterable[str]) -> int:
        return db.executemany("DELETE FROM claims WHERE name=?", [(name,) for name in names]).rowcount

    def _take(self, db: sqlite3.Connection, name: str) -> Holding | None:
        """What it has been admitted with, and knows now."""
        holding = self._load(db, _select(db, "name=? AND units>0", name)).state.holding
        if not holding:
            return None
        db.execute("UPDATE claims SET taken=1 WHERE name=?", (name,))
        return holding[0]

    def _glance(self, db: sqlite3.Connection) -> View:
        """What is in the table, with the first few of each kind that waits alone."""
        changes = version(db)
        if self._brief is None or self._brief[0] != changes:
            self._brief = changes, self._load(db, *_few(db))
        return self._brief[1]

    def _load(
        self,
        db: sqlite3.Connection,
        rows: Iterable[_Row] | None = None,
        said: Mapping[str, int] = MappingProxyType({}),
    ) -> View:
        """What is in these rows, or in all. ``said``: how large the pools are where there are others."""
        rules = self._rules()
        sizes: dict[str, int] = {}
        waiting: dict[Bucket, list[Claim]] = {}
        holding: list[Holding] = []
        shown: dict[str, str] = {}
        asked: dict[str, float] = {}
        for row in _select(db) if rows is None else rows:
            name, shown[name], wants, user, priority, created, least, most, able, within, *more = row
            asked[name], passed, units, since, ending = more
            each, largest = _read(wants)
            sizes.update(largest)  # the youngest run says how large a pool is, if nobody else does
            claim = Claim(name, each, user, priority, created, least, most, bool(able), within, passed)
            if units:
                holding.append(Holding(claim, units, since, ending - 1 if ending else None))
            else:
                waiting.setdefault(claim.bucket, []).append(claim)
        sizes |= {**said, **rules.pools, **dict(db.execute("SELECT pool, size FROM pool_sizes").fetchall())}
        used = dict(db.execute("SELECT user, permit_seconds FROM used").fetchall())
        until = db.execute("SELECT at FROM used_until").fetchone()
        state = QueueState(
            pools={name: PermitPool(size, PRICES.get(name, 1.0)) for name, size in sizes.items()},
            waiting={bucket: tuple(there) for bucket, there in waiting.items()},
            holding=tuple(holding),
            shares=rules.shares(used, until[0] if until else self._clock()),
            settled=rules.settled,
        )
        return View(state, shown, asked)

    def _count_use(self, db: sqlite3.Connection) -> None:
        """What is held was used until now."""
        state = advance(self._load(db, _select(db, "units>0")).state, self._clock())
        db.execute("INSERT OR REPLACE INTO used_until VALUES(0, ?)", (state.shares.at,))
        db.executemany("INSERT OR REPLACE INTO used VALUES(?,?)", state.shares.used.items())

    def _bury(self, db: sqlite3.Connection) -> None:
        self._delete(db, self._void(db))
        for pid, start in db.execute("SELECT DISTINCT pid, start FROM heirs").fetchall():
            if not self.holds(db, pid, start):
                db.execute("DELETE FROM heirs WHERE pid=? AND start=?", (pid, start))

    def _void(self, db: sqlite3.Connection) -> list[str]:
        """Claims of dead engines: all that waited or was not taken yet, and what was, when no heir lives."""
        found: list[str] = []
        for pid, start in db.execute("SELECT DISTINCT pid, start FROM claims").fetchall():
            if not self.lives(pid, start):
                where = "pid=? AND start=? AND (taken=0 OR ?)"
                given = (pid, start, not self.holds(db, pid, start))
                found += [row[0] for row in db.execute(f"SELECT name FROM claims WHERE {where}", given)]
        return found

    def _queued(self, db: sqlite3.Connection, claim: Claim) -> Queued:
        view = self._glance(db)
        wait = _short(view, claim)
        if wait is None:  # it is about whose turn it is
            view = self._load(db)
            wait = explain(view.state, claim.name, self._clock())
        if wait is None:  # it may start now, and will be told
            pool, count = claim.each[0]
            wait = Wait(claim.name, pool, count * claim.least, view.free.get(pool, 0))
        return Queued(wait.pool, _message(view, wait))


def _select(db: sqlite3.Connection, where: str = "1", *given: object) -> list[_Row]:
    """The rows of claims, the oldest first."""
    return db.execute(f"SELECT {_FIELDS} FROM claims WHERE {where} ORDER BY created, name", given).fetchall()


def _few(db: sqlite3.Connection) -> tuple[list[_Row], dict[str, int]]:
    """The rows of those that hold, and the oldest few of each kind that waits: those of one class and one user who want
    the same. When the oldest of them does not fit, no other does. And how large the pools are."""
    kinds = "SELECT priority, user, wants, least FROM claims WHERE units=0 GROUP BY 1, 2, 3, 4"
    where = "units=0 AND priority=? AND user=? AND wants=? AND least=?"
    text = f"SELECT {_FIELDS} FROM claims WHERE {where} ORDER BY created, name LIMIT {_FEW}"
    rows = [row for kind in db.execute(kinds).fetchall() for row in db.execute(text, kind)]
    sizes: dict[str, int] = {}
    for (wants,) in db.execute("SELECT wants FROM claims GROUP BY 1 ORDER BY MAX(created), MAX(name)"):
        sizes.update(_read(wants)[1])
    return [*_select(db, "units>0"), *sorted(rows, key=_age)], sizes


def _nested(db: sqlite3.Connection) -> bool:
    """Whether one waits while something is held that it is inside of."""
    inside = "SELECT 1 FROM claims AS one JOIN claims AS other ON other.within=one.name"
    return bool(db.execute(f"{inside} WHERE one.units>0 AND other.units=0 LIMIT 1").fetchone())


def _behind(db: sqlite3.Connection, claim: Claim, wants: str) -> bool:
    """Whether another step of its run waits for the same, and its turn is before: so it starts nothing, nor closes a
    circle."""
    where = "units=0 AND priority=? AND user=? AND wants=? AND least=? AND created=? AND name<? AND within=?"
    given = (claim.priority, claim.user, wants, claim.least, claim.created, claim.name, claim.within)
    return bool(db.execute(f"SELECT 1 FROM claims WHERE {where} LIMIT 1", given).fetchone())


def _write(db: sqlite3.Connection, move: Move, now: float) -> None:
    if isinstance(move, Preempt):
        db.execute("UPDATE claims SET ending=? WHERE name=?", (1 + move.keeps, move.name))
    elif isinstance(move, Admit):
        db.execute("UPDATE claims SET units=?, since=? WHERE name=?", (move.units, now, move.name))
        db.executemany("UPDATE claims SET passed=passed+1 WHERE name=?", [(name,) for name in move.heads])
    else:
        _resize(db, move.name, move.units, now)


def _resize(db: sqlite3.Connection, name: str, units: int, now: float) -> None:
    db.execute("UPDATE claims SET units=?, since=?, ending=0 WHERE name=? AND units > 0", (units, now, name))


def _wants(bid: Bid) -> str:
    """Pools with how many permits are wanted, and how many there are."""
    return json.dumps([[pool, count, bid.sizes[pool]] for pool, count in bid.claim.each])


@functools.lru_cache(1024)
def _read(wants: str) -> tuple[tuple[tuple[str, int], ...], dict[str, int]]:
    found = json.loads(wants)
    return tuple((pool, count) for pool, count, _ in found), {pool: size for pool, _, size in found}


def _short(view: View, claim: Claim) -> Wait | None:
    """What there is not enough of, without asking whose turn it is."""
    for pool, count in claim.wants(claim.least):
        if count > (free := view.free.get(pool, 0)):
            return Wait(claim.name, pool, count, free, never=count > view.state.pools[pool].size)
    return None


def _message(view: View, wait: Wait) -> str:
    permits = "1 permit" if wait.wanted == 1 else f"{wait.wanted} permits"
    size = view.state.pools[wait.pool].size
    if wait.never:
        return f"Waiting for {permits} of pool {wait.pool}, which has {size} in all"
    kept = f", kept for {view.shown.get(wait.head, wait.head)}" if wait.head else ""
    return f"Waiting for {permits} of pool {wait.pool}: {max(wait.free, 0)} of {size} free{kept}"


def _deadlock(view: View, found: list[tuple[str, str]]) -> RunError:
    def told(waiting: str, holder: str) -> str:
        claim = view.waiting[waiting]
        has = {pool for pool, _ in view.holding[holder].claim.each}
        pools = [pool for pool, _ in claim.each if pool in has]
        return f"{view.shown[waiting]} waits for {', '.join(pools)}, which {view.shown[holder]} holds"

    return RunError(
        "TIP304",
        f"it would wait for ever: {'; '.join(told(*each) for each in found)}",
        cause="each holds permits until one inside it has those that another holds",
        fix="take pools in one order in all workflows, or all that a run needs at once",
    )
