"""Who may start now: pools, locks, and the devices of a machine."""

from __future__ import annotations

from tiphys.queue.locks import Granted, Locks, Outcome, Refused, Waiting

__all__ = ["Granted", "Locks", "Outcome", "Refused", "Waiting"]
