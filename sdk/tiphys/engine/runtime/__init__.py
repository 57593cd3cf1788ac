"""One run on this machine: how it starts, goes on, is stored and ends.

What others use of it is loaded when it is asked for: who lists runs needs no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.lazy import asked_for

if TYPE_CHECKING:
    from tiphys.engine.runtime.ends import relabel_ended
    from tiphys.engine.runtime.requests import ring, why_not
    from tiphys.engine.runtime.retry import prepare_again, prepare_resubmit, prepare_retry
    from tiphys.engine.runtime.run import Run
    from tiphys.engine.runtime.stored import Ownership, Record

__all__ = [
    "Ownership",
    "Record",
    "Run",
    "prepare_again",
    "prepare_resubmit",
    "prepare_retry",
    "relabel_ended",
    "ring",
    "why_not",
]

_HOMES = {
    "Ownership": ".stored",
    "Record": ".stored",
    "Run": ".run",
    "prepare_again": ".retry",
    "prepare_resubmit": ".retry",
    "prepare_retry": ".retry",
    "relabel_ended": ".ends",
    "ring": ".requests",
    "why_not": ".requests",
}


def __getattr__(name: str) -> object:
    value: object = asked_for(__name__, _HOMES, name)
    return value
