"""ConfigMaps that a server keeps in the store, as they are now: a limit may change while a run waits for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiphys.queue.rules_file import Reread
from tiphys.reference import contents

if TYPE_CHECKING:
    from pathlib import Path

    from tiphys.store import Store

__all__ = ["KeptConfigMaps"]

_Data = dict[str, str]


class KeptConfigMaps:
    """Each is read again when its file is another one."""

    def __init__(self, store: Store) -> None:
        self._folder = store.objects("configmaps")
        self._known: dict[str, Reread[_Data | None]] = {}

    def data(self, name: str) -> dict[str, str] | None:
        """Of the ConfigMap of that name; None for one that is not kept, or not any more."""
        if name not in self._known:
            self._known[name] = Reread(self._folder / f"{name}.json", _read, None)
        return self._known[name]()

    def changed(self) -> bool:
        """Whether one that was asked for is another now."""
        return any(each.changed() for each in self._known.values())


def _read(path: Path) -> _Data | None:
    try:
        found = json.loads(contents(path))
    except (OSError, ValueError):  # it is removed
        return None
    data = found.get("data") if isinstance(found, dict) else None
    return {key: str(value) for key, value in data.items()} if isinstance(data, dict) else {}
