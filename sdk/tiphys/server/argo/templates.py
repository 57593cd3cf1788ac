"""WorkflowTemplates, ClusterWorkflowTemplates and CronWorkflows: what a store keeps, under the names of Argo Server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

from starlette.routing import Route

from tiphys.server.argo.asked import Asked, answered, not_here
from tiphys.server.collections import listed

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["template_routes"]

_API = "argoproj.io/v1alpha1"
Work = Callable[["Desk", Asked], object]


class _Kept(NamedTuple):
    """One resource: where its operations are, and what its objects are called in bodies."""

    resource: str
    kind: str
    path: str
    inside: str
    key: str


_RESOURCES = (
    _Kept("workflowtemplates", "WorkflowTemplate", "/api/v1/workflow-templates", "/{namespace}", "template"),
    _Kept(
        "clusterworkflowtemplates",
        "ClusterWorkflowTemplate",
        "/api/v1/cluster-workflow-templates",
        "",
        "template",
    ),
    _Kept("cronworkflows", "CronWorkflow", "/api/v1/cron-workflows", "/{namespace}", "cronWorkflow"),
)


def template_routes(desk: Desk) -> list[Route]:
    """All operations on them."""
    found = []
    for each in _RESOURCES:
        every, lister = each.path + each.inside, answered(_listing(each), desk)
        if each.inside:
            found.append(Route(f"{each.path}/", lister, methods=["GET"]))
        one = f"{every}/{{name}}"
        found += [
            Route(every, lister, methods=["GET"]),
            Route(every, answered(_creating(each), desk), methods=["POST"]),
            Route(f"{every}/lint", answered(_linting(each), desk), methods=["POST"]),
            Route(one, answered(_getting(each), desk), methods=["GET"]),
            # `argo template update` names it in the body alone
            *(
                Route(at, answered(_updating(each), desk), methods=["PUT"])
                for at in (every, f"{every}/", one)
            ),
            Route(one, answered(_deleting(each), desk), methods=["DELETE"]),
        ]
        if each.resource == "cronworkflows":
            for verb, suspends in (("suspend", True), ("resume", False)):
                work = answered(_suspending(each, suspends=suspends), desk)
                found.append(Route(f"{one}/{verb}", work, methods=["PUT"]))
    return found


def _listing(each: _Kept) -> Work:
    def work(desk: Desk, asked: Asked) -> JsonObject:
        found = listed(desk.kept[each.resource], asked.options(), each.kind, _API, here=asked.here(desk))
        if pattern := asked.query.get("namePattern", ""):
            items = cast("list[Workflow]", found["items"])
            found["items"] = [item for item in items if pattern in item["metadata"]["name"]]
        return cast("JsonObject", found)

    return work


def _getting(each: _Kept) -> Work:
    def work(desk: Desk, asked: Asked) -> Workflow:
        return _known(desk, asked, each)

    return work


def _creating(each: _Kept) -> Work:
    def work(desk: Desk, asked: Asked) -> Workflow:
        asked.only_here(desk)
        given, kept = asked.given(each.key, each.kind), desk.kept[each.resource]
        desk.lint(given)
        return desk.keep(kept, given, dry=asked.dry())

    return work


def _linting(each: _Kept) -> Work:
    def work(desk: Desk, asked: Asked) -> GivenObject:
        given = asked.given(each.key, each.kind)
        desk.lint(given)
        return given

    return work


def _updating(each: _Kept) -> Work:
    def work(desk: Desk, asked: Asked) -> Workflow:
        given = asked.given(each.key, each.kind)
        path = {"name": str((given.get("metadata") or {}).get("name") or ""), **asked.path}
        name = _known(desk, replace(asked, path=path), each)["metadata"]["name"]
        desk.lint(given)
        return desk.replace(desk.kept[each.resource], name, given)

    return work


def _deleting(each: _Kept) -> Work:
    def work(desk: Desk, asked: Asked) -> JsonObject:
        name = _known(desk, asked, each)["metadata"]["name"]
        if not asked.query.get("deleteOptions.dryRun"):
            orphan = asked.query.get("deleteOptions.propagationPolicy") == "Orphan"
            desk.discard(desk.kept[each.resource], name, orphan=orphan)
        return {}

    return work


def _suspending(each: _Kept, *, suspends: bool) -> Work:
    def work(desk: Desk, asked: Asked) -> Workflow:
        found = cast("JsonObject", _known(desk, asked, each))
        spec = {**cast("JsonObject", found.get("spec") or {}), "suspend": suspends}
        if not suspends:
            del spec["suspend"]  # as Go leaves out what is false
        name = cast("str", cast("JsonObject", found["metadata"])["name"])
        return desk.kept[each.resource].replace(name, cast("GivenObject", {**found, "spec": spec}))

    return work


def _known(desk: Desk, asked: Asked, each: _Kept) -> Workflow:
    name = asked.path["name"]
    found = desk.kept[each.resource].get(name) if asked.here(desk) else None
    if found is None:
        raise not_here(each.resource, name)
    return found
