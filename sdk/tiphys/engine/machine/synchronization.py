"""``status.synchronization``: which locks a Workflow and its nodes hold, and for which they wait.

Source: SemaphoreStatus, MutexStatus and getHolderKey of Argo 4.0.5. Of a lock that is waited for Argo tells who has it;
here another engine may, whose name is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["LockBook"]


class LockBook:
    """The locks of one Workflow."""

    def __init__(self) -> None:
        self._asked: dict[
            str, tuple[str, tuple[str, ...]]
        ] = {}  # by node: the key of who asks, and the locks
        self._held: set[str] = set()

    def ask(self, node: str, key: str, locks: Sequence[str]) -> None:
        """A node (empty: the Workflow) waits for locks; ``key``: what Argo calls it, ``NAMESPACE/WORKFLOW[/NODE]``."""
        self._asked[node] = key, tuple(locks)

    def grant(self, node: str) -> None:
        """It has them."""
        if node in self._asked:
            self._held.add(node)

    def drop(self, node: str) -> None:
        """It has given them back, or waits no longer."""
        self._asked.pop(node, None)
        self._held.discard(node)

    def status(self) -> JsonObject | None:
        """As the Workflow tells it; None where there is nothing to tell."""
        found: dict[str, dict[str, list[Json]]] = {}
        for node, (key, locks) in self._asked.items():
            part = "holding" if node in self._held else "waiting"
            for lock in locks:
                mutex = lock.split("/")[1:2] == ["Mutex"]
                entries = found.setdefault("mutex" if mutex else "semaphore", {}).setdefault(part, [])
                held = node in self._held
                if mutex:
                    entries.append({"mutex": lock, **({"holder": key} if held else {})})
                    continue
                for each in entries:
                    if isinstance(each, dict) and each["semaphore"] == lock:
                        holders = each.get("holders")
                        if held and isinstance(holders, list):
                            holders.append(key)
                        break
                else:
                    entries.append({"semaphore": lock, **({"holders": [key]} if held else {})})
        return {kind: {**parts} for kind, parts in found.items()} or None
