"""How much a store's caches may keep, and the removal of the entries beyond.

By age, by the last hit, by number and by bytes; beyond the last two the entries go that were not used for longest. What
nobody knows the age of stays. Entries go in small transactions with a pause between, so that a running engine finds its
turn; those used a moment ago stay.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from tiphys.frozen import frozen
from tiphys.reuse.entries import Entries, delete
from tiphys.reuse.seen import Seen
from tiphys.reuse.shared import Freeing
from tiphys.store.bucket import stored_key
from tiphys.store.files import alone

if TYPE_CHECKING:
    import sqlite3

    from tiphys.argo.types import Outputs
    from tiphys.store import Store

__all__ = ["DEFAULT", "FRESH", "CacheLimits", "automatic", "limits_of", "set_limits", "sweep"]

FRESH = 60.0  # seconds since its last use in which an entry stays in any case
REHASH = 30 * 86400.0  # seconds after which a file is hashed again although it did not change
_BATCH = 5000
_PERIOD = 3600.0  # seconds between two looks at ages
_BUDGET = 2.0  # seconds that a run gives for it
_ROOM = 0.9  # of a limit that was passed so much stays, lest the next entry passes it again


@frozen
class CacheLimits:
    """``older_than`` and ``not_hit_for`` in seconds, ``max_bytes`` of the outputs and what they point to, which counts
    once; None: no limit."""

    older_than: float | None = None
    not_hit_for: float | None = None
    max_bytes: int | None = None
    max_entries: int | None = None

    def excess(self, entries: int, size: int) -> tuple[int, int]:
        """By how many entries and bytes the limits of size are passed; 0 or less: not passed."""
        return (
            0 if self.max_entries is None else entries - self.max_entries,
            0 if self.max_bytes is None else size - self.max_bytes,
        )

    def scaled(self, part: float) -> CacheLimits:
        """The limits of size, times ``part``."""
        size, count = (
            None if each is None else int(each * part) for each in (self.max_bytes, self.max_entries)
        )
        return CacheLimits(self.older_than, self.not_hit_for, size, count)


DEFAULT = CacheLimits(max_entries=1_000_000)
"""Of a store that says nothing else."""


def limits_of(known: Entries) -> CacheLimits:
    """The limits of a store."""
    with known.file.reading() as db:
        said = dict(db.execute("SELECT name, value FROM settings").fetchall())
    return CacheLimits(
        **{each.name: said.get(each.name, getattr(DEFAULT, each.name)) for each in fields(CacheLimits)}
    )


def set_limits(known: Entries, limits: CacheLimits) -> None:
    """Give a store its limits."""
    rows = [(each.name, getattr(limits, each.name)) for each in fields(CacheLimits)]
    with known.file.writing() as db:
        db.executemany("INSERT OR REPLACE INTO settings(name, value) VALUES(?,?)", rows)


def sweep(
    known: Entries,
    limits: CacheLimits,
    now: float,
    *,
    dry_run: bool = False,
    gone: Callable[[str, str], None] = lambda cache, key: None,
    seconds: float = float("inf"),
) -> int:
    """Delete the entries beyond the limits; how many. ``gone`` hears of each (cache, key).

    Safe beside running engines. The keys of artifacts that they named are noted for :mod:`tiphys.reuse.gc`.
    ``dry_run`` only tells. After ``seconds`` it stops where it is.
    """
    if dry_run:
        chosen = _chosen(known, limits, now)
        for _, cache, key, _ in chosen:
            gone(cache, key)
        return len(chosen)
    end, count = time.monotonic() + seconds, 0
    for condition, value in _ages(limits, now):
        while time.monotonic() < end and (rows := _take(known, condition, (value,), now)):
            count += len(rows)
            for row in rows:
                gone(*row)
    while time.monotonic() < end:
        rows = _take(known, "hit IS NOT NULL", (), now, limits.excess(*known.totals()))
        if not rows:
            break
        count += len(rows)
        for row in rows:
            gone(*row)
    Seen(known.file).forget(now - REHASH)
    return count


def automatic(store: Store, known: Entries, now: float) -> int:
    """After an entry was written: sweep when a limit of the store is passed; how many entries went.

    The look at the totals is one row. Ages are looked at once an hour. One process does it at a time, and no longer
    than two seconds; the next entry goes on with it.
    """
    limits = limits_of(known)
    beyond = max(limits.excess(*known.totals())) > 0
    if not beyond and not (next(_ages(limits, now), None) and known.swept() + _PERIOD < now):
        return 0
    with alone(store.root / "cache-gc.lock") as mine:
        if mine is None:  # somebody else sweeps the store by himself
            return 0
        known.note_sweep(now)
        return sweep(known, limits.scaled(_ROOM) if beyond else limits, now, seconds=_BUDGET)


def _ages(limits: CacheLimits, now: float) -> Iterator[tuple[str, float]]:
    if limits.older_than is not None:
        yield "created<?", now - limits.older_than
    if limits.not_hit_for is not None:
        yield "hit<?", now - limits.not_hit_for


def _take(
    known: Entries,
    condition: str,
    values: tuple[float, ...],
    now: float,
    excess: tuple[int, int] | None = None,
) -> list[tuple[str, str]]:
    """Delete a batch, those not used for longest first: with ``excess`` no more entries than make it up."""
    with known.file.writing() as db:
        rows = _oldest(db, condition, values, now, _BATCH)
        if excess is not None:
            rows = _as_many(rows, *excess, Freeing(db))
        if rows:
            begun = time.monotonic()
            numbers = [row[0] for row in rows]
            _free(db, numbers)
            delete(db, numbers)
    if rows:
        time.sleep((time.monotonic() - begun) / 3)  # others have their turn
    return [(cache, key) for _, cache, key, _ in rows]


def _oldest(
    db: sqlite3.Connection, condition: str, values: tuple[float, ...], now: float, limit: int
) -> list[tuple[int, str, str, int]]:
    order = "created" if condition.startswith("created") else "hit"  # the index that finds them
    return db.execute(
        f"SELECT id, cache, key, size FROM entries WHERE {condition} AND hit<? ORDER BY {order} LIMIT ?",
        (*values, now - FRESH, limit),
    ).fetchall()


def _as_many(
    rows: list[tuple[int, str, str, int]], count: int, size: int, freeing: Freeing
) -> list[tuple[int, str, str, int]]:
    """The first rows: ``count`` of them, or those with which ``size`` bytes go, whichever is more."""
    taken = []
    for row in rows:
        if count <= 0 and size <= 0:
            break
        taken.append(row)
        count -= 1
        if size > 0:
            size -= freeing.bytes_of(row[0], row[3])
    return taken


def _chosen(known: Entries, limits: CacheLimits, now: float) -> list[tuple[int, str, str, int]]:
    """What a sweep would delete."""
    chosen: dict[int, tuple[int, str, str, int]] = {}
    with known.file.reading() as db:
        for condition, value in _ages(limits, now):
            chosen |= {row[0]: row for row in _oldest(db, condition, (value,), now, -1)}
        entries, size = known.totals()
        freeing = Freeing(db)
        if limits.max_bytes is not None:
            size -= sum(freeing.bytes_of(row[0], row[3]) for row in chosen.values())
        excess = limits.excess(entries - len(chosen), size)
        left = [row for row in _oldest(db, "hit IS NOT NULL", (), now, -1) if row[0] not in chosen]
        return [*chosen.values(), *_as_many(left, *excess, freeing)]


def _free(db: sqlite3.Connection, numbers: list[int]) -> None:
    """Note the keys of the artifacts that these entries name."""
    marks = ",".join("?" * len(numbers))
    found = db.execute(
        f"SELECT outputs FROM contents WHERE id IN ({marks}) AND instr(outputs, '\"artifacts\"')", numbers
    )
    keys = {key for (text,) in found for key in artifact_keys(json.loads(text))}
    db.executemany("INSERT OR IGNORE INTO freed(key) VALUES(?)", ((key,) for key in keys))


def artifact_keys(outputs: Outputs | None) -> Iterator[str]:
    """The keys in the store's bucket that outputs name."""
    for artifact in (outputs or {}).get("artifacts") or []:
        if key := stored_key(artifact):
            yield key
