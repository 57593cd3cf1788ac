"""The pure core of the engine: a state machine that executes Argo Workflow objects.

``machine.Machine(workflow, ...)`` is the state; its ``handle(event)`` moves it on and returns the commands that the
driver must carry out (see :mod:`tiphys.engine.machine.protocol`). No I/O, no clock, no randomness: replaying the same
events through a new machine gives the same state.
"""
