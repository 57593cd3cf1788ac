"""Codes of gRPC and numbers of HTTP, as grpc-gateway pairs them."""

from __future__ import annotations

import pytest

grpc = pytest.importorskip("grpc")

from tiphys.server.argo.refusals import is_argos, refused  # noqa: E402


@pytest.mark.parametrize(
    ("number", "name", "shown"),
    [
        (400, "INVALID_ARGUMENT", 400),
        (401, "UNAUTHENTICATED", 401),
        (403, "PERMISSION_DENIED", 403),
        (404, "NOT_FOUND", 404),
        (405, "UNIMPLEMENTED", 501),
        (409, "ALREADY_EXISTS", 409),
        (422, "INVALID_ARGUMENT", 400),
        (500, "INTERNAL", 500),
        (501, "UNIMPLEMENTED", 501),
        (507, "INTERNAL", 500),
    ],
)
def test_a_number_has_the_code_that_grpc_has_for_it(number: int, name: str, shown: int) -> None:
    got, body = refused(number, "x")
    assert (got, body["code"]) == (shown, getattr(grpc.StatusCode, name).value[0])


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/events",
        "/api/v1/namespaces/argo/pods",
        "/api/v1",
        "/apis",
        "/version",
        "/api/v1/pods",
        "/api/v1/infos",
    ],
)
def test_paths_of_kubernetes_are_no_paths_of_argo(path: str) -> None:
    assert not is_argos(path)
