"""What the API server answers when it does not do what it was asked."""

from __future__ import annotations

__all__ = ["ApiError"]


class ApiError(Exception):
    """What the API server answers, in kubectl's words: ``Error from server (REASON): …``."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"Error from server ({self.reason}): {self.message}"
