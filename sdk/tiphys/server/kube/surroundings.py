"""What clients of a cluster ask beside Argo's objects: versions and groups, the namespace, the controller's settings,
whether they may, and with which token."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tiphys.server.answers import RequestError
from tiphys.server.bodies import body_of
from tiphys.server.kube import discovery, openapi

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.jsontypes import JsonObject
    from tiphys.server.desk import Desk

__all__ = ["surroundings"]

Answer = Callable[["Request"], Awaitable[Response]]
_CORE, _ARGO = "/api/v1", "argoproj.io/v1alpha1"
_SETTINGS = "workflow-controller-configmap"
_TOKEN = ".service-account-token"  # the end of the name by which Argo knows the Secret of a service account


def surroundings(desk: Desk) -> list[Route]:
    """The paths, and who answers."""
    inside = f"{_CORE}/namespaces/{{namespace}}"
    return [
        Route("/version", _fixed(discovery.version())),
        Route("/api", _fixed(discovery.api_versions())),
        Route("/apis", _fixed(discovery.api_groups())),
        Route("/apis/argoproj.io", _fixed(discovery.group())),
        Route(_CORE, _fixed(discovery.resources("v1", discovery.CORE))),
        Route(f"/apis/{_ARGO}", _fixed(discovery.resources(_ARGO, discovery.ARGO))),
        Route("/openapi/v3", _fixed(openapi.paths())),
        *(Route(f"/openapi/v3/{path}", _fixed(openapi.document(path))) for path in openapi.PATHS),
        Route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _review, methods=["POST"]),
        Route(f"{_CORE}/namespaces", _namespaces(desk)),
        Route(inside, _namespace(desk)),
        Route(f"{inside}/configmaps/{_SETTINGS}", _settings, methods=["GET"]),
        Route(f"{inside}/secrets/{{name}}", _secret),
    ]


def _fixed(answer: JsonObject) -> Answer:
    async def fixed(request: Request) -> Response:
        return JSONResponse(answer)

    return fixed


async def _review(request: Request) -> Response:
    """Whoever has the token may do everything; clients ask in protobuf, and take JSON for an answer."""
    await body_of(request)
    return JSONResponse(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {},
            "status": {"allowed": True},
        },
        status_code=201,
    )


def _namespaces(desk: Desk) -> Answer:
    async def namespaces(request: Request) -> Response:
        item = _of_namespace(desk.board.namespace)
        return JSONResponse({"apiVersion": "v1", "kind": "NamespaceList", "metadata": {}, "items": [item]})

    return namespaces


def _namespace(desk: Desk) -> Answer:
    async def namespace(request: Request) -> Response:
        name = request.path_params["namespace"]
        if name != desk.board.namespace:
            raise RequestError(404, f'namespaces "{name}" not found')
        return JSONResponse(_of_namespace(name))

    return namespace


def _of_namespace(name: str) -> JsonObject:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "status": {"phase": "Active"},
    }


async def _settings(request: Request) -> Response:
    """``argo server`` asks for the controller's settings, and takes their absence for an error."""
    metadata = {"name": _SETTINGS, "namespace": request.path_params["namespace"]}
    return JSONResponse({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}})


async def _secret(request: Request) -> Response:
    """The token of a service account, whichever: it is the one with which this request came, so nobody learns another.
    Programs that are written for a cluster look it up before they speak to Argo Server."""
    name = request.path_params["name"]
    if not name.endswith(_TOKEN):
        raise RequestError(404, f'secrets "{name}" not found')
    token = request.headers.get("authorization", "").partition(" ")[2].strip()
    return JSONResponse(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {"name": name, "namespace": request.path_params["namespace"]},
            "data": {"token": base64.b64encode(token.encode()).decode()},
        }
    )
