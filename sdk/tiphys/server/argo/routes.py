"""All paths of Argo Server's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.server.argo.info import info_routes
from tiphys.server.argo.streams import stream_routes
from tiphys.server.argo.workflows import workflow_routes

if TYPE_CHECKING:
    from starlette.routing import Route

    from tiphys.server.desk import Desk

__all__ = ["argo_routes"]


def argo_routes(desk: Desk) -> list[Route]:
    """The paths, and who answers."""
    return [*info_routes(desk), *workflow_routes(desk), *stream_routes(desk)]
