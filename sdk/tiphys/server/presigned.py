"""Artifacts for a user's own ``argo server``: it fetches them from where a Workflow says that they are, and has no
repository. To it a Workflow says that they are here, by URLs that are good for an hour without a token, as those of S3
are (presigned): one that is copied out of its page opens that artifact alone.
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import secrets
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from tiphys.server.answers import RequestError
from tiphys.store.bucket import stored_key

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import Artifact, Node, Workflow

__all__ = ["PRESIGNED", "Presigned"]

PRESIGNED = "/presigned/"
"""Where they are: whoever asks there needs a signature, and no token."""

_HOUR = 3600
_ARGO_SERVER = "argo-server"  # in what it calls itself


class Presigned:
    """What signs, for as long as the server lives. ``now`` gives the time, in seconds since the epoch."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._secret, self._now = secrets.token_bytes(32), now

    def located(self, workflow: Workflow, request: Request) -> Workflow:
        """A Workflow as it is told: to an ``argo server`` with where its artifacts are."""
        nodes = (workflow.get("status") or {}).get("nodes")
        if not nodes or _ARGO_SERVER not in request.headers.get("user-agent", ""):
            return workflow
        base, name = str(request.base_url).rstrip("/"), workflow["metadata"]["name"]
        place = f"{PRESIGNED}{quote(workflow['metadata']['namespace'])}/{quote(name)}"
        told = {key: self._node(node, base, f"{place}/{quote(key)}") for key, node in nodes.items()}
        return {**workflow, "status": {**workflow["status"], "nodes": told}}

    def _node(self, node: Node, base: str, place: str) -> Node:
        found = dict(node)
        for side in ("inputs", "outputs"):
            sides = cast("Mapping[str, object]", found.get(side) or {})
            artifacts = cast("list[Artifact]", sides.get("artifacts") or [])
            if artifacts:
                told = [self._artifact(each, base, f"{place}/{side}") for each in artifacts]
                found[side] = {**sides, "artifacts": told}
        return cast("Node", found)

    def _artifact(self, artifact: Artifact, base: str, place: str) -> Artifact:
        key = stored_key(artifact)
        if key is None:
            return artifact
        path = f"{place}/{quote(artifact['name'])}/{quote(posixpath.basename(key))}"
        until = int(self._now()) + _HOUR
        url = f"{base}{path}?until={until}&signature={self._sign(path, until)}"
        kept = {each: value for each, value in artifact.items() if each != "s3"}
        return cast("Artifact", {**kept, "http": {"url": url}})

    def _sign(self, path: str, until: int) -> str:
        return hmac.digest(self._secret, f"{until} {path}".encode(), hashlib.sha256).hex()

    def check(self, request: Request) -> None:
        """Raises RequestError 403 for an URL that nobody signed, or an hour ago."""
        until, path = request.query_params.get("until", ""), quote(request.url.path, safe="/%")
        given = request.query_params.get("signature", "")
        right = until.isdecimal() and len(until) < 20 and self._sign(path, int(until))
        if not right or not hmac.compare_digest(given.encode(), right.encode()) or int(until) < self._now():
            raise RequestError(403, "this link is not good, or not any more")
