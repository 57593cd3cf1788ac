"""Names of semaphores and mutexes as Argo writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Any

__all__ = ["LockError", "lock_names"]


class LockError(Exception):
    """``synchronization`` cannot be used; the text is Argo's."""


def lock_names(synchronization: Mapping[str, Json], namespace: str) -> tuple[str, ...]:
    """Return the locks, semaphores first: ``ns/ConfigMap/<cm>/<key>``, ``ns/Mutex/<name>``.

    Raises
    ------
    LockError
        The same lock twice.
    """
    names: list[str] = []
    for item in synchronization.get("semaphores") or ():
        where = item.get("namespace") or namespace
        if item.get("configMapKeyRef"):
            reference = item["configMapKeyRef"]
            names.append(f"{where}/ConfigMap/{reference.get('name')}/{reference.get('key')}")
        elif item.get("database"):
            names.append(f"{where}/Database/{item['database'].get('key')}")
    for item in synchronization.get("mutexes") or ():
        where = item.get("namespace") or namespace
        names.append(f"{where}/{'Database' if item.get('database') else 'Mutex'}/{item.get('name')}")
    for name in names:
        if names.count(name) > 1:
            raise LockError("requested configuration is invalid: duplicate synchronization item found")
    return tuple(names)
