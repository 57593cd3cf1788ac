"""Objects as JSON, of late: of those who follow a store each is told the same change, which is encoded once."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping

__all__ = ["Texts", "encoded"]


def encoded(item: Mapping[str, object]) -> bytes:
    """The JSON of an object."""
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()


class Texts:
    """``most``: how many objects are kept. An object that was given must not be changed any more."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._kept: OrderedDict[int, tuple[Mapping[str, object], bytes]] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, item: Mapping[str, object]) -> bytes:
        """The JSON of an object."""
        with self._guard:
            found = self._kept.get(id(item))
        if found is not None and found[0] is item:
            return found[1]
        text = encoded(item)
        with self._guard:
            self._kept[id(item)] = item, text  # which keeps it, and its number its own
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return text
