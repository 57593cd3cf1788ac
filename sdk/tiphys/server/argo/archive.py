"""The archive: in a store every run that has ended is in it, and what is deleted stays, where the administrator wants
it (:mod:`tiphys.server.controller`)."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from starlette.routing import Route

from tiphys.server.argo.asked import Asked, answered, known_run, not_here
from tiphys.server.argo.lists import ListAsked, ended, page, persisted
from tiphys.server.argo.workflows import resubmitted, retried

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["archive_routes", "archived"]

_PATH = "/api/v1/archived-workflows"
_BRIEF = "-items.status.nodes,items.spec.templates"


def archive_routes(desk: Desk) -> list[Route]:
    """All operations on archived Workflows."""
    one = f"{_PATH}/{{uid}}"
    return [
        Route(_PATH, answered(_list, desk), methods=["GET"]),
        Route(f"{_PATH}-label-keys", answered(_label_keys, desk), methods=["GET"]),
        Route(f"{_PATH}-label-values", answered(_label_values, desk), methods=["GET"]),
        Route(one, answered(_get, desk), methods=["GET"]),
        Route(one, answered(_delete, desk), methods=["DELETE"]),
        Route(f"{one}/retry", answered(_retry, desk), methods=["PUT"]),
        Route(f"{one}/resubmit", answered(_resubmit, desk), methods=["PUT"]),
    ]


def archived(desk: Desk, asked: Asked) -> Workflow:
    """The Workflow with the ``uid`` of the path, or the name of the query. Raises RequestError 404, also for one that
    goes on."""
    uid, name = asked.path.get("uid", ""), asked.query.get("name", "")
    here = Asked({"name": name, "namespace": asked.namespace or asked.text("namespace")}, {}, {})
    found = known_run(desk, here, "" if name else uid)
    if not ended(found):
        raise not_here("workflows", uid or name)
    return found


def _get(desk: Desk, asked: Asked) -> Workflow:
    return persisted(archived(desk, asked))


def _list(desk: Desk, asked: Asked) -> JsonObject:
    wanted = ListAsked.of(asked.query, asked.namespace, desk.board.namespace)
    return page(desk, wanted, _BRIEF, deleted=True, also=lambda brief: asked.here(desk) and ended(brief))


def _label_keys(desk: Desk, asked: Asked) -> JsonObject:
    return {"items": [*sorted({key for labels in _labels(desk, asked) for key in labels})]}


def _label_values(desk: Desk, asked: Asked) -> JsonObject:
    key = asked.query.get("listOptions.labelSelector", "")
    return {"items": [*sorted({labels[key] for labels in _labels(desk, asked) if key in labels})]}


def _delete(desk: Desk, asked: Asked) -> JsonObject:
    metadata = archived(desk, asked)["metadata"]
    if not desk.archive.remove(str(metadata.get("uid"))):
        desk.delete(metadata["name"], archive=False)
        desk.board.look()
    return {}


def _retry(desk: Desk, asked: Asked) -> Workflow:
    return retried(desk, asked, archived(desk, asked))


def _resubmit(desk: Desk, asked: Asked) -> Workflow:
    return resubmitted(desk, asked, archived(desk, asked))


def _labels(desk: Desk, asked: Asked) -> list[dict[str, str]]:
    if not asked.here(desk):
        return []
    every = chain(desk.board.briefs()[1], desk.archive.latest())
    return [each["metadata"].get("labels") or {} for each in every if ended(each)]
