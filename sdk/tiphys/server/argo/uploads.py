"""Files that are sent before a run is submitted: arguments of a WorkflowTemplate, in the place of its own.

Source: UploadInputArtifact and ValidateUploadedArtifactKey of Argo 4.1.2. What was sent lies in the store under
``uploads/NAMESPACE/UUID/FILE``; a submission names it by that key.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tiphys.argo.artifacts import with_key
from tiphys.pages.html import size
from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Answer, Asked, not_here, pairs_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import Artifact
    from tiphys.jsontypes import Json
    from tiphys.server.desk import Desk
    from tiphys.store import Store

__all__ = ["MOST", "given_artifacts", "upload_routes"]

MOST = 1 << 30
"""Bytes of an upload, as Argo Server takes them (ARGO_SERVER_MAX_ARTIFACT_UPLOAD_BYTES)."""
_TEMPLATES = "workflowtemplates"
_KEY = re.compile(r"uploads/([^/]+)/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/(?!\.{1,2}\Z)[^/]+")


def upload_routes(desk: Desk) -> list[Route]:
    """The one path."""
    path = "/upload-artifacts/{namespace}/{template}/{artifactName:path}"
    return [Route(path, _upload(desk), methods=["POST"])]


def _upload(desk: Desk) -> Answer:
    async def answer(request: Request) -> Response:
        asked = Asked(request.path_params, request.query_params, {})
        asked.only_here(desk)
        template, name = asked.path["template"], asked.path["artifactName"]
        if name not in _declared(desk, template):
            raise RequestError(
                404, f"Artifact '{name}' not found in WorkflowTemplate {template} arguments.artifacts"
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "upload"
            called = await _received(request, path)
            key = f"uploads/{desk.board.namespace}/{uuid.uuid4()}/{called}"
            await asyncio.to_thread(_keep, desk.board.store, path, key)
        return JSONResponse({"name": name, "key": key})

    return answer


async def _received(request: Request, path: Path) -> str:
    """Write the field ``file`` of a form to ``path``; what the file is called. Raises RequestError 400 without one,
    413 for one that is too large."""

    async def limited() -> AsyncGenerator[bytes, None]:
        count = 0
        async for part in request.stream():
            count += len(part)
            if count > MOST:
                raise RequestError(413, f"the upload has more than {size(MOST)}")
            yield part

    try:
        form = await MultiPartParser(request.headers, limited(), max_files=1, max_fields=8).parse()
    except MultiPartException as error:
        raise RequestError(400, f"Failed to parse multipart form: {error.message}") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestError(400, "Failed to get file from form: http: no such file")
        called = (file.filename or "").replace("\\", "/").rpartition("/")[2]
        if called in ("", ".", ".."):
            raise RequestError(400, "Invalid filename")
        with path.open("wb") as stream:
            await asyncio.to_thread(shutil.copyfileobj, file.file, stream)
    finally:
        await form.close()
    return called


def _keep(store: Store, path: Path, key: str) -> None:
    stored = store.artifacts.put(path, "none")
    store.bucket.put(key, stored.digest, stored.size)


def given_artifacts(desk: Desk, resource: str, name: str, given: Json) -> list[Json]:
    """The arguments that ``submitOptions.artifacts`` (``NAME=KEY``) makes of a template's own. Raises RequestError 400
    for what the template does not declare, and for a key under which nothing was uploaded."""
    pairs = pairs_of(given)
    if not pairs:
        return []
    if resource != _TEMPLATES:
        raise RequestError(400, "submitOptions.artifacts: only a WorkflowTemplate takes uploads")
    declared = _declared(desk, name)
    found: list[Json] = []
    for artifact, key in pairs:
        if artifact not in declared:
            raise RequestError(400, f"artifact '{artifact}' not found in the template's arguments")
        match = _KEY.fullmatch(key)
        if match is None or match[1] != desk.board.namespace or not desk.board.store.bucket.digest(key):
            raise RequestError(
                400, f"invalid artifact key override for {artifact}: nothing was uploaded as {key!r}"
            )
        found.append(with_key(declared[artifact], key))
    return found


def _declared(desk: Desk, template: str) -> dict[str, Artifact]:
    """The artifacts among the arguments of a template. Raises RequestError 404."""
    kept = desk.kept[_TEMPLATES].get(template)
    if kept is None:
        raise not_here(_TEMPLATES, template)
    arguments = (kept.get("spec") or {}).get("arguments") or {}
    return {each["name"]: each for each in arguments.get("artifacts") or ()}
