"""ConfigMaps on disk, in the layout that Argo's controller writes memoization caches in.

One JSON file a ConfigMap: ``data[key]`` is itself JSON text with the fields ``nodeID``, ``outputs``,
``creationTimestamp``, ``lastHitTimestamp`` in this order. Several engines may share a store: every change
happens under a file lock and replaces the file in one step.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from tiphys.argo.time import is_time, rfc3339, seconds
from tiphys.errors import StoreError
from tiphys.expr.gojson_scan import syntax_error
from tiphys.store.files import clear, write_atomic

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry, GivenObject, Outputs

__all__ = ["CACHE_LABEL", "LIMIT", "ConfigMaps", "KeptEntry", "check_cache_label", "entry_of"]

CACHE_LABEL = "workflows.argoproj.io/configmap-type"
LIMIT = 1 << 20  # Kubernetes: the data of one ConfigMap
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class KeptEntry(NamedTuple):
    """An entry whose age nobody knows; ``key`` is empty for a ConfigMap that is no cache."""

    cache: str
    key: str
    why: str


class ConfigMaps:
    """The ConfigMaps of one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """All ConfigMaps, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def get(self, name: str) -> GivenObject | None:
        """The ConfigMap object, or None. Raises StoreError when the file is damaged."""
        path = self._path(name)
        try:
            value: GivenObject = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(
                "TIP421",
                f"the ConfigMap {name!r} of the store cannot be read: {error}",
                where=str(path),
                fix="delete the file: it is only a cache",
            ) from error
        data = value.get("data") or {} if isinstance(value, dict) else None
        if not (
            isinstance(value, dict)
            and isinstance(data, dict)
            and all(isinstance(text, str) for text in data.values())
        ):
            raise StoreError(
                "TIP421",
                f"{path} is not a ConfigMap",
                where=str(path),
                fix="delete the file: it is only a cache",
            )
        return value

    def change(self, name: str, edit: Callable[[GivenObject | None], GivenObject | None]) -> None:
        """Replace a ConfigMap by ``edit(current)`` under the lock; returning None deletes it."""
        path = self._path(name)
        with self._locked(name):
            after = edit(self.get(name))
            if after is None:
                with clear(path, "delete"), contextlib.suppress(FileNotFoundError):
                    path.unlink()
                return
            write_atomic(path, json.dumps(after, indent=1, ensure_ascii=False).encode() + b"\n")

    # -- memoization ----------------------------------------------------------------------------------------

    def lookup(self, name: str, key: str, *, now: float) -> CacheEntry | None:
        """The entry of a cache, its ``lastHitTimestamp`` set to ``now`` on disk, or None. Raises like
        :func:`entry_of`."""
        found = self.get(name)
        if found is None:
            return None
        entry = entry_of(found, name, key)
        if entry is not None:
            entry["lastHitTimestamp"] = rfc3339(now)

            def touch(current: GivenObject | None) -> GivenObject | None:
                if current is not None and key in (current.get("data") or {}):
                    latest = _entry(current["data"][key], name, key)
                    latest["lastHitTimestamp"] = rfc3339(now)
                    current["data"][key] = _dump(latest)
                return current

            self.change(name, touch)
        return entry

    def save(
        self,
        name: str,
        key: str,
        *,
        node_id: str,
        outputs: Outputs | None,
        now: float,
        namespace: str,
    ) -> None:
        """Write an entry as Argo does. Raises StoreError beyond 1 MiB, as Kubernetes refuses it."""

        def put(current: GivenObject | None) -> GivenObject:
            config: GivenObject = current or {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": namespace, "creationTimestamp": rfc3339(now)},
            }
            config.setdefault("metadata", {})["labels"] = {CACHE_LABEL: "Cache"}
            data = dict(config.get("data") or {})
            data[key] = _dump(
                {
                    "nodeID": node_id,
                    "outputs": outputs,
                    "creationTimestamp": rfc3339(now),
                    "lastHitTimestamp": rfc3339(now),
                }
            )
            config["data"] = dict(sorted(data.items()))
            size = sum(len(k.encode()) + len(v.encode()) for k, v in data.items())
            if size > LIMIT:
                raise StoreError(
                    "TIP422",
                    f'ConfigMap "{name}" is invalid: []: Too long: must have at most {LIMIT} bytes',
                    cause=f"its entries would take {size} bytes; a ConfigMap holds 1 MiB on a cluster too",
                    fix="pass large values as artifacts or references, or remove old entries: tiphys cache gc",
                )
            return config

        self.change(name, put)

    def remove(self, name: str, key: str) -> bool:
        """Delete one entry (the whole ConfigMap with its last one); whether it was there."""
        found = False

        def drop(current: GivenObject | None) -> GivenObject | None:
            nonlocal found
            data = (current or {}).get("data") or {}
            found = data.pop(key, None) is not None
            return current if data else None

        self.change(name, drop)
        return found

    def collect(
        self, *, now: float, not_hit_for: float, dry_run: bool = False
    ) -> tuple[list[tuple[str, str]], list[KeptEntry]]:
        """Delete entries whose last hit is older than ``not_hit_for`` seconds; the (name, key) pairs that were (or
        would be) deleted, and what stays because nobody knows its age. A ConfigMap that is no cache is left alone."""
        deleted: list[tuple[str, str]] = []
        kept: list[KeptEntry] = []
        for name in self.names():

            def sweep(current: GivenObject | None, name: str = name) -> GivenObject | None:
                if current is None:
                    return None
                try:
                    check_cache_label(current, name)
                except StoreError as error:
                    kept.append(KeptEntry(name, "", error.message))
                    return current
                data = current.get("data") or {}
                for key in list(data):
                    try:
                        last = _entry(data[key], name, key).get("lastHitTimestamp")
                    except StoreError as error:
                        kept.append(KeptEntry(name, key, error.message))
                        continue
                    if not last:
                        kept.append(KeptEntry(name, key, "it does not say when it was last used"))
                    elif now - seconds(last) > not_hit_for:
                        del data[key]
                        deleted.append((name, key))
                return current if data else None

            if dry_run:
                sweep(self.get(name))
            else:
                self.change(name, sweep)
        return deleted, kept

    # -- inside -----------------------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StoreError(
                "TIP413", f"{name!r} is not a name for a ConfigMap", fix="use a-z, 0-9, '-' and '.'"
            )
        return self.folder / f"{name}.json"

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        path = self.folder / f".{name}.lock"
        with clear(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def check_cache_label(config: GivenObject, name: str) -> None:
    """Raise StoreError TIP423, in Argo's words, unless a ConfigMap is labelled as a cache."""
    labels = (config.get("metadata") or {}).get("labels") or {}
    if labels.get(CACHE_LABEL) != "Cache":
        label = f"{CACHE_LABEL}=Cache" if CACHE_LABEL in labels else CACHE_LABEL
        raise StoreError(
            "TIP423",
            f"memoization configmap doesn't have {label} label, refusing to use it",
            where=f"ConfigMap {name}",
            fix=f"label it {CACHE_LABEL}: Cache, or name another ConfigMap",
        )


def entry_of(config: GivenObject, name: str, key: str) -> CacheEntry | None:
    """The entry ``key`` of a cache, or None. Raises StoreError, in Argo's words, for a ConfigMap that is no cache
    (TIP423) and an entry that cannot be read (TIP424)."""
    check_cache_label(config, name)
    text = (config.get("data") or {}).get(key)
    return None if text is None else _entry(text, name, key)


def _entry(text: str, name: str, key: str) -> CacheEntry:
    try:
        entry = json.loads(text)
        _typed(entry)
    except (ValueError, TypeError) as error:
        raise StoreError(
            "TIP424",
            f"malformed cache entry: could not unmarshal JSON; unable to parse: {syntax_error(text) or error}",
            where=f"ConfigMap {name}, key {key}",
            fix="delete the entry: tiphys cache rm",
        ) from error
    order = ("nodeID", "outputs", "creationTimestamp", "lastHitTimestamp")
    return cast("CacheEntry", {field: entry[field] for field in order if field in entry})


def _typed(entry: object) -> None:
    """Raise TypeError unless the fields have the types of Argo's entry."""
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
    for field in ("creationTimestamp", "lastHitTimestamp"):
        time = entry.get(field)
        if time is not None and not (isinstance(time, str) and is_time(time)):
            raise TypeError(f"{field} is not a time")


def _dump(entry: CacheEntry) -> str:
    text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False)
    # encoding/json of Go escapes these by default
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
