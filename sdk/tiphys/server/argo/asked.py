"""A request, taken apart, and its answer: what the operations of Argo Server's API have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.responses import JSONResponse, Response

from tiphys.server.answers import RequestError
from tiphys.server.bodies import json_of
from tiphys.server.creators import user_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.server.desk import Desk

__all__ = [
    "LATEST",
    "Answer",
    "Asked",
    "answered",
    "asked_of",
    "found_run",
    "known_run",
    "not_here",
    "pairs_of",
]

Answer = Callable[["Request"], Awaitable[Response]]
_API = "argoproj.io/v1alpha1"
LATEST = "@latest"


@dataclass(frozen=True)
class Asked:
    """``path``: parameters of the path; ``body``: empty where none came; ``who``: the user that asks, if he has a
    name."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: JsonObject
    who: str = ""

    @property
    def namespace(self) -> str:
        """Empty for all."""
        return self.path.get("namespace", "") or self.query.get("namespace", "")

    def here(self, desk: Desk) -> bool:
        """Whether the namespace that is asked for is the store's, or all."""
        return self.namespace in ("", desk.board.namespace)

    def only_here(self, desk: Desk) -> None:
        """Raises RequestError 404 for a namespace that the store does not have."""
        if not self.here(desk):
            raise RequestError(404, f'namespaces "{self.namespace}" not found')

    def options(self) -> dict[str, str]:
        """``listOptions`` as Kubernetes has them in its queries."""
        prefix = "listOptions."
        return {
            key.removeprefix(prefix): value for key, value in self.query.items() if key.startswith(prefix)
        }

    def text(self, key: str) -> str:
        """Text of the body; empty where it is not there."""
        return str(self.body.get(key) or "")

    def flag(self, key: str) -> bool:
        """Yes or no of the body."""
        return self.body.get(key) in (True, "true")

    def parameters(self) -> dict[str, str]:
        """The ``NAME=VALUE`` of the body. Raises RequestError 400 for what is none."""
        return dict(pairs_of(self.body.get("parameters")))

    def given(self, key: str, kind: str) -> GivenObject:
        """The object below ``key``. Raises RequestError 400 where there is none of that kind."""
        found = self.body.get(key)
        if not isinstance(found, dict) or not isinstance(found.get("metadata") or {}, dict):
            raise RequestError(400, f"{key}: the body has none")
        if found.get("kind") not in (None, "", kind):
            raise RequestError(400, f"{key}: it is a {found['kind']}, and not a {kind}")
        told = cast("JsonObject", found.get("metadata") or {})
        metadata = {key: value for key, value in told.items() if value is not None}
        return cast("GivenObject", {**found, "kind": kind, "apiVersion": _API, "metadata": metadata})

    def dry(self) -> bool:
        """Whether nothing is to be kept, nor sent to the API server: what comes back has no uid."""
        options = self.body.get("createOptions")
        return bool(options.get("dryRun") if isinstance(options, dict) else None)


def pairs_of(given: Json) -> list[tuple[str, str]]:
    """``["a=1"]`` as ``[("a", "1")]``. Raises RequestError 400."""
    found = []
    for each in given if isinstance(given, list) else []:
        name, equals, value = str(each).partition("=")
        if not equals:
            raise RequestError(400, f"expected parameter of the form: NAME=VALUE. Received: {each}")
        found.append((name, value))
    return found


def answered(work: Callable[[Desk, Asked], object], desk: Desk) -> Answer:
    """Who answers with what ``work`` returns; it is called in a thread, and may raise what the application tells."""

    async def answer(request: Request) -> Response:
        asked = await asked_of(request)
        return JSONResponse(await asyncio.to_thread(work, desk, asked))

    return answer


async def asked_of(request: Request) -> Asked:
    """Raises RequestError 400 for a body that is no object, 413 for one that is too long."""
    sent = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    body = await json_of(request) if sent and request.method not in ("GET", "DELETE") else {}
    return Asked(request.path_params, request.query_params, body, user_of(request))


def not_here(resource: str, name: str) -> RequestError:
    """That there is no such object, as Kubernetes says it."""
    return RequestError(404, f'{resource}.argoproj.io "{name}" not found')


def found_run(desk: Desk, asked: Asked, *, uid: str = "") -> Workflow:
    """The Workflow that is asked for: by its name, ``@latest`` for the newest, else by ``uid``. Raises RequestError
    404."""
    name = asked.path.get("name", "")
    if not asked.here(desk):
        raise not_here("workflows", name or uid)
    if name == LATEST:
        name = desk.board.newest()
        if not name:
            raise RequestError(404, "no workflows found")
    found = desk.board.get(name) if name else None
    if uid and (found is None or found["metadata"].get("uid") != uid):
        known = (each["metadata"] for each in desk.board.briefs()[1])
        name = next((each["name"] for each in known if each.get("uid") == uid), "")
        found = desk.board.get(name) if name else None
    if found is None:
        raise not_here("workflows", asked.path.get("name", "") or uid)
    return found


def known_run(desk: Desk, asked: Asked, uid: str = "") -> Workflow:
    """As :func:`found_run`, also one that is in the archive alone."""
    try:
        return found_run(desk, asked, uid=uid)
    except RequestError as error:
        name = asked.path.get("name", "")
        found = desk.archive.get(uid=uid, name=name) if asked.here(desk) and (uid or name) else None
        if error.number != 404 or found is None:
            raise
        return found
