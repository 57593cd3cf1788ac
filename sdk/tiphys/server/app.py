"""The application: paths, who may ask, and how errors are told."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tiphys.errors import TiphysError
from tiphys.server.answers import RequestError, status, status_of
from tiphys.server.argo.refusals import is_argos, refused
from tiphys.server.argo.routes import argo_routes
from tiphys.server.audit import Audit
from tiphys.server.kube.routes import routes
from tiphys.server.metrics import ServerCounts
from tiphys.server.page import house
from tiphys.server.page.doors import STRANGER, Doors, is_page
from tiphys.server.presigned import PRESIGNED
from tiphys.server.users import needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tiphys.server.access import Access
    from tiphys.server.answers import Status
    from tiphys.server.desk import Desk
    from tiphys.server.users import ServerUser

__all__ = ["application"]

log = logging.getLogger("tiphys.server")
_METRICS = "/metrics"


def application(
    desk: Desk, access: Access, ending: asyncio.Event | None = None, audit: Audit | None = None
) -> ASGIApp:
    """The server of a desk, as an ASGI application. Once ``ending`` is set, answers that are not whole yet are ended:
    watches, and logs that are followed, would go on for ever. ``audit`` is told what changes something."""
    doors = Doors(access.users.token)
    counts = ServerCounts(desk.board)

    async def metrics(request: Request) -> Response:
        return Response(counts.page(), media_type="text/plain; version=0.0.4")

    app = Starlette(
        routes=[Route(_METRICS, metrics), *routes(desk), *argo_routes(desk), *house.routes(desk, doors)],
        exception_handlers={
            RequestError: _asked_wrongly,
            TiphysError: _refused,
            HTTPException: _no_such,
            Exception: _unforeseen,
        },
    )
    guarded = _Guarded(_Ending(app, ending or asyncio.Event()), access, doors, audit or Audit())
    return _Counted(guarded, counts)


class _Counted:
    """Every answer is counted, and how long it took to begin."""

    def __init__(self, app: ASGIApp, counts: ServerCounts) -> None:
        self._app, self._counts = app, counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == _METRICS:
            await self._app(scope, receive, send)
            return
        began, path = time.perf_counter(), scope["path"]
        api = "page" if is_page(path) else "argo" if is_argos(path) else "kube"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                took, rpc = time.perf_counter() - began, bool(scope.get("tiphys.rpc"))
                self._counts.took(api, scope["method"], message["status"], took, rpc=rpc)
            await send(message)

        await self._app(scope, receive, counted)


class _Guarded:
    """Every request, also one for a path that there is not, must be allowed."""

    def __init__(self, app: ASGIApp, access: Access, doors: Doors, audit: Audit) -> None:
        self._app, self._access, self._doors, self._audit = app, access, doors, audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise RuntimeError("no websockets here")
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path, user = scope["method"], scope["path"], None
        role = needed(method, path)
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            user = self._asking(method, path, headers)
            if user is not None and not user.may(role):
                raise RequestError(403, f"{user.name} {user.role}: this is for who {role}")
        except RequestError as error:
            if user is not None:
                self._audit.write(user.name, method, path, error.number)
            await _told(path, error.status)(scope, receive, send)
            return
        if user is None or role == "reads":
            asked = send
        else:

            async def asked(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self._audit.write(user.name, method, path, message["status"])
                await send(message)

        scope["tiphys.user"] = user.name if user is not None else ""
        await self._app(scope, receive, asked)

    def _asking(self, method: str, path: str, headers: Mapping[str, str]) -> ServerUser | None:
        """Who asks; None for what a browser may see before it is let in. Raises RequestError."""
        if path.startswith(PRESIGNED):
            self._access.check_host(headers)
            return None
        if not is_page(path):
            try:
                return self._access.check(method, headers, path)
            except RequestError as error:
                if path == _METRICS and error.number == 401:  # Argo Server's number there
                    raise RequestError(403, error.message) from None
                raise
        self._access.check_host(headers)
        name = self._doors.check(method, path, headers)
        if not name:
            return None
        user = self._access.users.named(name)
        if user is None:
            raise RequestError(401, STRANGER)
        return user


class _Ending:
    """What streams is told that its reader has gone, and the answer is ended as if it were whole."""

    def __init__(self, app: ASGIApp, ending: asyncio.Event) -> None:
        self._app, self._ending = app, ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, whole = False, False

        async def receiving() -> Message:
            getting = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(self._ending.wait())
            try:
                await asyncio.wait((getting, over), return_when=asyncio.FIRST_COMPLETED)
                return getting.result() if getting.done() else {"type": "http.disconnect"}
            finally:
                getting.cancel()
                over.cancel()

        async def sending(message: Message) -> None:
            nonlocal begun, whole
            begun = True
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        await self._app(scope, receiving, sending)
        if begun and not whole and self._ending.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def _told(path: str, said: Status) -> Response:
    """As those whose path it is say so: the page, Argo Server, or the Kubernetes API."""
    if is_page(path):
        return house.refusal(RequestError(said["code"], said["message"], said["reason"]))
    if is_argos(path):
        number, refusal = refused(said["code"], said["message"])
        return JSONResponse(refusal, number)
    return JSONResponse(said, said["code"])


async def _asked_wrongly(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _told(request.url.path, error.status)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TiphysError)
    return _told(request.url.path, status_of(error))


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        return _told(path, status(405, f"this server has no {request.method} here"))
    nothing = (
        "There is no such page." if is_page(path) else "the server could not find the requested resource"
    )
    return _told(path, status(404, nothing))


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    said = status(500, f"{type(error).__name__}: this is a fault of tiphys; its log has more")
    return _told(request.url.path, said)
