"""Artifacts that are somewhere else: http with its kinds of authorization, git, raw, and object stores."""

from __future__ import annotations

import base64
import http.server
import importlib.util
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.engine.harness import execute, log, node, out, shell, value, workflow
from tiphys.engine import RunResult
from tiphys.engine.runners.sandbox import SandboxRunner

Json = Any


class _Server(http.server.BaseHTTPRequestHandler):
    put: ClassVar[dict[str, bytes]] = {}
    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self._answer(b"content")

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen.append(("form", form))
        self._answer(b'{"access_token": "tok", "token_type": "bearer"}')

    def do_PUT(self) -> None:
        self.put[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.seen.append((self.command, self.headers.get("Authorization", "")))
        self.send_response(403 if self.path == "/forbidden" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    _Server.put.clear()
    _Server.seen.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


SECRET = {
    "kind": "Secret",
    "metadata": {"name": "s"},
    "data": {key: base64.b64encode(text.encode()).decode() for key, text in {"u": "me", "p": "pw"}.items()},
}


def key(name: str) -> dict[str, str]:
    return {"name": "s", "key": name}


def take(tmp_path: Path, place: dict[str, Json], script: str = "", **more: Json) -> RunResult:
    """A step with an input artifact from somewhere, which it copies to the output ``x``."""
    script = script or "mkdir -p /tmp/out; cat /in/a > /tmp/out/x"
    template = shell("main", script, outputs=out("x"))
    template["inputs"] = {"artifacts": [{"name": "a", "path": "/in/a", **place, **more}]}
    return execute(tmp_path, workflow(template), context=[SECRET])


def give(tmp_path: Path, place: dict[str, Json], script: str = "echo x > /tmp/a", **more: Json) -> RunResult:
    """A step with an output artifact that goes somewhere."""
    template = shell(
        "main", script, outputs={"artifacts": [{"name": "a", "path": "/tmp/a", **place, **more}]}
    )
    return execute(tmp_path, workflow(template), context=[SECRET])


def test_http_with_a_password(tmp_path: Path, url: str) -> None:
    auth = {"basicAuth": {"usernameSecret": key("u"), "passwordSecret": key("p")}}
    result = take(tmp_path, {"http": {"url": url, "auth": auth}})
    assert value(result, result.name, "x") == "content"
    assert _Server.seen == [("GET", "Basic " + base64.b64encode(b"me:pw").decode())]


def test_http_with_a_token(tmp_path: Path, url: str) -> None:
    secret = {**SECRET, "data": {**SECRET["data"], "t": base64.b64encode(f"{url}/token".encode()).decode()}}
    client = {
        "clientIDSecret": key("u"),
        "clientSecretSecret": key("p"),
        "tokenURLSecret": key("t"),
        "scopes": ["a", "b"],
        "endpointParams": [{"key": "audience", "value": "z"}],
    }
    template = shell("main", "mkdir -p /tmp/out; cat /in/a > /tmp/out/x", outputs=out("x"))
    template["inputs"] = {
        "artifacts": [{"name": "a", "path": "/in/a", "http": {"url": url, "auth": {"oauth2": client}}}]
    }
    result = execute(tmp_path, workflow(template), context=[secret])
    assert value(result, result.name, "x") == "content"
    assert _Server.seen[0] == ("form", "audience=z&grant_type=client_credentials&scope=a+b")
    assert _Server.seen[-1] == ("GET", "Bearer tok")


def test_http_that_is_refused(tmp_path: Path, url: str) -> None:
    result = take(tmp_path, {"http": {"url": f"{url}/forbidden"}})
    assert result.phase == "Error"
    assert "403" in result.message


def test_an_output_is_put(tmp_path: Path, url: str) -> None:
    result = give(tmp_path, {"http": {"url": f"{url}/a"}}, archive={"none": {}})
    assert result.succeeded, result.message
    assert _Server.put == {"/a": b"x\n"}
    (artifact,) = node(result, result.name)["outputs"]["artifacts"]
    assert "s3" not in artifact


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            {"http": {"url": "http://127.0.0.1:1/a"}},
            'Put "http://127.0.0.1:1/a": dial tcp 127.0.0.1:1: connect: connection refused; ',
        ),
        (
            {"raw": {"data": "z"}},
            "key unsupported: cannot get key for artifact location, because it is invalid; ",
        ),
        (
            {"git": {"repo": "http://127.0.0.1:1/a"}},
            "key unsupported: cannot get key for artifact location, because it is invalid; ",
        ),
    ],
    ids=["http", "raw", "git"],
)
def test_outputs_that_cannot_be_kept_in_argos_words(
    tmp_path: Path, place: dict[str, Json], message: str
) -> None:
    # recorded from the real controller
    result = give(tmp_path, place)
    assert (result.phase, result.message) == ("Error", f"wait: Error (exit code 64): {message}")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("ln -s /etc /tmp/a", "illegal symlink target: a -> /etc; "),
        ("ln -s ../../.. /tmp/a", "illegal symlink target: a -> ../../..; "),
        ("mkdir /tmp/a; ln -s /etc/passwd /tmp/a/p", "illegal symlink target: p -> /etc/passwd; "),
        (
            "ln -s /nowhere /tmp/a",
            "open /var/run/argo/outputs/artifacts/tmp/a.tgz: no such file or directory; ",
        ),
    ],
)
def test_links_that_lead_out_in_argos_words(tmp_path: Path, script: str, message: str) -> None:
    # recorded from the real controller, but for the third
    result = give(tmp_path, {}, script, archive={"none": {}})
    assert (result.phase, result.message) == ("Error", f"wait: Error (exit code 64): {message}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two branches and a tag."""
    folder = tmp_path / "repository"
    folder.mkdir()

    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    git("init")
    for name in ("one", "two"):
        (folder / "f").write_text(name)
        git("add", "f")
        git("commit", "-m", name)
        git("tag", name)
    git("checkout", "-b", "other")
    (folder / "f").write_text("other")
    git("commit", "-am", "other")
    git("checkout", "main")
    return folder


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "two"),
        ({"revision": "one"}, "one"),
        ({"branch": "other", "singleBranch": True, "depth": 1}, "other"),
    ],
)
def test_git(tmp_path: Path, repository: Path, settings: dict[str, Json], text: str) -> None:
    place = {"git": {"repo": f"file://{repository}", **settings}}
    result = take(tmp_path, place, "mkdir -p /tmp/out; cat /in/a/f > /tmp/out/x")
    assert value(result, result.name, "x") == text


@pytest.mark.skipif(
    not shutil.which("git") or bool(SandboxRunner().check()), reason="needs git and a sandbox"
)
@pytest.mark.parametrize("repo", ["file://{}", "{}", "{}/.git"])
def test_a_sandboxed_step_is_given_no_repository_of_this_machine(
    tmp_path: Path, repository: Path, repo: str
) -> None:
    template = shell("main", "ls /in/a")
    place = {"git": {"repo": repo.format(repository)}}
    template["inputs"] = {"artifacts": [{"name": "a", "path": "/in/a", **place}]}
    result = execute(tmp_path, workflow(template), runner="sandbox")
    assert result.phase == "Error"
    assert result.message.endswith("artifact a failed to load: fatal: transport 'file' not allowed")


def test_an_object_that_the_store_does_not_have_names_the_extra(tmp_path: Path) -> None:
    if importlib.util.find_spec("s3fs"):
        pytest.skip("s3fs is installed")
    place = {"s3": {"endpoint": "127.0.0.1:1", "bucket": "b", "key": "k", "insecure": True}}
    result = take(tmp_path, place)
    assert result.phase == "Error"
    assert "pip install 'tiphys[s3]'" in result.message


def test_an_object_of_the_local_store_needs_no_extra(tmp_path: Path) -> None:
    made = shell("make", "echo y > /tmp/a")
    made["outputs"] = {
        "artifacts": [{"name": "a", "path": "/tmp/a", "s3": {"key": "k"}, "archive": {"none": {}}}]
    }
    used = shell("use", "cat /in/a")
    place = {"s3": {"endpoint": "127.0.0.1:1", "bucket": "b", "key": "k"}}
    used["inputs"] = {"artifacts": [{"name": "a", "path": "/in/a", **place}]}
    steps = [[{"name": "make", "template": "make"}], [{"name": "use", "template": "use"}]]
    result = execute(tmp_path, workflow({"name": "main", "steps": steps}, made, used))
    assert log(result, "use") == "y\n"
