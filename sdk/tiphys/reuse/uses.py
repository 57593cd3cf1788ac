"""Who asked for an entry, and what was answered: the last lookups of a store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field

from tiphys.frozen import frozen
from tiphys.reuse.file import CacheFile

__all__ = ["KEPT", "Lookup", "asked_by", "note", "uses"]

KEPT = 100_000  # lookups of the whole store; how often an entry was taken is counted for ever
_FIELDS = "cache, key, run, step, template, at, hit, why, parts"


@frozen
class Lookup:
    """One lookup. ``step`` is the node's name below the run, ``template`` what it is of, ``at`` seconds since the
    epoch, ``why`` the reason of a miss that had an entry, ``parts`` what the key was made of."""

    cache: str
    key: str
    run: str
    step: str
    template: str
    at: float
    hit: bool
    why: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)


def note(file: CacheFile, use: Lookup) -> None:
    """Write a lookup down; the entry of a hit was used then.

    Should it have been collected since it was read, that is no harm: what it points to stays while a run goes on.
    """
    parts = json.dumps(dict(use.parts), ensure_ascii=False)
    row = (use.cache, use.key, use.run, use.step, use.template, use.at, use.hit, use.why, parts)
    with file.writing() as db:
        if use.hit:
            db.execute(
                "UPDATE entries SET hits=hits+1, hit=? WHERE cache=? AND key=?", (use.at, use.cache, use.key)
            )
        made = db.execute(f"INSERT INTO uses({_FIELDS}) VALUES(?,?,?,?,?,?,?,?,?)", row).lastrowid or 0
        db.execute("DELETE FROM uses WHERE id<=?", (made - KEPT,))


def uses(file: CacheFile, *, run: str = "") -> list[Lookup]:
    """The last lookups, the newest first; only those of a run."""
    text = f"SELECT {_FIELDS} FROM uses WHERE ?='' OR run=? ORDER BY id DESC"
    with file.reading() as db:
        rows = db.execute(text, (run, run)).fetchall()
    return [
        Lookup(cache, key, run_, step, template, at, bool(hit), why, json.loads(parts))
        for cache, key, run_, step, template, at, hit, why, parts in rows
    ]


def asked_by(file: CacheFile, runs: Sequence[str]) -> frozenset[str]:
    """The keys for which these runs asked, as far as their lookups are among the last ones."""
    marks = ",".join("?" * len(runs))
    with file.reading() as db:
        return frozenset(
            key for (key,) in db.execute(f"SELECT key FROM uses WHERE run IN ({marks})", tuple(runs))
        )
