"""What Argo Server has that a store does not: clients are told of none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from tiphys.server.argo.asked import Asked, answered

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["absent_routes"]


def absent_routes(desk: Desk) -> list[Route]:
    """Objects of Argo Events and bindings to them."""
    found = [Route("/api/v1/events/{namespace}/{discriminator}", answered(_nobody, desk), methods=["POST"])]
    for name in ("workflow-event-bindings", "sensors", "event-sources"):
        for end in ("", "{namespace}"):
            found.append(Route(f"/api/v1/{name}/{end}", answered(_none, desk), methods=["GET"]))
    return found


def _none(desk: Desk, asked: Asked) -> JsonObject:
    return {"metadata": {"resourceVersion": str(desk.board.number)}, "items": []}


def _nobody(desk: Desk, asked: Asked) -> JsonObject:
    """An event that no binding waits for."""
    return {}
