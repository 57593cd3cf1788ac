"""The pure core of the engine: a state machine that executes Argo Workflow objects.

``Machine(workflow, ...)`` is the state; ``machine.handle(event)`` moves it on and returns the commands that the
driver must carry out (see :mod:`tiphys.engine.machine.protocol`). No I/O, no clock, no randomness: replaying the same
events through a new machine gives the same state.
"""

from __future__ import annotations

from tiphys.engine.machine.machine import Machine

__all__ = ["Machine"]
