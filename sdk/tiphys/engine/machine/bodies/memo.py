"""Memoization: the key's rule, the age of an entry, the marks on nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from tiphys.argo.memo import parts_of, too_old
from tiphys.argo.time import seconds
from tiphys.engine.machine.protocol import LookupCache, StoreCache
from tiphys.frozen import frozen
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry, MemoizationStatus, Memoize, Outputs, Template


__all__ = ["Memo", "MemoError"]

_KEY = regex(r"[a-zA-Z0-9][-a-zA-Z0-9]*")


class MemoError(Exception):
    """The memo cannot be used; the text is Argo's."""


@frozen
class Memo:
    """A substituted ``memoize``. ``at``: when it was, in seconds since the epoch. An entry is as old as it was then: a
    ``maxAge`` may tell the age of the run."""

    cache: str
    key: str
    max_age: str
    at: float
    template: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: Memoize, template: Template, at: float) -> Memo:
        """Read ``memoize`` of a substituted template.

        Raises
        ------
        MemoError
            The key is not one that a ConfigMap can hold.
        """
        key = str(declared.get("key") or "")
        cache = str(((declared.get("cache") or {}).get("configMap") or {}).get("name") or "")
        if not _KEY.fullmatch(key):
            raise MemoError(f"invalid cache key: {key}")
        age, name = str(declared.get("maxAge") or ""), str(template.get("name") or "")
        return cls(cache, key, age, at, name, parts_of(template))

    def lookup(self, node_id: str, name: str) -> LookupCache:
        """Return the command that reads the entry for the node of that name."""
        return LookupCache(
            node_id, self.cache, self.key, self.max_age, self.template, self.parts, name, self.at
        )

    def store(self, node_id: str, outputs: Outputs | None) -> StoreCache:
        """Return the command that writes the entry."""
        return StoreCache(node_id, self.cache, self.key, outputs, self.max_age, self.template, self.parts)

    def accept(self, entry: CacheEntry | None) -> bool:
        """Return whether ``entry`` is a hit.

        Raises
        ------
        MemoError
            ``maxAge`` is not a Go duration.
        """
        made = str((entry or {}).get("creationTimestamp") or "")
        try:
            expired = too_old(seconds(made) if made else None, self.max_age, self.at)
        except ValueError as error:
            raise MemoError(f"invalid maxAge: {error}") from None
        return bool(entry and entry.get("nodeID")) and not expired

    def status(self, *, hit: bool) -> MemoizationStatus:
        """Return the node's ``memoizationStatus``."""
        return {"hit": hit, "key": self.key, "cacheName": self.cache}
