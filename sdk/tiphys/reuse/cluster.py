"""The same limits for the caches of a cluster, which are ConfigMaps: a pure function over the objects.

A cluster keeps no size of what entries point to, so bytes are those of keys and texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from tiphys.errors import StoreError
from tiphys.reuse.configmaps import entries_in
from tiphys.reuse.entry import CachedResult, text_of
from tiphys.reuse.gc import KeptEntry
from tiphys.reuse.limits import FRESH, CacheLimits

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject

__all__ = ["Beyond", "beyond"]


class Beyond(NamedTuple):
    """``entries``: (ConfigMap, key) of what is beyond the limits, in the order in which it goes. ``kept``: what nobody
    knows the age of, and ConfigMaps that are no caches."""

    entries: tuple[tuple[str, str], ...]
    kept: tuple[KeptEntry, ...]


def beyond(maps: Iterable[GivenObject], limits: CacheLimits, now: float) -> Beyond:
    """What of these caches is beyond limits that hold for all of them together.

    As on this machine: by age and by the last hit; beyond a number or an amount of bytes those go that were not used
    for longest; what was used a moment ago stays.
    """
    kept: list[KeptEntry] = []
    known: list[CachedResult] = []
    count = size = 0
    for config in maps:
        try:
            entries = entries_in(config)
        except StoreError as error:
            name = str((config.get("metadata") or {}).get("name") or "")
            kept.append(KeptEntry(name, "", error.message))
            continue
        for entry in entries:
            count += 1
            size += _bytes(entry)
            if entry.hit is None:
                kept.append(KeptEntry.of(entry))
            else:
                known.append(entry)
    gone: list[tuple[str, str]] = []
    left = []
    known.sort(key=lambda entry: (entry.hit or 0.0, entry.cache, entry.key))
    for entry in known:
        if now - (entry.hit or 0.0) <= FRESH:
            continue
        if _too_old(entry, limits, now):
            gone.append((entry.cache, entry.key))
            count -= 1
            size -= _bytes(entry)
        else:
            left.append(entry)
    for entry in left:
        if max(limits.excess(count, size)) <= 0:
            break
        gone.append((entry.cache, entry.key))
        count -= 1
        size -= _bytes(entry)
    return Beyond(tuple(gone), tuple(kept))


def _too_old(entry: CachedResult, limits: CacheLimits, now: float) -> bool:
    return any(
        limit is not None and at is not None and now - at > limit
        for limit, at in ((limits.older_than, entry.created), (limits.not_hit_for, entry.hit))
    )


def _bytes(entry: CachedResult) -> int:
    return len(entry.key.encode()) + len(text_of(entry).encode())
