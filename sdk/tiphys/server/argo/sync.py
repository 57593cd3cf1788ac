"""Limits of semaphores (``argo sync``): keys of a ConfigMap that is kept; a run has those of its submission.

Source: server/sync/sync_cm.go of Argo 4.0.5. Limits in a database are a cluster's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from starlette.routing import Route

from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Asked, answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["sync_routes"]

_CONFIG_MAP = ("", "0", "CONFIGMAP")


def sync_routes(desk: Desk) -> list[Route]:
    """The four operations."""
    every, one = "/api/v1/sync/{namespace}", "/api/v1/sync/{namespace}/{key:path}"
    return [
        Route(every, answered(_create, desk), methods=["POST"]),
        Route(one, answered(_get, desk), methods=["GET"]),
        Route(one, answered(_update, desk), methods=["PUT"]),
        Route(one, answered(_delete, desk), methods=["DELETE"]),
    ]


def _create(desk: Desk, asked: Asked) -> JsonObject:
    name, key, limit = _map_of(desk, asked), asked.text("key"), _limit(asked)
    known = desk.config_maps.get(name)
    if known is None:
        given = {"kind": "ConfigMap", "metadata": {"name": name}, "data": {key: str(limit)}}
        desk.keep(desk.config_maps, cast("GivenObject", given))
        return _told(desk, name, key, limit)
    if key in _data(known):
        raise RequestError(409, "sync limit cannot be created as it already exists")
    return _written(desk, name, key, limit)


def _get(desk: Desk, asked: Asked) -> JsonObject:
    name, key = _map_of(desk, asked), asked.path["key"]
    found = _found(desk, name, key)
    if not found.lstrip("-").isdecimal():
        raise RequestError(400, f"invalid limit format for key {key} in configmap {_place(desk, name)}")
    return _told(desk, name, key, int(found))


def _update(desk: Desk, asked: Asked) -> JsonObject:
    name, key, limit = _map_of(desk, asked), asked.path["key"], _limit(asked)
    _found(desk, name, key, " - please create it first")
    return _written(desk, name, key, limit)


def _delete(desk: Desk, asked: Asked) -> JsonObject:
    name, key = _map_of(desk, asked), asked.path["key"]
    _known(desk, name)
    _amended(desk, name, lambda data: {each: value for each, value in data.items() if each != key})
    return {}


def _map_of(desk: Desk, asked: Asked) -> str:
    """The ConfigMap that is meant. Raises RequestError 404 for another namespace, 400 for limits of a database."""
    asked.only_here(desk)
    kind = str(asked.body.get("type", asked.query.get("type", "")) or "")
    if kind not in _CONFIG_MAP:
        raise RequestError(400, f"unsupported sync config type: {kind}")
    return asked.text("cmName") or asked.query.get("cmName", "")


def _limit(asked: Asked) -> int:
    given = asked.body.get("limit")
    if isinstance(given, bool) or not isinstance(given, int) or given <= 0:
        raise RequestError(400, "limit must be greater than zero")
    return given


def _found(desk: Desk, name: str, key: str, more: str = "") -> str:
    data = _data(_known(desk, name))
    if key not in data:
        raise RequestError(404, f"key {key} not found in configmap {_place(desk, name)}{more}")
    return data[key]


def _known(desk: Desk, name: str) -> Workflow:
    found = desk.config_maps.get(name)
    if found is None:
        raise RequestError(500, f'configmaps "{name}" not found')
    return found


def _written(desk: Desk, name: str, key: str, limit: int) -> JsonObject:
    _amended(desk, name, lambda data: {**data, key: str(limit)})
    return _told(desk, name, key, limit)


def _amended(desk: Desk, name: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    desk.config_maps.amend(name, lambda known: cast("Workflow", {**known, "data": change(_data(known))}))


def _data(known: object) -> dict[str, str]:
    return cast("dict[str, dict[str, str]]", known).get("data") or {}


def _place(desk: Desk, name: str) -> str:
    return f"{desk.board.namespace}/{name}"


def _told(desk: Desk, name: str, key: str, limit: int) -> JsonObject:
    """``type`` is left out, as Go leaves out its 0: CONFIGMAP."""
    return {"namespace": desk.board.namespace, "cmName": name, "key": key, "limit": limit}
