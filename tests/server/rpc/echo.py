"""A small application that answers as Argo's HTTP API does, behind the real mux and gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tiphys.server.mux import mux
from tiphys.server.rpc.door import Door

WORKFLOW = {
    "metadata": {
        "name": "hello",
        "namespace": "argo",
        "creationTimestamp": "2026-11-29T10:00:00Z",
        "uid": "u-1",
    },
    "spec": {"entrypoint": "main", "arguments": {}, "templates": [{"name": "main", "suspend": {}}]},
    "status": {"phase": "Running", "startedAt": "2026-11-29T10:00:00Z", "finishedAt": None},
}


@dataclass
class Echo:
    """What was asked, and where."""

    port: int = 0
    asked: list[tuple[str, str, dict[str, str], object]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    gone: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        given = json.loads(body) if body else None
        self.asked.append((request.method, request.url.path, dict(request.query_params), given))
        self.tokens.add(request.headers.get("authorization", ""))
        path = request.url.path
        if path.endswith("/missing"):
            return JSONResponse({"code": 5, "message": 'workflows.argoproj.io "missing" not found'}, 404)
        if path == "/api/v1/version":
            return JSONResponse({"version": "v4.0.5"})
        if "/workflow-events/" in path:
            return StreamingResponse(self.events())
        if path.endswith("/log"):
            lines = [{"result": {"content": f"line {n}", "podName": "hello"}} for n in range(3000)]
            return StreamingResponse(iter([json.dumps(each) + "\n" for each in lines]))
        if request.method == "POST" and isinstance(given, dict) and "workflow" in given:
            return JSONResponse(
                {**given["workflow"], "metadata": {**given["workflow"]["metadata"], "name": "made"}}
            )
        if path == "/api/v1/workflows/argo":
            return JSONResponse({"metadata": {"resourceVersion": "7"}, "items": [WORKFLOW]})
        return JSONResponse(WORKFLOW)

    async def events(self) -> AsyncIterator[str]:
        try:
            yield json.dumps({"result": {"type": "ADDED", "object": WORKFLOW}}) + "\n"
            done = {
                **WORKFLOW,
                "status": {**WORKFLOW["status"], "phase": "Succeeded", "finishedAt": "2026-11-29T10:00:05Z"},
            }  # type: ignore[dict-item]
            yield json.dumps({"result": {"type": "MODIFIED", "object": done}}) + "\n"
            await asyncio.sleep(60)
        finally:
            self.gone.set()


@contextlib.contextmanager
def echo(program: str) -> Iterator[Echo]:
    """The application on a free port, without TLS."""
    made = Echo()
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=["GET", "POST", "PUT", "DELETE"])])
    listener = socket.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]
    stop: list[uvicorn.Server] = []

    async def run() -> None:
        door = Door(app, "localhost", program)
        server = uvicorn.Server(
            uvicorn.Config(app, http=mux(door.socket), log_config=None, timeout_graceful_shutdown=1)
        )
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        stop.append(server)
        try:
            await server.serve([listener])
        finally:
            await door.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        yield made
    finally:
        stop[0].should_exit = True
        thread.join(30)
