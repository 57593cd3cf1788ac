"""What the server says of itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tiphys import _version as _own
from tiphys._version import __version__
from tiphys.argo.time import rfc3339
from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Asked, answered

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["info_routes"]

_ARGO = "v4.1.2"  # whose behaviour the answers have


def info_routes(desk: Desk) -> list[Route]:
    """Info, version, who asks, and what the page of Argo tells of its use, which nobody keeps."""
    return [
        Route("/api/v1/info", answered(_info, desk), methods=["GET"]),
        Route("/api/v1/userinfo", answered(_user, desk), methods=["GET"]),
        Route("/api/v1/version", _version, methods=["GET"]),
        *(Route(f"/oauth2/{end}", _no_sso, methods=["GET"]) for end in ("redirect", "callback")),
        Route("/api/v1/tracking/event", answered(lambda desk, asked: {}, desk), methods=["POST"]),
    ]


async def _version(request: Request) -> Response:
    told: JsonObject = {
        "version": _ARGO,
        "buildDate": rfc3339(_built()),
        "gitCommit": "",
        "gitTag": _ARGO,
        "gitTreeState": "clean",
        "goVersion": "",
        "compiler": f"tiphys {__version__}",
        "platform": "local",
    }
    return JSONResponse(told, headers={"Grpc-Metadata-Argo-Version": _ARGO})


async def _no_sso(request: Request) -> Response:
    """As Argo Server where nobody has configured it."""
    raise RequestError(501, "this server has no single sign-on: clients have its token")


def _built() -> float:
    """When what runs was made, as far as its files say."""
    return os.stat(_own.__file__).st_mtime


def _info(desk: Desk, asked: Asked) -> JsonObject:
    # the page of Argo covers a first visit with these dialogues
    modals: JsonObject = {"feedback": False, "firstTimeUser": False, "newVersion": False}
    return {
        "managedNamespace": desk.board.namespace,
        "links": [],
        "columns": [],
        "modals": modals,
        "navColor": "",
    }


def _user(desk: Desk, asked: Asked) -> JsonObject:
    """Whoever has the server's own token has no name."""
    return {"subject": asked.who, "issuer": "tiphys", "groups": []}
