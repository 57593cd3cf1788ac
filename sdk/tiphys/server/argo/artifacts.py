"""The bytes of artifacts. They are found by what the Workflow says of its nodes, never by a path of the request.

Source: server/artifacts of Argo 4.1.2, with its headers: what is shown of an artifact may run nothing.
"""

from __future__ import annotations

import asyncio
import html
import mimetypes
import posixpath
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tiphys.server.answers import RequestError
from tiphys.server.argo.archive import archived
from tiphys.server.argo.asked import Answer, Asked, found_run
from tiphys.server.presigned import PRESIGNED
from tiphys.store.bucket import stored_key

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import Artifact, Workflow
    from tiphys.server.desk import Desk
    from tiphys.store import Store

__all__ = ["artifact_routes"]

_HEADERS = {
    "Content-Security-Policy": "sandbox; base-uri 'none'; default-src 'none'; img-src 'self'; "
    "style-src 'self' 'unsafe-inline'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
}
_SIDES = ("inputs", "outputs")
Which = Callable[["Desk", Asked], "Workflow"]


def artifact_routes(desk: Desk) -> list[Route]:
    """Downloads."""
    node = "{nodeId}/{artifactName:path}"
    files = (
        "/artifact-files/{namespace}/{idDiscriminator}/{id}/{nodeId}/{artifactDiscriminator}/{artifactName}"
    )
    return [
        Route(f"/artifacts/{{namespace}}/{{name}}/{node}", _one(desk, found_run, "outputs")),
        Route(f"/input-artifacts/{{namespace}}/{{name}}/{node}", _one(desk, found_run, "inputs")),
        Route(f"/artifacts-by-uid/{{uid}}/{node}", _one(desk, archived, "outputs")),
        Route(f"/input-artifacts-by-uid/{{uid}}/{node}", _one(desk, archived, "inputs")),
        Route(files, _file(desk)),
        Route(f"{files}/{{file:path}}", _file(desk)),
        Route(
            f"{PRESIGNED}{{namespace}}/{{name}}/{{nodeId}}/{{side}}/{{artifactName}}/{{file}}", _signed(desk)
        ),
    ]


def _one(desk: Desk, which: Which, side: str) -> Answer:
    async def answer(request: Request) -> Response:
        asked = Asked(request.path_params, request.query_params, {})

        return await asyncio.to_thread(_whole, desk, which, asked, side)

    return answer


def _whole(desk: Desk, which: Which, asked: Asked, side: str) -> Response:
    return _sent(desk.board.store, _artifact(which(desk, asked), asked, side), "")


def _signed(desk: Desk) -> Answer:
    """For who has an URL of :mod:`tiphys.server.presigned`, whose last part is the name of the file."""

    async def answer(request: Request) -> Response:
        desk.presigned.check(request)
        asked = Asked(request.path_params, request.query_params, {})
        return await asyncio.to_thread(_whole, desk, found_run, asked, asked.path["side"])

    return answer


def _file(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        path = request.path_params
        kind, side, file = path["idDiscriminator"], path["artifactDiscriminator"], path.get("file")
        if kind not in ("workflows", "archived-workflows") or side not in _SIDES:
            raise RequestError(400, "Bad Request")
        key = "name" if kind == "workflows" else "uid"
        asked = Asked({**path, key: path["id"]}, {}, {})

        def work() -> Response:
            found = found_run(desk, asked) if kind == "workflows" else archived(desk, asked)
            artifact, store = _artifact(found, asked, side), desk.board.store
            within = _below(store, artifact, file or "")
            if within and file is None:
                return RedirectResponse(f"{quote(request.url.path)}/", 307)
            if within:
                return _listing(within)
            return _sent(store, artifact, file or "")

        return await asyncio.to_thread(work)

    return answer


def _artifact(workflow: Workflow, asked: Asked, side: str) -> Artifact:
    node = ((workflow.get("status") or {}).get("nodes") or {}).get(asked.path["nodeId"])
    if node is None:
        raise RequestError(404, f"there is no node {asked.path['nodeId']!r}")
    place = node.get("inputs") if side == "inputs" else node.get("outputs")
    name = asked.path["artifactName"]
    for each in (place or {}).get("artifacts") or ():
        if each.get("name") == name:
            return each
    raise RequestError(404, f"the node has no artifact {name!r} in its {side}")


def _below(store: Store, artifact: Artifact, file: str) -> list[str]:
    """The names in a folder that was stored file by file; none for a file."""
    key = stored_key(artifact)
    if key is None or store.bucket.digest(posixpath.join(key, file) if file else key):
        return []
    prefix = posixpath.join(key, file).rstrip("/") + "/"
    names = {each.removeprefix(prefix).partition("/")[:2] for each in store.bucket.keys(prefix)}
    return sorted({name + slash for name, slash in names})


def _listing(names: list[str]) -> Response:
    lines = "".join(
        f'<li><a href="./{html.escape(quote(name))}">{html.escape(name)}</a></li>\n' for name in names
    )
    text = f'<html><body><ul>\n<li><a href="..">..</a></li>\n{lines}</ul></body></html>'
    return HTMLResponse(text, headers=_HEADERS)


def _sent(store: Store, artifact: Artifact, file: str) -> Response:
    raw = artifact.get("raw")
    if raw is not None and not file:
        return Response(str(raw.get("data") or ""), headers=_told(str(artifact.get("name"))))
    key = stored_key(artifact)
    if key is None:
        raise RequestError(404, f"the artifact {artifact.get('name')!r} is not in the store")
    key = posixpath.normpath(posixpath.join(key, file)) if file else key
    if file and not key.startswith(f"{stored_key(artifact)}/"):
        raise RequestError(404, "the artifact has no such file")
    digest = store.bucket.digest(key)
    path = store.artifacts.path(digest) if digest else None
    if path is None or not path.is_file():
        raise RequestError(404, f"the store has nothing under {key!r}")
    return FileResponse(path, headers=_told(posixpath.basename(key)))


def _told(name: str) -> dict[str, str]:
    guessed, packed = mimetypes.guess_type(name)
    kind = "application/gzip" if packed == "gzip" else guessed or "application/octet-stream"
    return {**_HEADERS, "Content-Type": kind, "Content-Disposition": f'filename="{quote(name)}"'}
