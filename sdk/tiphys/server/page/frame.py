"""What all pages have: templates, the navigation, and what a browser may do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tiphys.pages.html import duration, number, phase_class, size, when
from tiphys.server.answers import RequestError
from tiphys.server.bodies import body_of
from tiphys.terminal import plain

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.server.desk import Desk

__all__ = ["HEADERS", "Frame", "form_of", "moved"]

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",  # of another a form would say that it comes from nowhere
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_LONGEST = 100_000  # characters of one text


class Frame:
    """``desk``: what the server has. ``nav``: words and paths."""

    def __init__(self, desk: Desk, nav: Sequence[tuple[str, str]]) -> None:
        self.desk = desk
        self._templates = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["nav"] = list(nav)
        self._templates.filters.update(
            duration=duration, number=number, size=size, when=when, css=phase_class
        )

    def show(
        self, request: Request, template: str, *, title: str, code: int = 200, **values: object
    ) -> HTMLResponse:
        """A page. ``values`` are what the template names."""
        text = self._templates.get_template(template).render(
            values, title=title, path=request.url.path, query=dict(request.query_params)
        )
        return HTMLResponse(text, code, headers=HEADERS)

    def drawn(self, svg: str) -> Markup:
        """A drawing of :mod:`tiphys.graph` or :mod:`tiphys.pages`, which have escaped what they were given."""
        return Markup(svg)


def _shown(value: object) -> object:
    """Text that anybody wrote has no control and direction characters on a page."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return plain(value, _LONGEST)
    return value


def moved(path: str) -> Response:
    """After a change: look at what became of it."""
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form. Raises RequestError 413, 415."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise RequestError(415, "a form of the page is sent as application/x-www-form-urlencoded")
    body = await body_of(request, what="the form")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
