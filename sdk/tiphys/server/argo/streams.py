"""What goes on while it is looked at: changes of Workflows, events of Kubernetes, and logs.

With ``Accept: text/event-stream`` each part is an event (``data: {"result": …}``), else a line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from tiphys.server.argo.asked import LATEST, Answer, Asked, found_run
from tiphys.server.argo.fields import FieldMask
from tiphys.server.argo.logs import LogsAsked, run_logs
from tiphys.server.argo.refusals import refused
from tiphys.server.bodies import until_gone
from tiphys.server.collections import Watch, events

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.server.desk import Desk

__all__ = ["stream_routes"]

_API = "argoproj.io/v1alpha1"


def stream_routes(desk: Desk) -> list[Route]:
    """The four streams."""
    one = "/api/v1/workflows/{namespace}/{name}"
    return [
        *(Route(f"/api/v1/workflow-events/{end}", _changes(desk)) for end in ("", "{namespace}")),
        *(Route(f"/api/v1/stream/events/{end}", _events(desk)) for end in ("", "{namespace}")),
        Route(f"{one}/log", _log(desk)),
        Route(f"{one}/{{podName}}/log", _log(desk)),
    ]


def _changes(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        asked = Asked(request.path_params, request.query_params, {})
        query = asked.options()
        name = query.get("fieldSelector", "").removeprefix("metadata.name").lstrip("=")
        if name and "," not in name and "metadata.name=" in query["fieldSelector"]:
            found = await asyncio.to_thread(found_run, desk, Asked({**asked.path, "name": name}, {}, {}))
            if name == LATEST:
                query["fieldSelector"] = f"metadata.name={found['metadata']['name']}"
        watch = Watch.of(query, "Workflow", _API)
        mask = FieldMask(asked.query.get("fields", ""), "result.object.")

        async def told() -> AsyncIterator[Mapping[str, object]]:
            async for kind, item in events(desk.board, watch, here=asked.here(desk)):
                if kind == "ERROR":
                    yield {"error": refused(410, str(item["message"]))[1]}
                elif kind != "BOOKMARK":
                    yield {"result": {"type": kind, "object": mask.workflow(item)}}

        return _stream(request, told())

    return answer


def _events(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        asked = Asked(request.path_params, request.query_params, {})
        watch, here = Watch.of(asked.options(), "Event", "v1"), asked.here(desk)

        async def told() -> AsyncIterator[Mapping[str, object]]:
            async for kind, item in events(desk.events, watch, here=here):
                if kind == "ERROR":
                    yield {"error": refused(410, str(item["message"]))[1]}
                elif kind == "ADDED":
                    yield {"result": item}

        return _stream(request, told())

    return answer


def _log(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        asked = Asked(request.path_params, request.query_params, {})
        found = await asyncio.to_thread(found_run, desk, asked)
        wanted = LogsAsked.of(asked.query, request.path_params.get("podName", ""))

        async def told() -> AsyncIterator[Mapping[str, object]]:
            async for pod, text in run_logs(desk.board, found["metadata"]["name"], wanted):
                yield {"result": {"content": text, "podName": pod}}

        return _stream(request, told())

    return answer


def _stream(request: Request, parts: AsyncIterator[Mapping[str, object]]) -> Response:
    as_events = "text/event-stream" in request.headers.get("accept", "")

    async def lines() -> AsyncIterator[bytes]:
        if as_events:
            yield b":\n\n"  # that it has begun: nothing may happen for a while
        async for part in parts:
            text = json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode()
            yield b"data: " + text + b"\n\n" if as_events else text + b"\n"

    # without a charset, as Argo Server says it
    kind = "text/event-stream" if as_events else "application/json"
    return StreamingResponse(until_gone(request, lines()), headers={"Content-Type": kind})
