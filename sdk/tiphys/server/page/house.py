"""All pages, and the door: the routes below ``/ui``."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tiphys.server.answers import RequestError
from tiphys.server.page import acts, locks, logs, run, runs, step, submit
from tiphys.server.page.frame import HEADERS, Frame
from tiphys.server.views.routes import VIEWS, view_routes
from tiphys.terminal import plain

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from tiphys.server.desk import Desk
    from tiphys.server.page.doors import Doors

__all__ = ["PAGES", "refusal", "routes"]

PAGES = (runs, submit, locks, run, step, logs, acts)
_LOCKED = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<title>Tiphys</title><link rel="stylesheet" href="/ui/static/page.css"><main class="door"><h1>{title}</h1>'
    "<p>{why}</p>{more}</main></html>"
)

_DOOR = (
    "<p>In a terminal, beside the store:</p><pre><code>tiphys ui</code></pre>"
    "<p>It opens a link that is good once; this browser then stays known for thirty days.</p>"
)
_TITLES = {
    401: "Not let in yet",
    403: "Not from here",
    404: "Not here",
    422: "Cannot be done",
    409: "Not now",
}


def routes(desk: Desk, doors: Doors) -> list[BaseRoute]:
    """The paths of all pages."""
    frame = Frame(desk, [*(page.NAV for page in PAGES if page.NAV is not None), *VIEWS])

    def first(request: Request) -> Response:
        return RedirectResponse("/ui/runs", 302)

    def enter(request: Request) -> Response:
        if request.method == "HEAD":  # who only looks uses nothing up
            return Response(headers=HEADERS)
        cookie = doors.enter(request.query_params.get("key", ""), secure=request.url.scheme == "https")
        if not cookie:
            return refusal(RequestError(401, "This link has been used, or is too old."))
        # not by a redirect: a link that another page opened would come without the cookie
        page = '<!doctype html><meta http-equiv="refresh" content="0;url=/ui/runs"><title>Tiphys</title>'
        return HTMLResponse(page, headers={**HEADERS, "Set-Cookie": cookie, "Referrer-Policy": "no-referrer"})

    def link(request: Request) -> Response:
        """For who has the token: see :mod:`tiphys.server.access`."""
        key = doors.key(request.scope["tiphys.user"])
        return JSONResponse({"path": f"/ui/enter?key={key}"}, headers={"Cache-Control": "no-store"})

    found: list[BaseRoute] = [
        Route("/", first),
        Route("/ui", first),
        Route("/ui/", first),
        Route("/ui/enter", enter),
        Route("/ui/link", link, methods=["POST"]),
        Mount("/ui/static", StaticFiles(directory=Path(__file__).with_name("static"))),
    ]
    for page in PAGES:
        found += page.routes(frame)
    found += view_routes(frame)
    return found


def refusal(error: RequestError) -> Response:
    """The page that says why not."""
    more = _DOOR if error.number == 401 else '<p><a href="/ui/runs">The runs</a></p>'
    title = _TITLES.get(error.number, "That did not work")
    text = _LOCKED.format(title=title, why=html.escape(plain(error.message)), more=more)
    return HTMLResponse(text, error.number, headers=HEADERS)
