"""The Kubernetes API as far as Argo's tools use it: Workflows and templates, the pods of runs, and their logs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tiphys.argo.jsonpatch import merge_patch
from tiphys.server.answers import RequestError
from tiphys.server.bodies import body_of, json_in, json_of, until_gone
from tiphys.server.collections import Empty, Watch, listed_text, selection, watched
from tiphys.server.differences import wanted
from tiphys.server.kube import discovery
from tiphys.server.kube.config_maps import MAGIC, config_map_of
from tiphys.server.kube.surroundings import Answer, surroundings
from tiphys.server.logs import pod_log
from tiphys.server.objects import ARGO
from tiphys.server.pods import MAIN, POD_LABEL, PodCollection, containers_of
from tiphys.server.verbs import carry_out

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.collections import Collection
    from tiphys.server.desk import Desk
    from tiphys.server.objects import KeptObjects

__all__ = ["routes"]

_WORKFLOWS = "workflows.argoproj.io"
_APPLY = "application/apply-patch"
_ARGOS = ("init", "wait")  # containers of Argo's executor, which is not there


def routes(desk: Desk) -> list[Route]:
    """The paths, and who answers."""
    group, core = _base(ARGO), _base("v1")
    kept = desk.kept.values()
    found = surroundings(desk)
    gone: dict[str, Callable[[str], object]] = {
        "workflows": desk.delete,
        **{each.resource: partial(desk.discard, each) for each in kept},
    }
    collections: list[tuple[str, str, str, Collection, bool]] = [
        (core, "pods", "Pod", PodCollection(desk.board), True),
        (core, "events", "Event", desk.events, True),
        (group, "workflows", "Workflow", desk.board, True),
        *(
            (group if each in discovery.ARGO else core, each.name, each.kind, Empty(desk.board), True)
            for each in discovery.ABSENT
        ),
        *((_base(each.api), each.resource, each.kind, each, each.namespaced) for each in kept),
    ]
    for base, name, kind, collection, namespaced in collections:
        version = base.removeprefix("/apis/").removeprefix("/api/")
        every = _collection(desk, collection, kind, version)
        one = _one(desk, collection, name if base == core else f"{name}.argoproj.io")
        inside = _inside(base, name, namespaced=namespaced)
        if namespaced:
            found.append(Route(f"{base}/{name}", every, methods=["GET"]))
        found.append(Route(inside, every, methods=["GET"]))
        found.append(Route(f"{inside}/{{name}}", one, methods=["GET"]))
        if name == "events":
            continue  # they go with their runs
        all_gone = _delete_all(desk, collection, gone.get(name, lambda name: None))
        found.append(Route(inside, all_gone, methods=["DELETE"]))
    inside = _inside(group, "workflows")
    pod = f"{_inside(core, 'pods')}/{{name}}"
    found += [
        Route(inside, _create(desk), methods=["POST"]),
        Route(f"{inside}/{{name}}", _change(desk), methods=["PUT", "PATCH"]),
        Route(f"{inside}/{{name}}", _delete(desk), methods=["DELETE"]),
        Route(pod, _pod(desk), methods=["DELETE", "PATCH"]),
        Route(f"{pod}/log", _log(desk), methods=["GET"]),
    ]
    for each in kept:
        inside = _inside(_base(each.api), each.resource, namespaced=each.namespaced)
        found += [
            Route(inside, _keep(desk, each), methods=["POST"]),
            Route(f"{inside}/{{name}}", _replace(desk, each), methods=["PUT", "PATCH"]),
            Route(f"{inside}/{{name}}", _discard(desk, each), methods=["DELETE"]),
        ]
    return found


def _base(api: str) -> str:
    """Where the resources of a version are."""
    return f"/apis/{api}" if "/" in api else f"/api/{api}"


def _inside(base: str, name: str, *, namespaced: bool = True) -> str:
    """Where the objects of a resource are."""
    return f"{base}/namespaces/{{namespace}}/{name}" if namespaced else f"{base}/{name}"


# -- what is in the store -------------------------------------------------------------------------------------------


def _here(desk: Desk, request: Request) -> bool:
    """Whether the namespace that is asked for is the store's, or all."""
    return bool(request.path_params.get("namespace", desk.board.namespace) == desk.board.namespace)


def _collection(desk: Desk, collection: Collection, kind: str, version: str) -> Answer:
    async def answer(request: Request) -> Response:
        query, here, asked = request.query_params, _here(desk, request), collection
        if isinstance(asked, PodCollection):
            asked = asked.within(query)
        if query.get("watch") in ("true", "1"):
            watch = Watch.of(query, kind, version)
            if isinstance(
                asked, PodCollection
            ):  # `argo logs -f` wants to have heard of a pod when its workflow has ended
                watch.breath = 0.0
            lines = until_gone(request, watched(asked, watch, here=here))
            return StreamingResponse(lines, media_type="application/json")

        def page() -> Response:  # a long list is made beside the others' answers, too
            text = listed_text(asked, query, kind, version, here=here)
            return Response(text, media_type="application/json")

        return await asyncio.to_thread(page)

    return answer


def _one(desk: Desk, collection: Collection, called: str) -> Answer:
    async def answer(request: Request) -> Response:
        found = await asyncio.to_thread(_known, desk, collection, called, request)
        return JSONResponse(desk.presigned.located(found, request) if collection is desk.board else found)

    return answer


def _known(desk: Desk, collection: Collection, called: str, request: Request) -> Workflow:
    name = request.path_params["name"]
    found = collection.get(name) if _here(desk, request) else None
    if found is None:
        raise RequestError(404, f'{called} "{name}" not found')
    return found


def _create(desk: Desk) -> Answer:
    async def create(request: Request) -> Response:
        _only_here(desk, request)
        given = await _object_of(request, "Workflow")
        dry = _is_dry(request)
        made = await asyncio.to_thread(desk.create, given, dry=dry)
        return JSONResponse(made, status_code=201)

    return create


def _change(desk: Desk) -> Answer:
    create = _create(desk)

    async def change(request: Request) -> Response:
        _only_here(desk, request)
        if _applies(request) and desk.board.get(request.path_params["name"]) is None:
            return await create(request)
        before = await asyncio.to_thread(_known, desk, desk.board, _WORKFLOWS, request)
        given = await _object_of(request, "Workflow")
        after = cast("Workflow", given) if request.method == "PUT" else _merged(before, given)
        version = (given.get("metadata") or {}).get("resourceVersion")
        name = request.path_params["name"]
        if version and version != before["metadata"].get("resourceVersion"):
            raise RequestError(
                409,
                f'Operation cannot be fulfilled on workflows.argoproj.io "{name}": the object has been modified; '
                "please apply your changes to the latest version and try again",
            )
        asked = wanted(before, after)
        if not _is_dry(request):
            await asyncio.to_thread(carry_out, asked, name, desk.runs, desk.submissions)
            await asyncio.to_thread(desk.board.look, name)  # one that is retried had ended
        now = await asyncio.to_thread(_known, desk, desk.board, _WORKFLOWS, request)
        # as it was written: what the engine makes of it comes with the next change
        return JSONResponse({**after, "metadata": now["metadata"]})

    return change


def _delete(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        before = await asyncio.to_thread(_known, desk, desk.board, _WORKFLOWS, request)
        await body_of(request)
        if not _is_dry(request):
            await asyncio.to_thread(desk.delete, request.path_params["name"])
            await asyncio.to_thread(desk.board.look)
        return JSONResponse(before)

    return answer


def _delete_all(desk: Desk, collection: Collection, discard: Callable[[str], object]) -> Answer:
    """Those that are selected. Kinds that a store does not have are gone already, and pods go with their runs."""

    def work(request: Request) -> int:
        if not _here(desk, request):
            return 0
        chosen = selection(request.query_params)
        names = [each["metadata"]["name"] for each in collection.briefs()[1] if chosen.holds(each)]
        if not _is_dry(request):
            for name in names:
                discard(name)
            desk.board.look()
        return len(names)

    async def answer(request: Request) -> Response:
        await body_of(request)
        number = await asyncio.to_thread(work, request)
        return JSONResponse(
            {"apiVersion": "v1", "kind": "Status", "status": "Success", "message": f"{number} deleted"}
        )

    return answer


def _pod(desk: Desk) -> Answer:
    """What clients do to pods before they write the Workflow, or delete it: ``argo retry`` deletes those that failed,
    and finalizers are taken off. Here the engine clears them away."""

    async def answer(request: Request) -> Response:
        if request.method == "PATCH":
            patch = await json_of(request)
            metadata = patch.pop("metadata", {})
            if patch or not isinstance(metadata, dict) or metadata.keys() - {"finalizers"}:
                raise RequestError(422, "a pod is what its node says: nothing of it can be changed")
        else:
            await body_of(request)
        return JSONResponse(await asyncio.to_thread(_known, desk, PodCollection(desk.board), "pods", request))

    return answer


def _log(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        query = request.query_params
        pod = await asyncio.to_thread(_known, desk, PodCollection(desk.board), "pods", request)
        container = query.get("container") or MAIN
        if container in _ARGOS:
            return PlainTextResponse("")
        if container not in containers_of(pod):
            name = pod["metadata"]["name"]
            raise RequestError(400, f"container {container[:200]} is not valid for pod {name}")
        lines = pod_log(
            desk.board,
            pod["metadata"]["labels"][POD_LABEL],
            pod["metadata"]["annotations"]["workflows.argoproj.io/node-id"],
            follow=query.get("follow") in ("true", "1"),
            tail=int(query["tailLines"]) if query.get("tailLines", "").isdigit() else None,
            times=query.get("timestamps") in ("true", "1"),
            container=container,
        )
        return StreamingResponse(until_gone(request, lines), media_type="text/plain; charset=utf-8")

    return answer


# -- templates ------------------------------------------------------------------------------------------------------


def _keep(desk: Desk, kept: KeptObjects) -> Answer:
    async def answer(request: Request) -> Response:
        given = await _object_of(request, kept.kind, kept.api)
        made = await asyncio.to_thread(desk.keep, kept, given, dry=_is_dry(request))
        return JSONResponse(made, status_code=201)

    return answer


def _replace(desk: Desk, kept: KeptObjects) -> Answer:
    create = _keep(desk, kept)

    async def answer(request: Request) -> Response:
        name = request.path_params["name"]
        if _applies(request) and kept.get(name) is None:
            return await create(request)
        before = _known(desk, kept, kept.called, request)
        given = await _object_of(request, kept.kind, kept.api)
        if request.method == "PATCH":
            given = cast("GivenObject", _merged(before, given))
        made = await asyncio.to_thread(desk.replace, kept, name, given, dry=_is_dry(request))
        return JSONResponse(made)

    return answer


def _discard(desk: Desk, kept: KeptObjects) -> Answer:
    async def answer(request: Request) -> Response:
        orphan = await _orphans(request)
        name = request.path_params["name"]
        before = _known(desk, kept, kept.called, request)
        if not _is_dry(request):
            before = await asyncio.to_thread(desk.discard, kept, name, orphan=orphan)
        return JSONResponse(before)

    return answer


async def _orphans(request: Request) -> bool:
    """Whether a deletion leaves what belongs to the object: its DeleteOptions are the query or, in JSON, the body."""
    options: JsonObject = dict(request.query_params)
    sent = request.headers.get("content-length", "0") != "0"
    if sent and "protobuf" not in request.headers.get("content-type", ""):
        options |= await json_of(request)
    else:
        await body_of(request)
    return options.get("propagationPolicy") == "Orphan" or options.get("orphanDependents") in (True, "true")


# -- what is sent ---------------------------------------------------------------------------------------------------


def _only_here(desk: Desk, request: Request) -> None:
    if not _here(desk, request):
        raise RequestError(404, f'namespaces "{request.path_params["namespace"]}" not found')


def _merged(before: Workflow, patch: GivenObject) -> Workflow:
    """An object with what a patch (RFC 7386) changes."""
    return cast("Workflow", merge_patch(cast("JsonObject", before), cast("JsonObject", patch)))


def _is_dry(request: Request) -> bool:
    return "All" in request.query_params.getlist("dryRun")


def _applies(request: Request) -> bool:
    """Whether it is a server-side apply, which creates what is not there; clients send it as JSON, which is YAML."""
    return request.method == "PATCH" and request.headers.get("content-type", "").startswith(_APPLY)


async def _object_of(request: Request, kind: str, api: str = ARGO) -> GivenObject:
    """The object that was sent. Raises RequestError 400."""
    body = await body_of(request)
    if kind == "ConfigMap" and body.startswith(MAGIC):
        return config_map_of(body)
    found = json_in(body)
    if not isinstance(found.get("metadata") or {}, dict):
        raise RequestError(400, "the body is no object")
    whole = request.method != "PATCH" or _applies(request)
    if whole and found.get("kind", kind) != kind:
        raise RequestError(400, f"the body is a {found.get('kind')}, and not a {kind}")
    if whole:
        found.setdefault("kind", kind)
        found.setdefault("apiVersion", api)
    return cast("GivenObject", found)
