"""Every request is looked at, and every error is one of Kubernetes'."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tiphys.engine import RunOptions
from tiphys.server.access import Access
from tiphys.server.app import application
from tiphys.server.desk import Desk
from tiphys.server.users import ServerUsers


def _asked(app: Any, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Any]:
    """A request of ASGI, without a server between."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "root_path": "",
        "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(app(scope, receive, send))
    text = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], json.loads(text)


def test_errors_are_statuses(tmp_path: Path) -> None:
    desk = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    app = application(desk, Access(ServerUsers("t")))
    good = {"host": "localhost", "authorization": "Bearer t"}
    typed = {**good, "content-type": "application/json", "content-length": "1"}
    workflows = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows"
    for method, path, headers, body, number, reason in (
        ("GET", workflows, {}, b"", 403, "Forbidden"),
        ("GET", "/nowhere", {"host": "localhost"}, b"", 401, "Unauthorized"),
        ("GET", "/nowhere", good, b"", 404, "NotFound"),
        ("PUT", workflows, typed, b"{}", 405, "MethodNotAllowed"),
        ("POST", workflows, typed, b"{", 400, "BadRequest"),
        ("POST", workflows, typed, b"[]", 400, "BadRequest"),
        ("POST", workflows, typed, b"[" * 100_000, 400, "BadRequest"),
        ("POST", workflows, typed, b" " * (11 << 20), 413, "RequestEntityTooLarge"),
        ("POST", workflows, typed, b'{"metadata": {}, "spec": {"templates": 7}}', 422, "Invalid"),
        ("PUT", f"{workflows}/none", typed, b"{}", 404, "NotFound"),
    ):
        status, told = _asked(app, method, path, headers, body)
        assert (status, told["kind"], told["reason"]) == (number, "Status", reason), (path, told)
    assert _asked(app, "GET", "/version", good)[1]["major"] == "1"
