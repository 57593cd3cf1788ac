"""The training service over HTTP: the same messages as JSON, by protobuf's own rules, with the fields' own names.

============================ ======================================
``POST /v1/jobs``            Train; the body is the metadata
``GET /v1/jobs``             List; ``?pool=&user=&status=&limit=&before=``
``GET /v1/jobs/7``           GetTrainingStatus; ``?wait=30`` answers at the next status, or after so many seconds
``POST /v1/jobs/7:cancel``   Cancel
``GET /v1/jobs/7/logs``      Logs, as text
``GET /v1/algorithms``       ListAlgorithms; ``?name=``
``POST /v1/algorithms``      CreateAlgorithmMapping
``PUT /v1/algorithms``       UpdateAlgorithmVersion
``GET /v1/pools``            ListPools
``GET /healthz``             whether it answers
============================ ======================================
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from google.protobuf import json_format

from tiphys.errors import TiphysError, TrainingServiceError
from tiphys.net.message import HttpRequest, HttpResponse
from tiphys.training.calls import TrainingCalls
from tiphys.training.convert import from_json, status_of, told, unforeseen
from tiphys.training.proto import training_service_pb2 as wire

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["TrainingRest"]

log = logging.getLogger("tiphys.training")
_JOB = re.compile(r"/v1/jobs/([0-9]{1,10})(:cancel|/logs)?")
_HERE = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?")
_QUERIES = {
    ("GET", "/v1/jobs"): ("pool", "user", "status", "limit", "before"),
    ("GET", "/v1/algorithms"): ("name",),
}
_LONGEST = 60.0  # seconds that a call waits for a change
_MOST = 1 << 20  # bytes of a log in one answer: its end


class TrainingRest:
    """A handler of :class:`tiphys.net.server.HttpServer`."""

    def __init__(self, calls: TrainingCalls) -> None:
        self._calls = calls

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._answer(request)
        except TiphysError as error:
            return _refused(error)
        except Exception as error:  # the caller is told, never with a traceback
            log.exception("a call of the training service", exc_info=error)
            return _refused(unforeseen())

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        token = request.token()
        query = dict(parse_qsl(request.target.partition("?")[2]))
        calls, way = self._calls, (request.method, request.path)
        if way == ("GET", "/healthz"):
            return HttpResponse(200, b'{"status": "ok"}\n')
        self._check_page(request)
        for name in query:
            if name not in _QUERIES.get(way, ("wait",)):
                raise TrainingServiceError("TIP821", f"nobody knows {name[:80]!r} in the query")
        if way == ("POST", "/v1/jobs"):
            asked = wire.TrainRequest(metadata=_read(request, wire.TrainingJobMetadata()))
            return _said(await calls.train(asked, token))
        if way == ("GET", "/v1/jobs"):
            return _said(await calls.list(_listed(query), token))
        if way == ("GET", "/v1/algorithms"):
            return _said(
                await calls.algorithms(wire.ListAlgorithmsRequest(name=query.get("name", "")), token)
            )
        if way in (("POST", "/v1/algorithms"), ("PUT", "/v1/algorithms")):
            given = wire.AlgorithmRequest(algorithm=_read(request, wire.Algorithm()))
            call = calls.create_algorithm if request.method == "POST" else calls.update_algorithm
            return _said(await call(given, token))
        if way == ("GET", "/v1/pools"):
            return _said(await calls.pools(wire.ListPoolsRequest(), token))
        if (found := _JOB.fullmatch(request.path)) is not None:
            number, verb = int(found[1]), found[2] or ""
            if number >= 2**31:
                raise TrainingServiceError("TIP806", f"there is no job {number}")
            if (request.method, verb) == ("GET", ""):
                return _said(await self._status(number, token, query))
            if (request.method, verb) == ("POST", ":cancel"):
                return _said(await calls.cancel(wire.CancelRequest(job_id=number), token))
            if (request.method, verb) == ("GET", "/logs"):
                return await self._logs(number, token)
        nothing = TrainingServiceError(
            "TIP821",
            f"there is no {request.method[:20]} {request.path[:200]}",
            fix="docs/training.md has a table",
        )
        return _refused(nothing, 404)

    def _check_page(self, request: HttpRequest) -> None:
        """Where nobody needs a token, a page in the user's browser would be the user, too: it has an Origin, or came to
        an address of its own that it has let point here."""
        host = (request.header(b"host") or b"localhost").decode("latin-1")
        if self._calls.without_tokens and (
            request.header(b"origin") is not None or not _HERE.fullmatch(host)
        ):
            raise TrainingServiceError(
                "TIP828",
                "a page of the web may not use a service that asks for no token",
                cause="the request has an Origin, or a Host that is not this machine",
                fix="ask localhost, or give users tokens in training.toml",
            )

    async def _status(self, number: int, token: str, query: dict[str, str]) -> wire.GetTrainingStatusResponse:
        asked = wire.GetTrainingStatusRequest(job_id=number)
        status = await self._calls.status(asked, token)
        seconds = min(_number(query, "wait"), _LONGEST)
        if seconds <= 0:
            return status
        before = status.status
        try:
            async with asyncio.timeout(seconds):
                async for status in self._calls.watch(asked, token):
                    if status.status != before:
                        break
        except TimeoutError:
            pass
        return status

    async def _logs(self, number: int, token: str) -> HttpResponse:
        lines: list[bytes] = []
        size = 0
        async for line in self._calls.logs(wire.LogsRequest(job_id=number), token):
            lines.append(f"{line.source}: {line.text}\n".encode("utf-8", "replace"))
            size += len(lines[-1])
            while size > _MOST and len(lines) > 1:
                size -= len(lines.pop(0))
        return HttpResponse(200, b"".join(lines), content_type="text/plain; charset=utf-8")


def _read(request: HttpRequest, message: Message) -> Message:
    """Raises TrainingServiceError TIP821 with the field that is wrong."""
    return from_json(request.body or b"{}", message)


def _refused(error: TiphysError, status: int = 0) -> HttpResponse:
    body = b'{"error": ' + told(error).encode("utf-8", "replace") + b"}\n"
    return HttpResponse(status or status_of(error)[1], body)


def _said(message: Message) -> HttpResponse:
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return HttpResponse(200, text.encode() + b"\n")


def _listed(query: dict[str, str]) -> wire.ListRequest:
    states = []
    known = [*wire.TrainingStatus.keys()]
    for name in filter(None, query.get("status", "").split(",")):
        if name not in known:
            raise TrainingServiceError("TIP821", f"{name[:80]!r} is no status", fix=", ".join(known))
        states.append(wire.TrainingStatus.Value(name))
    return wire.ListRequest(
        pool=query.get("pool", ""),
        user=query.get("user", ""),
        status=states,
        limit=int(_number(query, "limit")),
        before=int(_number(query, "before")),
    )


def _number(query: dict[str, str], name: str) -> float:
    text = query.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise TrainingServiceError("TIP821", f"{name}={text[:80]!r} is no whole number from 0")
    return float(text)
