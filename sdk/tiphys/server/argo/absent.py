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
    """Objects of Argo Events."""
    return [
        Route(f"/api/v1/{name}/{end}", answered(_none, desk), methods=["GET"])
        for name in ("sensors", "event-sources")
        for end in ("", "{namespace}")
    ]


def _none(desk: Desk, asked: Asked) -> JsonObject:
    return {"metadata": {"resourceVersion": str(desk.board.number)}, "items": []}
