"""The application: paths, who may ask, and how errors are told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from tiphys.errors import TiphysError
from tiphys.server.answers import RequestError, status, status_of
from tiphys.server.kube import routes
from tiphys.server.page import house
from tiphys.server.page.doors import Doors, is_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tiphys.server.access import Access
    from tiphys.server.desk import Desk

__all__ = ["application"]

log = logging.getLogger("tiphys.server")


def application(desk: Desk, access: Access) -> ASGIApp:
    """The server of a desk, as an ASGI application."""
    doors = Doors(access.token)
    app = Starlette(
        routes=[*routes(desk), *house.routes(desk, doors)],
        exception_handlers={
            RequestError: _asked_wrongly,
            TiphysError: _refused,
            HTTPException: _no_such,
            Exception: _unforeseen,
        },
    )
    return _Guarded(app, access, doors)


class _Guarded:
    """Every request, also one for a path that there is not, must be allowed."""

    def __init__(self, app: ASGIApp, access: Access, doors: Doors) -> None:
        self._app, self._access, self._doors = app, access, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
            }
            try:
                if is_page(scope["path"]):
                    self._access.check_host(headers)
                    self._doors.check(scope["method"], scope["path"], headers)
                else:
                    self._access.check(scope["method"], headers)
            except RequestError as error:
                if is_page(scope["path"]):
                    await house.refusal(error)(scope, receive, send)
                    return
                await JSONResponse(error.status, error.number)(scope, receive, send)
                return
        elif scope["type"] == "websocket":
            raise RuntimeError("no websockets here")
        await self._app(scope, receive, send)


async def _asked_wrongly(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    if is_page(request.url.path):
        return house.refusal(error)
    return JSONResponse(error.status, error.number)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, TiphysError)
    told = status_of(error)
    if is_page(request.url.path):
        return house.refusal(RequestError(told["code"], told["message"], told["reason"]))
    return JSONResponse(told, told["code"])


async def _no_such(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if is_page(request.url.path):
        return house.refusal(RequestError(404, "There is no such page."))
    if error.status_code == 405:
        return JSONResponse(status(405, f"this server has no {request.method} here"), 405)
    return JSONResponse(status(404, "the server could not find the requested resource"), 404)


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    if is_page(request.url.path):
        return house.refusal(
            RequestError(500, f"{type(error).__name__}: this is a fault of tiphys; its log has more")
        )
    return JSONResponse(
        status(500, f"{type(error).__name__}: this is a fault of tiphys; its log has more"), 500
    )
