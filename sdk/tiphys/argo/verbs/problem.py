"""Why something cannot be done to a workflow."""

from __future__ import annotations

__all__ = ["ImpossibleError"]


class ImpossibleError(Exception):
    """The workflow is not in a state for what was asked. Each room that uses this one raises an error of its own
    instead, with the same words."""

    def __init__(self, message: str, *, cause: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.fix = fix
