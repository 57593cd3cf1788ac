"""How Argo Server says that it did not do what it was asked: a code of gRPC, in the body and as a number of HTTP.

Source: server/utils/errors.go of Argo 4.1.2, and what grpc-gateway makes of its codes.
"""

from __future__ import annotations

import re
from typing import TypedDict

__all__ = ["Refusal", "is_argos", "refused"]

_CODES = {
    400: 3,  # InvalidArgument
    401: 16,  # Unauthenticated
    403: 7,  # PermissionDenied
    404: 5,  # NotFound
    405: 12,  # Unimplemented
    409: 6,  # AlreadyExists
    429: 8,  # ResourceExhausted
    501: 12,
    503: 14,  # Unavailable
}
_NUMBERS = {3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 12: 501, 13: 500, 14: 503, 16: 401}
_PATHS = re.compile(
    r"/api/v1/(?:(?:archived-workflows|archived-workflows-label-keys|archived-workflows-label-values"
    r"|cluster-workflow-templates|info|userinfo|version)(?:/|$)"
    r"|(?:cron-workflows|event-sources|sensors|stream|sync|tracking|workflow-event-bindings|workflow-events"
    r"|workflow-templates|workflows)/"
    r"|events/[^/]*/[^/]*$)"
    r"|/(?:input-)?artifacts(?:-by-uid)?/|/(?:artifact-files|upload-artifacts)/"
)


class Refusal(TypedDict):
    """The body of such an answer; ``code`` is gRPC's."""

    code: int
    message: str
    details: list[str]


def is_argos(path: str) -> bool:
    """Whether a path is one of Argo Server's API, and none of Kubernetes'."""
    return _PATHS.match(path) is not None


def refused(number: int, message: str) -> tuple[int, Refusal]:
    """The number of HTTP and the body for what Kubernetes' API would answer with ``number``."""
    code = _CODES.get(number, 13 if number >= 500 else 3)
    return _NUMBERS[code], {"code": code, "message": message, "details": []}
