"""Calls against a server that fails in every way."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.records.export.mlflow_server import Server
from tiphys.errors import RefusedError, StoreError
from tiphys.records.export.rest import Rest, Unsure

GET, CREATE = "api/2.0/mlflow/experiments/get-by-name", "api/2.0/mlflow/experiments/create"


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    made.fake.experiments_create("x")
    yield made
    made.close()


def rest(server: Server, pauses: list[float] | None = None, **options: object) -> Rest:
    return Rest(server.uri, sleep=[].append if pauses is None else pauses.append, **options)  # type: ignore[arg-type]


def asked(api: Rest) -> object:
    return api.get(GET, experiment_name="x")


@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "504"])
def test_tried_again_with_longer_pauses(server: Server, fault: str) -> None:
    server.fault = lambda number, path: fault if number < 5 else ""
    pauses: list[float] = []
    assert "experiment" in asked(rest(server, pauses))  # type: ignore[operator]
    assert len(pauses) == 4 and pauses == sorted(pauses) and 0.1 < pauses[0] < 0.5 and 1 < pauses[3] < 4


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_connection_that_breaks(server: Server, fault: str) -> None:
    api = rest(server)
    asked(api)
    server.fault = lambda number, path: fault if number < 4 else ""
    asked(api)
    with pytest.raises(Unsure):
        server.fault = lambda number, path: fault
        api.post(CREATE, {"name": "y"}, once=True)
    assert [each["name"] for each in server.fake.experiments.values()] == ["x"] + ["y"] * (fault == "after")


def test_in_the_end_it_is_one_error(server: Server) -> None:
    server.fault = lambda number, path: "503"
    with pytest.raises(StoreError) as raised:
        asked(rest(server))
    assert raised.value.code == "TIP434" and "HTTP 503" in raised.value.cause and "--uri" in raised.value.fix
    assert len(server.seen) == 6


@pytest.mark.parametrize(("status", "words"), [("401", "--token-env"), ("403", "right")])
def test_a_refusal_is_not_tried_again(server: Server, status: str, words: str) -> None:
    server.fault = lambda number, path: status
    with pytest.raises(StoreError) as raised:
        asked(rest(server))
    assert raised.value.code == "TIP435" and words in raised.value.fix and len(server.seen) == 1


def test_what_the_server_says_is_told(server: Server) -> None:
    with pytest.raises(StoreError, match="refuses") as raised:
        rest(server).post(CREATE, {"name": "x"})
    assert "RESOURCE_ALREADY_EXISTS" in raised.value.cause
    assert rest(server).post(CREATE, {"name": "x"}, allowed=["RESOURCE_ALREADY_EXISTS"])["error_code"]


@pytest.mark.parametrize("status", ["204", "302", "404"])
def test_another_kind_of_server(server: Server, status: str) -> None:
    """A redirect is not followed: the token would go where it leads."""
    server.fault = lambda number, path: status
    with pytest.raises(StoreError) as raised:
        asked(rest(server))
    assert raised.value.code == "TIP435"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://me:secret@127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(StoreError, match="cannot be reached") as raised:
        asked(Rest(uri))
    assert "nothing listens" in str(raised.value) and "secret" not in str(raised.value)


def test_no_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = Rest(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.05, tries=2, sleep=[].append)
        with pytest.raises(StoreError, match="TIP434") as raised:
            asked(api)
    assert raised.value.cause == "no answer in time"


@pytest.mark.parametrize(
    "uri", ["", "x", "ftp://x", "http://", "http://[", "http://x:port", "databricks", "file:///x"]
)
def test_no_address(uri: str) -> None:
    with pytest.raises(RefusedError, match="address"):
        Rest(uri)


def test_tokens_and_passwords(server: Server) -> None:
    asked(rest(server, token="word"))
    asked(Rest(server.uri.replace("//", "//me:word@")))
    assert [each.get("Authorization") for each in server.headers] == ["Bearer word", "Basic bWU6d29yZA=="]
    with pytest.raises(RefusedError, match="token"):
        rest(server, token="a\nb")
