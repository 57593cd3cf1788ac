"""Why a step was a hit or ran: its key's parts, and the first that differs from the nearest entry."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tiphys.argo.memo import family
from tiphys.frozen import frozen
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.judge import Judge, Judged
from tiphys.reuse.uses import Lookup, uses
from tiphys.store import Store

__all__ = ["Difference", "Explained", "explain"]

_SHOWN = 20  # uses of one entry
_NEAR = 2000  # entries of the cache, the newest, among which the nearest is looked for


class Difference(NamedTuple):
    """The first part that differs: ``here`` in this key, ``there`` in the nearest entry's; None where it has no such
    part. ``name`` is empty when all parts that are known are equal."""

    name: str
    here: str | None
    there: str | None


@frozen
class Explained:
    """What is known of one key.

    ``asked`` is the lookup that this is about (the last one, or that of the run), None when nobody asked as far as is
    known. ``found`` is the entry as it is now, judged; None when there is none. ``parts`` are what the key is made of.
    ``nearest`` is the earlier entry of the same cache with the most equal parts. ``used`` are the lookups that took the
    entry, the newest first.
    """

    cache: str
    key: str
    asked: Lookup | None
    found: Judged | None
    parts: Mapping[str, str]
    nearest: CachedResult | None
    differs: Difference | None
    used: tuple[Lookup, ...]


def explain(store: Store, what: str, run: str = "") -> list[Explained]:
    """Explain a step, or the keys that begin with ``what``; with ``run`` as that run asked for them.

    A step is named by its template, or by its own name. Without a run it is each entry, and the last lookup of what has
    none.
    """
    with Entries(store) as known:
        judge, told = Judge(store, known), uses(known.file)
        wanted = list(_wanted(known, told, what, run))
        took: dict[tuple[str, str], list[Lookup]] = {(cache, key): [] for cache, key, _ in wanted}
        for use in told:
            found = took.get((use.cache, use.key))
            if use.hit and found is not None and len(found) < _SHOWN:
                found.append(use)
        families: dict[str, _Family] = {}
        for cache, _, _ in wanted:
            if (name := family(cache)) not in families:
                families[name] = _Family(known.family(cache))
        return [_explained(known, judge, families[family(each[0])], *each, took[each[:2]]) for each in wanted]


def _wanted(
    known: Entries, told: Iterable[Lookup], what: str, run: str
) -> Iterator[tuple[str, str, Lookup | None]]:
    """Cache, key and the lookup."""
    asked: dict[tuple[str, str], Lookup] = {}
    for use in told:
        if run in ("", use.run) and _is(use, what):
            asked.setdefault((use.cache, use.key), use)
    if run:
        yield from ((*key, use) for key, use in asked.items())
        return
    for entry in known.all(prefix=what, template=what):
        yield entry.cache, entry.key, asked.pop((entry.cache, entry.key), None)
    last = next(iter(asked.values()), None)
    if last is not None:
        yield last.cache, last.key, last


def _is(use: Lookup, what: str) -> bool:
    name = use.step.rpartition(".")[2]
    return use.key.startswith(what) or what in (use.template, use.step, name, name.partition("(")[0])


def _explained(
    known: Entries,
    judge: Judge,
    relatives: _Family,
    cache: str,
    key: str,
    asked: Lookup | None,
    took: list[Lookup],
) -> Explained:
    entry = known.get(cache, key)
    parts = asked.parts if asked is not None and asked.parts else entry.parts if entry is not None else {}
    if asked is not None and not asked.hit:
        at: float | None = asked.at
    else:
        at = entry.created if entry is not None else None
    found = relatives.nearest(parts, before=at, but=key)
    nearest = known.get(*found) if found is not None else None
    return Explained(
        cache,
        key,
        asked,
        judge.judged(entry) if entry is not None else None,
        parts,
        nearest,
        _difference(parts, nearest.parts) if nearest is not None else None,
        tuple(took),
    )


class _Family:
    """The entries of a cache by the parts of their keys, read once. For each part a whole number has the bit of each
    entry that has it, the newest first."""

    def __init__(self, entries: list[tuple[float | None, str, str, dict[str, str]]]) -> None:
        self._entries = [(cache, key) for _, cache, key, _ in entries]
        self._ages = [float("inf") if created is None else -created for created, _, _, _ in entries]
        self._places: dict[str, int] = {}
        having: dict[tuple[str, str], list[int]] = {}
        for place, (_, _, key, parts) in enumerate(entries):
            self._places[key] = place
            for part in parts.items():
                having.setdefault(part, []).append(place)
        self._having = {part: _bits(places) for part, places in having.items()}

    def nearest(self, parts: Mapping[str, str], *, before: float | None, but: str) -> tuple[str, str] | None:
        """Cache and key of the entry with the most equal parts, of several the newest, made no later than ``before``
        and not under ``but``; only the newest such entries are looked at."""
        first = 0 if before is None else bisect.bisect_left(self._ages, -before)
        last = len(self._ages) if before is None else bisect.bisect_left(self._ages, float("inf"))
        window = (1 << min(_NEAR, max(last - first, 0))) - 1
        if 0 <= (own := self._places.get(but, -1) - first) < _NEAR:
            window &= ~(1 << own)
        levels = [window]  # which have at least so many equal parts
        for part in parts.items():
            mask = (self._having.get(part, 0) >> first) & window
            levels.append(0)
            for number in range(len(levels) - 1, 0, -1):
                levels[number] |= levels[number - 1] & mask
        best = next((level for level in reversed(levels[1:]) if level), 0)
        return self._entries[first + (best & -best).bit_length() - 1] if best else None


def _bits(places: Sequence[int]) -> int:
    """A number with these bits, the highest last."""
    room = bytearray(places[-1] // 8 + 1)
    for place in places:
        room[place // 8] |= 1 << place % 8
    return int.from_bytes(room, "little")


def _difference(here: Mapping[str, str], there: Mapping[str, str]) -> Difference:
    for name in [*here, *(name for name in there if name not in here)]:
        if here.get(name) != there.get(name):
            return Difference(name, here.get(name), there.get(name))
    return Difference("", None, None)
