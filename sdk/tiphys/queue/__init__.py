"""Who may start now: locks, and slots of a machine."""

from __future__ import annotations

from tiphys.queue.locks import Granted, Locks, Outcome, Refused, Waiting

__all__ = ["Granted", "Locks", "Outcome", "Refused", "Waiting"]
