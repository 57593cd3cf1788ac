"""gRPC in front of the HTTP API: each call becomes a request to the application of this process, by its method's rule,
and the answer becomes the reply."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, unquote, urlencode

import grpc
import grpc.aio

from tiphys.server.argo.refusals import refused
from tiphys.server.rpc.convert import from_message, to_message

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from starlette.types import ASGIApp

    from tiphys.server.rpc.convert import Json
    from tiphys.server.rpc.schema import Method

__all__ = ["Front", "Operation", "operation"]

_LARGEST = 10 << 20  # bytes of a call, as of a request over HTTP
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_VARIABLE = re.compile(r"\{([\w.]+)(?:=[^}]*)?\}")


@dataclass(frozen=True, slots=True)
class Operation:
    """A request over HTTP: what a call is."""

    verb: str
    path: str
    query: str
    body: bytes


def _leaves(value: Json, name: str = "") -> Iterator[tuple[str, str]]:
    """What a request says, as the words of a query: ``listOptions.limit=3``."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, name)
    elif value:  # what is not said is zero, too
        yield name, value if isinstance(value, str) else json.dumps(value)


def operation(method: Method, request: Message) -> Operation:
    """The request that a call is, by the rule of its method (google/api/http.proto): fields that the path names are in
    it, one is the body or all of them, and what is left is the query."""
    said = from_message(request)
    assert isinstance(said, dict)
    in_path = []

    def placed(found: re.Match[str]) -> str:
        in_path.append(found[1])
        value = said
        for part in found[1].split("."):
            value = value.get(part) or {}
        return quote(str(value or ""), safe="")

    path = _VARIABLE.sub(placed, method.path)
    if method.body == "*":
        return Operation(method.verb, path, "", json.dumps(said).encode())
    left = {key: value for key, value in said.items() if key not in in_path}
    body = json.dumps(left.pop(method.body, {})).encode() if method.body else b""
    return Operation(method.verb, path, urlencode(list(_leaves(left))), body)


class _Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, body: bytes) -> None:
        self.message = body.decode(errors="replace")
        self.code = _CODES[refused(status or 500, self.message)[1]["code"]]
        with contextlib.suppress(ValueError):
            told = json.loads(body)
            self.message = str(told.get("message", self.message))
            code = told.get("code")
            self.code = _CODES.get(code, self.code) if isinstance(code, int) and code else self.code


class Front:
    """Answers the methods of ``methods`` with what ``application`` answers; ``host`` is the name that requests have.

    It listens on a socket of the file system: connections are led there by :class:`tiphys.server.mux.Mux`.
    """

    def __init__(self, application: ASGIApp, methods: Mapping[str, Method], host: str) -> None:
        self._application, self._methods, self._host = application, methods, host
        self._server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", _LARGEST), ("grpc.max_send_message_length", -1)]
        )
        self._server.add_generic_rpc_handlers((_Handlers(self),))

    async def start(self, socket: str) -> None:
        """Listen. Raises RuntimeError where the socket cannot be had."""
        self._server.add_insecure_port(f"unix:{socket}")
        await self._server.start()

    async def stop(self) -> None:
        """End, and cut off what still streams."""
        await self._server.stop(None)

    def handler(self, name: str) -> grpc.RpcMethodHandler[Message, Message] | None:
        """How a method is answered; none for one that there is not."""
        method = self._methods.get(name)
        if method is None:
            return None
        make = grpc.unary_stream_rpc_method_handler if method.streams else grpc.unary_unary_rpc_method_handler
        return make(
            self._streamed(method) if method.streams else self._answered(method),
            request_deserializer=method.request.FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )

    def _answered(
        self, method: Method
    ) -> Callable[[Message, grpc.aio.ServicerContext[Message, Message]], object]:
        async def answer(request: Message, context: grpc.aio.ServicerContext[Message, Message]) -> Message:
            body = b"".join([part async for part in self._asked(method, request, context)])
            return _reply(method, json.loads(body or b"{}"))

        return answer

    def _streamed(
        self, method: Method
    ) -> Callable[[Message, grpc.aio.ServicerContext[Message, Message]], object]:
        async def answer(
            request: Message, context: grpc.aio.ServicerContext[Message, Message]
        ) -> AsyncIterator[Message]:
            rest = b""
            async for part in self._asked(method, request, context):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield _reply(method, _result(json.loads(line)))
            if rest.strip():
                yield _reply(method, _result(json.loads(rest)))

        return answer

    async def _asked(
        self, method: Method, request: Message, context: grpc.aio.ServicerContext[Message, Message]
    ) -> AsyncIterator[bytes]:
        """The parts of the answer, as they come. What the application refuses ends the call."""
        try:
            asked = operation(method, request)
        except (ValueError, TypeError) as error:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        words = dict(context.invocation_metadata() or ())
        headers = [
            (b"host", self._host.encode()),
            (b"authorization", str(words.get("authorization", "")).encode()),
            (b"accept", b"application/json"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(asked.body)).encode()),
        ]
        call = _Call(asked, headers)
        task = asyncio.ensure_future(call.run(self._application))
        try:
            async for part in call.parts():
                yield part
        except _Refused as error:
            await _abort(context, error.code, error.message)
        finally:
            call.gone.set()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):  # nobody is there to be told
                await task


async def _abort(
    context: grpc.aio.ServicerContext[Message, Message], code: grpc.StatusCode, message: str
) -> NoReturn:
    await context.abort(code, message)
    raise AssertionError("abort raises")


def _result(told: Mapping[str, Json]) -> Json:
    """What a line of a stream holds. Raises _Refused for an error in it."""
    if "error" in told:
        raise _Refused(500, json.dumps(told["error"]).encode())
    return told.get("result", told)


def _reply(method: Method, value: Json) -> Message:
    reply = method.reply()
    to_message(value, reply)
    return reply


class _Call:
    """One request to the application."""

    def __init__(self, asked: Operation, headers: list[tuple[bytes, bytes]]) -> None:
        self._asked, self._headers = asked, headers
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(
            16
        )  # a client that does not read makes it wait
        self._status = 0
        self._sent = False
        self.gone = asyncio.Event()

    async def run(self, application: ASGIApp) -> None:
        path = self._asked.path
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._asked.verb,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": self._asked.query.encode(),
            "root_path": "",
            "headers": self._headers,
            "client": None,
            "server": None,
            "tiphys.rpc": True,
        }
        try:
            await application(scope, self._receive, self._send)
        finally:
            await self._parts.put(None)

    async def _receive(self) -> dict[str, object]:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self._asked.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, object]) -> None:
        if message["type"] == "http.response.start":
            status = message["status"]
            assert isinstance(status, int)
            self._status = status
        elif body := message.get("body"):
            assert isinstance(body, bytes)
            await self._parts.put(body)

    async def parts(self) -> AsyncIterator[bytes]:
        """Raises _Refused for an answer that is no success."""
        refused = []
        while (part := await self._parts.get()) is not None:
            if self._status < 400:
                yield part
            else:
                refused.append(part)
        if self._status >= 400 or not self._status:
            raise _Refused(self._status, b"".join(refused))


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio tells no types
    def __init__(self, front: Front) -> None:
        self._front = front

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Message, Message] | None:
        return self._front.handler(handler_call_details.method)
