"""A cluster made of functions, and the answers it gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from tiphys.runs import Client, FakeTransport, Request

__all__ = ["events", "kubernetes", "scripted", "server", "state"]


def state(phase: str, version: int, *, end: bool = False, name: str = "run", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team", "uid": "u1", "resourceVersion": str(version)},
        "spec": {},
        "status": {
            "phase": phase,
            "startedAt": "2026-01-01T00:00:00Z",
            **({"finishedAt": "2026-01-01T00:01:30Z"} if end else {}),
            **status,
        },
    }


def server(handler: Callable[[Request], Any], **options: Any) -> tuple[Client, FakeTransport]:
    transport = FakeTransport(handler)
    return Client.argo_server(transport=transport, namespace="team", **options), transport


def kubernetes(handler: Callable[[Request], Any], **options: Any) -> tuple[Client, FakeTransport]:
    transport = FakeTransport(handler)
    return Client.kubernetes(transport=transport, namespace="team", **options), transport


def events(*changes: tuple[str, dict[str, Any]]) -> Iterable[str]:
    return [json.dumps({"result": {"type": kind, "object": item}}) for kind, item in changes]


def scripted(*answers: Any) -> Callable[[Request], Any]:
    """Answers in order; an exception is raised."""
    remaining = iter(answers)

    def handler(request: Request) -> Any:
        answer = next(remaining)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler
