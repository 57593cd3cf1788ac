"""All paths of Argo Server's API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.server.argo.absent import absent_routes
from tiphys.server.argo.archive import archive_routes
from tiphys.server.argo.artifacts import artifact_routes
from tiphys.server.argo.bindings import binding_routes
from tiphys.server.argo.info import info_routes
from tiphys.server.argo.streams import stream_routes
from tiphys.server.argo.sync import sync_routes
from tiphys.server.argo.templates import template_routes
from tiphys.server.argo.uploads import upload_routes
from tiphys.server.argo.workflows import workflow_routes

if TYPE_CHECKING:
    from starlette.routing import Route

    from tiphys.server.desk import Desk

__all__ = ["argo_routes"]


def argo_routes(desk: Desk) -> list[Route]:
    """The paths, and who answers."""
    rooms = (
        info_routes,
        workflow_routes,
        stream_routes,
        template_routes,
        archive_routes,
        artifact_routes,
        upload_routes,
        sync_routes,
        binding_routes,
        absent_routes,
    )
    return [route for routes in rooms for route in routes(desk)]
