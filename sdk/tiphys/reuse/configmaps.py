"""Argo's memoization caches, which are ConfigMaps, as entries and back.

A cluster keeps a cache in one ConfigMap with a label; it holds 1 MiB. On this machine entries are rows of a table
(:mod:`tiphys.reuse.entries`); here is what comes in from a cluster, from a workflow's file or from the store of an
earlier version, and what goes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from tiphys.errors import RefusedError, StoreError
from tiphys.lazy import regex
from tiphys.reuse.entry import CachedResult, entry_of, text_of

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject

__all__ = ["CACHE_LABEL", "LIMIT", "check_cache_label", "check_name", "configmaps", "entries_in", "maps_in"]

CACHE_LABEL = "workflows.argoproj.io/configmap-type"
LIMIT = 1 << 20  # Kubernetes: the data of one ConfigMap
_NAME = regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_KEY = regex(r"[-._a-zA-Z0-9]{1,253}")


def check_name(name: str) -> None:
    """Raise StoreError TIP413 unless a cache can have this name on a cluster."""
    if not _NAME.fullmatch(name):
        raise StoreError("TIP413", f"{name!r} is not a name for a ConfigMap", fix="use a-z, 0-9, '-' and '.'")


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


def entries_in(config: GivenObject) -> list[CachedResult]:
    """The entries of a cache's ConfigMap, by key. Raises StoreError: TIP413 for its name, TIP423 without the label,
    TIP421 for data that is not text."""
    name = str((config.get("metadata") or {}).get("name") or "")
    check_name(name)
    check_cache_label(config, name)
    data = config.get("data") or {}
    if not isinstance(data, dict) or not all(isinstance(text, str) for text in data.values()):
        raise StoreError(
            "TIP421", f"the data of the ConfigMap {name!r} is not text under keys", where=f"ConfigMap {name}"
        )
    return [entry_of(data[key], name, key) for key in sorted(data)]


def maps_in(documents: Iterable[object], file: str) -> list[GivenObject]:
    """The ConfigMaps among the documents of a file, those inside a List, too. Raises RefusedError TIP254 for a file
    without one."""
    found: list[GivenObject] = []
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        for item in items if isinstance(items, list) else [document]:
            if isinstance(item, dict) and item.get("kind") == "ConfigMap":
                found.append(cast("GivenObject", item))
    if not found:
        raise RefusedError(
            "TIP254",
            f"{file} holds no ConfigMap",
            where=file,
            fix="write it with `kubectl get configmap NAME -o yaml` or `tiphys cache export`",
        )
    return found


def configmaps(
    cache: str, entries: Iterable[CachedResult], taken: Iterable[str] = ()
) -> tuple[list[GivenObject], list[str]]:
    """A cache as ConfigMaps that a cluster takes, and what there is to say of it.

    What was used last comes first: a template reads only the ConfigMap that it names, so when there is more than 1 MiB
    the rest is in ``CACHE-2``, ``CACHE-3`` and so on, at names that are not ``taken``.
    """
    words: list[str] = []
    pages: list[dict[str, str]] = [{}]
    room = LIMIT
    for entry in sorted(entries, key=lambda each: (-(each.hit or 0.0), each.key)):
        text = text_of(entry)
        size = len(entry.key.encode()) + len(text.encode())
        if not _KEY.fullmatch(entry.key):
            words.append(
                f"{cache}/{entry.key[:40]}… is left out: a key of a ConfigMap has at most 253 letters"
            )
        elif size > LIMIT:
            words.append(f"{cache}/{entry.key} is left out: its {size} bytes are more than a ConfigMap holds")
        else:
            if size > room:
                pages.append({})
                room = LIMIT
            pages[-1][entry.key] = text
            room -= size
    names = _names(cache, taken)
    made = [_map(next(names), dict(sorted(page.items()))) for page in pages]
    if len(made) > 1:
        last = made[-1]["metadata"]["name"]
        words.append(
            f"{cache} is more than the {LIMIT} bytes of one ConfigMap: {cache} has what was used last, the rest is in "
            f"{len(made) - 1} more to {last}, which no step reads unless its template names it"
        )
    return made, words


def _names(cache: str, taken: Iterable[str]) -> Iterator[str]:
    yield cache
    used, number = set(taken), 1
    while True:
        number += 1
        name = f"{cache[:245].rstrip('-.')}-{number}"
        if name not in used:
            yield name


def _map(name: str, data: dict[str, str]) -> GivenObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {CACHE_LABEL: "Cache"}},
        "data": data,
    }
