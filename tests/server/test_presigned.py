"""Artifacts by URLs that are good for an hour, for a user's own ``argo server``."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.requests import Request

from tests.lint.places import argo_binary
from tests.server.running import HELLO, Running, server
from tests.server.test_argo_ui import free_port
from tiphys.server.answers import RequestError
from tiphys.server.argo_ui import argo_ui
from tiphys.server.presigned import Presigned

MADE = {"artifacts": [{"name": "made", "path": "/tmp/made.txt", "archive": {"none": {}}}]}
MAKES: Any = {
    **HELLO,
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "name": "main",
                "container": {"image": "x", "command": ["sh", "-c"], "args": ["echo hello > /tmp/made.txt"]},
                "outputs": MADE,
            }
        ],
    },
}
ARGO_SERVER = {"User-Agent": "argo/v0.0.0 (linux/amd64) argo-workflows/v4.0.5 argo-server"}
RUNS = "/apis/argoproj.io/v1alpha1/namespaces/argo/workflows"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("server") / "store") as found:
        yield found


@pytest.fixture(scope="module")
def name(running: Running) -> str:
    found = running.submit(MAKES)
    running.until(found, "Succeeded")
    return found


def artifact(running: Running, name: str, **headers: str) -> dict[str, Any]:
    told = running.ask("GET", f"{RUNS}/{name}", headers=headers).json()
    (node,) = told["status"]["nodes"].values()
    found: dict[str, Any] = node["outputs"]["artifacts"][0]
    return found


def test_only_an_argo_server_is_told_and_its_url_opens_that_artifact_alone(
    running: Running, name: str
) -> None:
    assert "http" not in artifact(running, name) and "s3" in artifact(running, name)
    url = artifact(running, name, **ARGO_SERVER)["http"]["url"]
    path = url.removeprefix(running.url)
    answer = running.ask("GET", path, headers={"Authorization": ""})
    assert (answer.status_code, answer.text) == (200, "hello\n")
    assert answer.headers["Content-Type"].startswith("text/plain") and "made.txt" in path
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    for other in (
        path.partition("?")[0],
        path.replace("until=1", "until=2"),
        path.replace("/outputs/", "/inputs/"),
        path[:-1] + ("0" if path[-1] != "0" else "1"),
        path.replace("until=", "until=x"),
    ):
        assert running.ask("GET", other, headers={"Authorization": ""}).status_code == 403
    assert running.ask("GET", path, headers={"Host": "evil.example"}).status_code == 403
    assert running.ask("POST", path).status_code in (403, 405)


def test_an_hour_later_it_is_not_good_any_more() -> None:
    now = [1000.0]
    signing, workflow = Presigned(lambda: now[0]), {"metadata": {"name": "a", "namespace": "argo"}}

    def asked(path: str, query: str = "", agent: str = "") -> Request:
        headers = [(b"host", b"here"), (b"user-agent", agent.encode())]
        scope = {"type": "http", "scheme": "https", "path": path, "query_string": query.encode()}
        return Request({**scope, "headers": headers, "root_path": "", "method": "GET"})

    made = {"name": "m", "s3": {"key": "a/b c.txt"}}
    given: Any = {**workflow, "status": {"nodes": {"a-1": {"outputs": {"artifacts": [made]}}}}}
    located: Any = signing.located(given, asked("/", agent="x argo-server"))
    url = located["status"]["nodes"]["a-1"]["outputs"]["artifacts"][0]["http"]["url"]
    assert given["status"]["nodes"]["a-1"]["outputs"]["artifacts"] == [made]
    path, _, query = url.removeprefix("https://here").partition("?")
    opened = asked(unquote(path), query)
    signing.check(opened)
    now[0] += 3601
    with pytest.raises(RequestError, match="not any more"):
        signing.check(opened)


def test_the_real_argo_server_fetches_an_artifact(running: Running, name: str) -> None:
    (node,) = running.get(name)["status"]["nodes"]  # type: ignore[index]
    path = f"/artifact-files/argo/workflows/{name}/{node}/outputs/made"
    with argo_ui(running.kubeconfig, running.token, port=free_port(), program=argo_binary()) as url:
        request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {running.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read() == b"hello\n"
            assert answer.headers["Content-Disposition"] == 'filename="made.txt"'
