"""Who may ask. The API runs programs, so a port that is open to this machine alone is open to each of its users, and,
by a request that a page of the web sends, to every page.

A token is needed on the loopback, too; it is in a kubeconfig that only the owner of the store can read. ``Host`` must
be an address that the server has, no request may come from a page (they have an ``Origin``), and what is written comes
as JSON, which a page cannot send without asking first; it is never allowed to. Below ``/ui`` are pages of our own:
:mod:`tiphys.server.page.doors` says who may see those.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from tiphys.net.message import bearer_token
from tiphys.reference import contents
from tiphys.server.answers import RequestError
from tiphys.server.users import ServerUser, ServerUsers
from tiphys.store.files import clear, replacing, write_json

__all__ = ["Access", "kubeconfig", "token_of"]

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_JSON = (
    "",  # as Kubernetes' own Python client sends what it creates
    "application/json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
)
_COOKIE = "authorization"
_UPLOADS, _FORM = "/upload-artifacts/", "multipart/form-data"


@dataclass(frozen=True)
class Access:
    """Who may ask, and the names (without port) under which the server may be asked."""

    users: ServerUsers
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1", "[::1]"})

    def check(self, method: str, headers: Mapping[str, str], path: str = "") -> ServerUser:
        """Who asks. Raises RequestError: 403 for another ``Host`` or any ``Origin``, 401 without a token, 415 for a
        body that is no JSON (of an upload: no form). ``headers`` have names in lower case."""
        self.check_host(headers)
        if "origin" in headers:
            raise RequestError(403, "a page of the web may not ask this server")
        user = next(
            (user for each in _given(method, headers) if (user := self.users.who(each)) is not None), None
        )
        if user is None:
            raise RequestError(401, "Unauthorized: the token of this server is in its kubeconfig")
        body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        sent = headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted, name = ((_FORM,), _FORM) if path.startswith(_UPLOADS) else (_JSON, "application/json")
        if method in _WRITES and body and sent not in wanted:
            raise RequestError(415, f"the body is {sent[:100]}, and not {name}")
        return user

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Raises RequestError 403 for another ``Host``."""
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in self.hosts:
            raise RequestError(403, f"this server is not {name[:200]!r}")


def _given(method: str, headers: Mapping[str, str]) -> list[str]:
    """The tokens of a request: in ``Authorization``; to read also those of Argo's cookie, of which a browser may send
    several (one of another domain among them). A cookie comes with what any page sends, so it changes nothing."""
    told = [headers["authorization"]] if "authorization" in headers else []
    if not told and method not in _WRITES:
        pairs = (each.strip().partition("=") for each in headers.get("cookie", "").split(";"))
        told = [unquote(value).strip('"') for name, _, value in pairs if name == _COOKIE]
    return [token for each in told if (token := bearer_token(each))]


def token_of(folder: Path) -> str:
    """The token of the server that has its things in ``folder``; made with the first. Only its owner can read it."""
    path = folder / "token"
    with clear(folder, "make"):
        folder.mkdir(parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
    if path.is_file() and (known := contents(path).decode().strip()):
        return known
    made = secrets.token_urlsafe(32)
    with replacing(path, private=True) as stream:
        stream.write(f"{made}\n".encode())
    return made


def kubeconfig(folder: Path, url: str, token: str, namespace: str, *, ca: bytes = b"") -> Path:
    """Write a kubeconfig that leads to the server, and return its path; ``ca``: its certificate, in PEM. It is in the
    file itself, which may be copied: out of a container, or to another machine."""
    cluster = {"server": url}
    if ca:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tiphys",
        "clusters": [{"name": "tiphys", "cluster": cluster}],
        "users": [{"name": "tiphys", "user": {"token": token}}],
        "contexts": [
            {"name": "tiphys", "context": {"cluster": "tiphys", "user": "tiphys", "namespace": namespace}}
        ],
    }
    path = folder / "kubeconfig"  # JSON is YAML
    write_json(path, content, private=True)
    return path
