"""Answers of templates: texts are escaped, a name that is not given is an error, and nothing is loaded from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["HEADERS", "Rendering"]

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every page: no script or style but the files of this server, no frame around it, and nothing kept of it."""


class Rendering:
    """Finds templates in ``folders``, in that order; a :class:`tiphys.server.views.routes.Rendered`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(folders),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def __call__(self, request: Request, template: str, /, **context: object) -> Response:
        text = self._templates.get_template(template).render(context)
        return HTMLResponse(text, headers=HEADERS)
