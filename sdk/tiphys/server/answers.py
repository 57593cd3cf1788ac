"""What the Kubernetes API says when it does not do what it was asked: objects of kind Status."""

from __future__ import annotations

from typing import TypedDict

from tiphys.errors import ClusterError, StoreError, TiphysError

__all__ = ["RequestError", "Status", "status", "status_of"]

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    500: "InternalError",
    501: "NotImplemented",
}
_CODES = {
    "TIP205": 404,
    "TIP211": 404,
    "TIP605": 404,
    "TIP210": 409,
    "TIP216": 409,
    "TIP212": 409,
    "TIP219": 409,
}


class Status(TypedDict):
    """Kubernetes' ``metav1.Status`` of a failure."""

    kind: str
    apiVersion: str
    metadata: dict[str, str]
    status: str
    message: str
    reason: str
    code: int


class RequestError(Exception):
    """An answer that is not what was asked for: a number of HTTP, and what is told."""

    def __init__(self, number: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.number = number
        self.message = message
        self.reason = reason or _REASONS[number]

    @property
    def status(self) -> Status:
        return status(self.number, self.message, self.reason)


def status(number: int, message: str, reason: str = "") -> Status:
    """The object that such an answer has as its body."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason or _REASONS[number],
        "code": number,
    }


def status_of(error: TiphysError) -> Status:
    """An error of this project; what is wrong, why, and what to do, on one line as clients show it."""
    number = _CODES.get(error.code, 500 if isinstance(error, StoreError | ClusterError) else 422)
    parts = [f"{error.code}: {error.message}", error.cause, error.fix and f"fix: {error.fix}"]
    return status(number, "; ".join(part for part in parts if part))
