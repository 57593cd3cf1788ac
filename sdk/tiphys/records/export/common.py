"""What every export says in the same way: who a run is, how it ended, and text that any system stores."""

from __future__ import annotations

import uuid
from typing import Literal

from tiphys.argo.nodes import ENDED, FAILED
from tiphys.records.record import RunRecord

__all__ = ["Outcome", "clean", "identity", "outcome", "who"]

Outcome = Literal["", "done", "failed", "stopped"]

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://tiphys.dev/records")
_STOPPED = ("stopped with strategy", "shutdown with strategy")


def identity(*parts: str) -> str:
    """A UUID (version 5) that is always the same for the same parts."""
    return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(part)}:{part}" for part in map(clean, parts))))


def who(record: RunRecord) -> str:
    """What a run keeps when its name goes to another: its UID; its key if it has none."""
    return record.uid or record.key


def outcome(phase: str, message: str = "") -> Outcome:
    """How a run or a step ended; empty while it goes on. Somebody who stops it is no failure."""
    if phase not in ENDED:
        return ""
    if phase not in FAILED:
        return "done"
    return "stopped" if any(words in message.lower() for words in _STOPPED) else "failed"


def clean(text: str) -> str:
    """A text without what no database takes: halves of surrogate pairs and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
