"""ConfigMaps that a server keeps in the store, as they are now: a limit may change while a run waits for it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tiphys.reference import contents

if TYPE_CHECKING:
    from tiphys.store import Store

__all__ = ["KeptConfigMaps"]


class KeptConfigMaps:
    """Each is read again when its file is another one."""

    def __init__(self, store: Store) -> None:
        self._folder = store.objects("configmaps")
        self._known: dict[str, tuple[tuple[int, int] | None, dict[str, str] | None]] = {}

    def data(self, name: str) -> dict[str, str] | None:
        """Of the ConfigMap of that name; None for one that is not kept, or not any more."""
        now = self._stamp(name)
        known = self._known.get(name)
        if known is None or known[0] != now:
            known = self._known[name] = now, self._read(name) if now is not None else None
        return known[1]

    def changed(self) -> bool:
        """Whether one that was asked for is another now."""
        return any(self._stamp(name) != known[0] for name, known in self._known.items())

    def _stamp(self, name: str) -> tuple[int, int] | None:
        try:
            found = os.stat(self._folder / f"{name}.json")
        except (OSError, ValueError):
            return None
        return found.st_mtime_ns, found.st_ino

    def _read(self, name: str) -> dict[str, str] | None:
        try:
            found = json.loads(contents(self._folder / f"{name}.json"))
        except (OSError, ValueError):  # just now removed
            return None
        data = found.get("data") if isinstance(found, dict) else None
        return {key: str(value) for key, value in data.items()} if isinstance(data, dict) else {}
