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
        # by node: the key of who asks, and the locks
        self._asked: dict[str, tuple[str, tuple[str, ...]]] = {}
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
        holders: dict[tuple[str, str], list[Json]] = {}
        for node, (key, locks) in self._asked.items():
            held = node in self._held
            for lock in locks:
                keys = holders.setdefault(("holding" if held else "waiting", lock), [])
                keys += [key] if held else []
        found: dict[str, dict[str, list[Json]]] = {}
        for (part, lock), keys in holders.items():
            if lock.split("/")[1:2] == ["Mutex"]:
                kind, who = "mutex", {"holder": keys[0]} if keys else {}
            else:
                kind, who = "semaphore", {"holders": keys} if keys else {}
            found.setdefault(kind, {}).setdefault(part, []).append({kind: lock, **who})
        return {kind: {**parts} for kind, parts in found.items()} or None
