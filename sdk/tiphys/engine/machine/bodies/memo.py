"""Memoization: the key's rule, the age of an entry, the marks on nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.argo.time import seconds
from tiphys.engine.machine.protocol import LookupCache, StoreCache
from tiphys.expr.durations import parse_go

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry, MemoizationStatus, Memoize, Outputs


__all__ = ["Memo", "MemoError"]

_KEY = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


class MemoError(Exception):
    """The memo cannot be used; the text is Argo's."""


@dataclass(frozen=True, slots=True)
class Memo:
    """A substituted ``memoize``."""

    cache: str
    key: str
    max_age: str

    @classmethod
    def of(cls, declared: Memoize) -> Memo:
        """Read ``memoize``.

        Raises
        ------
        MemoError
            The key is not one that a ConfigMap can hold.
        """
        key = str(declared.get("key") or "")
        cache = str(((declared.get("cache") or {}).get("configMap") or {}).get("name") or "")
        if not _KEY.fullmatch(key):
            raise MemoError(f"invalid cache key: {key}")
        return cls(cache, key, str(declared.get("maxAge") or ""))

    def lookup(self, node_id: str) -> LookupCache:
        """Return the command that reads the entry."""
        return LookupCache(node_id, self.cache, self.key)

    def store(self, node_id: str, outputs: Outputs | None) -> StoreCache:
        """Return the command that writes the entry."""
        return StoreCache(node_id, self.cache, self.key, outputs)

    def accept(self, entry: CacheEntry | None, now: float) -> bool:
        """Return whether ``entry`` is a hit.

        Raises
        ------
        MemoError
            ``maxAge`` is not a Go duration.
        """
        age = 0.0
        if self.max_age:
            try:
                age = parse_go(self.max_age)
            except ValueError as error:
                raise MemoError(f"invalid maxAge: {error}") from None
        if not entry or not entry.get("nodeID"):
            return False
        if not self.max_age:
            return True
        return now - seconds(str(entry.get("creationTimestamp"))) <= age

    def status(self, *, hit: bool) -> MemoizationStatus:
        """Return the node's ``memoizationStatus``."""
        return {"hit": hit, "key": self.key, "cacheName": self.cache}
