"""One remembered result of a memoized step, and its JSON text as Argo's controller writes it into a ConfigMap.

The text has the fields ``nodeID``, ``outputs``, ``creationTimestamp``, ``lastHitTimestamp`` in this order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, cast

from tiphys.argo.time import is_time, rfc3339, seconds
from tiphys.errors import StoreError
from tiphys.expr.gojson import unmarshal
from tiphys.expr.gojson_scan import syntax_error
from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry, Outputs

__all__ = ["CachedResult", "damaged", "entry_of", "text_of"]


@frozen
class CachedResult:
    """An entry under ``key`` of ``cache``.

    ``created`` and ``hit`` are seconds since the epoch, None where nobody knows. ``parts`` are what the key was made of
    (name and value, empty for an entry that came from elsewhere), ``run`` and ``node`` who made it, ``template`` the
    step, ``max_age`` the age (a Go duration) to which its step takes it. ``size`` are the bytes of its outputs,
    ``data`` those of what they point to, which ``held`` has by name (empty in what is read, and where nobody knows:
    then it is this entry's alone); ``hits`` how often it was taken. ``broken`` is the text of an entry that cannot be
    read, which Argo ends a step in Error for.
    """

    cache: str
    key: str
    node: str = ""
    outputs: Outputs | None = None
    created: float | None = None
    hit: float | None = None
    run: str = ""
    template: str = ""
    max_age: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    size: int = 0
    data: int = 0
    hits: int = 0
    broken: str | None = None
    held: Mapping[str, int] = field(default_factory=dict)

    def argo(self) -> CacheEntry:
        """The object that Argo keeps. Raises StoreError TIP424, in Argo's words, for a broken one."""
        if self.broken is not None:
            raise damaged(self.broken, self.cache, self.key)
        entry: CacheEntry = {"nodeID": self.node, "outputs": self.outputs}
        if self.created is not None:
            entry["creationTimestamp"] = rfc3339(self.created)
        if self.hit is not None:
            entry["lastHitTimestamp"] = rfc3339(self.hit)
        return entry


def entry_of(text: str, cache: str, key: str) -> CachedResult:
    """Read the text under a key of a ConfigMap; what cannot be read is an entry that is ``broken``."""
    try:
        value = _typed(unmarshal(text))
    except (ValueError, TypeError):
        return CachedResult(cache, key, broken=text, size=len(text.encode(errors="replace")))
    made, hit = value.get("creationTimestamp"), value.get("lastHitTimestamp")
    outputs = value.get("outputs")
    return CachedResult(
        cache,
        key,
        node=value.get("nodeID") or "",
        outputs=outputs,
        created=seconds(made) if made else None,
        hit=seconds(hit) if hit else None,
        size=len(json.dumps(outputs, ensure_ascii=False).encode()),
    )


def text_of(entry: CachedResult) -> str:
    """The text that Argo writes for an entry."""
    if entry.broken is not None:
        return entry.broken
    text = json.dumps(entry.argo(), separators=(",", ":"), ensure_ascii=False)
    # encoding/json of Go escapes these by default
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def damaged(text: str, cache: str, key: str) -> StoreError:
    """What Argo says of an entry that it cannot read."""
    try:
        _typed(unmarshal(text))
    except (ValueError, TypeError) as error:
        problem = syntax_error(text) or str(error)
    else:
        problem = ""
    return StoreError(
        "TIP424",
        f"malformed cache entry: could not unmarshal JSON; unable to parse: {problem}",
        where=f"cache {cache}, key {key}",
        fix="delete the entry: tiphys cache rm",
    )


def _typed(entry: object) -> CacheEntry:
    """The same, whose fields have the types of Argo's entry; else TypeError is raised."""
    if not isinstance(entry, dict):
        raise TypeError("not an object")
    if not isinstance(entry.get("nodeID") or "", str):
        raise TypeError("nodeID is not a string")
    outputs = entry.get("outputs") or {}
    if not isinstance(outputs, dict):
        raise TypeError("outputs is not an object")
    for kind in ("parameters", "artifacts"):
        items = outputs.get(kind) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise TypeError(f"outputs.{kind} is not a list of objects")
    for name in ("creationTimestamp", "lastHitTimestamp"):
        time = entry.get(name)
        if time is not None and not (isinstance(time, str) and is_time(time)):
            raise TypeError(f"{name} is not a time")
    return cast("CacheEntry", entry)
