"""The present moment of expressions: that of the event being handled, never the clock's."""

from __future__ import annotations

from contextvars import ContextVar

__all__ = ["PRESENT"]

PRESENT: ContextVar[float] = ContextVar("tiphys-present", default=0.0)
