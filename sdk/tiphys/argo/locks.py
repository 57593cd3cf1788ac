"""Names of semaphores and mutexes as Argo writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tiphys.argo.types import Synchronization


__all__ = ["LockError", "LockNames", "lock_names"]


class LockError(Exception):
    """``synchronization`` cannot be used; the text is Argo's."""


class LockNames(NamedTuple):
    """What a ``synchronization`` asks for: all locks in order, and which of them have a limit of their own."""

    locks: tuple[str, ...]
    semaphores: tuple[str, ...]


def lock_names(synchronization: Synchronization, namespace: str) -> LockNames:
    """Return the locks, semaphores first: ``ns/ConfigMap/<cm>/<key>``, ``ns/Mutex/<name>``, ``ns/Database/<key>``.

    Raises
    ------
    LockError
        The same lock twice.
    """
    semaphores: list[str] = []
    for item in synchronization.get("semaphores") or ():
        where = item.get("namespace") or namespace
        if item.get("configMapKeyRef"):
            reference = item["configMapKeyRef"]
            semaphores.append(f"{where}/ConfigMap/{reference.get('name')}/{reference.get('key')}")
        elif item.get("database"):
            semaphores.append(f"{where}/Database/{item['database'].get('key')}")
    mutexes: list[str] = []
    for mutex in synchronization.get("mutexes") or ():
        where = mutex.get("namespace") or namespace
        mutexes.append(f"{where}/{'Database' if mutex.get('database') else 'Mutex'}/{mutex.get('name')}")
    for declared in (synchronization.get("semaphores"), synchronization.get("mutexes")):
        items = [_given(item) for item in declared or ()]
        if any(items.count(item) > 1 for item in items):
            raise LockError("requested configuration is invalid: duplicate synchronization item found")
    # items that differ may still name one lock (with its namespace and without): who holds it has both
    return LockNames(tuple(dict.fromkeys(semaphores + mutexes)), tuple(semaphores))


def _given(item: object) -> object:
    """An item without what is as good as left out."""
    if not isinstance(item, Mapping):
        return item
    return {key: _given(value) for key, value in item.items() if value not in (None, "", False)}
