"""The commands over real HTTP, against a small server that answers as an Argo Server does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tiphys.cli import main

Json = dict[str, Any]
TIME = "2026-01-01T00:00:01.000000000Z"  # the server puts it in front of a line when it is asked to
Answer = tuple[int, Any]  # a status and JSON, or a list of lines to stream


def run(phase: str, version: int, *, end: bool = False, message: str = "") -> Json:
    train = {
        "id": "r-1",
        "name": "run-x1.train",
        "displayName": "train",
        "type": "Pod",
        "templateName": "train",
        "phase": "Failed" if phase == "Failed" else "Running",
        "message": message,
        "boundaryID": "run-x1",
        "startedAt": "2026-01-01T00:00:10Z",
        "finishedAt": "2026-01-01T00:00:20Z" if end else None,
    }
    root = {
        "id": "run-x1",
        "name": "run-x1",
        "displayName": "run-x1",
        "type": "DAG",
        "phase": phase,
        "children": ["r-1"],
    }
    return {
        "metadata": {
            "name": "run-x1",
            "namespace": "team",
            "uid": "u",
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"templates": []},
        "status": {
            "phase": phase,
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:01:00Z" if end else None,
            "nodes": {"run-x1": root, "r-1": train},
            "outputs": {"parameters": [{"name": "summary", "value": "two\nlines"}]},
        },
    }


class Argo:
    """The state of the server; ``seen`` keeps method, path, query, body and authorization of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], Any, str]] = []
        self.end = run("Succeeded", 9, end=True)
        self.routes: dict[tuple[str, str], Callable[[], Any]] = {
            ("GET", "/api/v1/workflows/team"): lambda: {"items": [run("Running", 1)]},
            ("GET", "/api/v1/workflows/team/run-x1"): lambda: run("Running", 1),
            ("GET", "/api/v1/workflow-events/team"): lambda: [
                {"result": {"type": "ADDED", "object": run("Running", 1)}},
                {"result": {"type": "MODIFIED", "object": self.end}},
            ],
            ("GET", "/api/v1/workflows/team/run-x1/log"): lambda: [
                {"result": {"podName": "run-x1-train-1", "content": f"{TIME} step 1"}},
                {"result": {"podName": "run-x1-cnn-worker-0", "content": f"{TIME} epoch 1"}},
            ],
            ("DELETE", "/api/v1/workflows/team/run-x1"): dict,
        }
        for verb in ("stop", "terminate", "suspend", "resume", "retry", "resubmit"):
            self.routes["PUT", f"/api/v1/workflows/team/run-x1/{verb}"] = lambda: run("Running", 2)


@pytest.fixture
def argo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Argo]:
    state = Argo()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "")
            state.seen.append((self.command, parts.path, dict(parse_qsl(parts.query)), body, token))
            if self.command == "POST":
                value: Any = {
                    **body["workflow"],
                    "metadata": {**body["workflow"]["metadata"], "name": "run-x1"},
                }
            else:
                route = state.routes.get((self.command, parts.path))
                if route is None:
                    self.reply(404, b'{"code":5,"message":"not found"}')
                    return
                value = route()
            if isinstance(value, list):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for item in value:
                    line = json.dumps(item).encode() + b"\n"
                    for part in (line[:7], line[7:]):  # a line may come in pieces
                        self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.reply(200, json.dumps(value).encode())

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("ARGO_SERVER", f"127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ARGO_SECURE", "false")
    monkeypatch.setenv("ARGO_NAMESPACE", "team")
    monkeypatch.setenv("ARGO_TOKEN", "secret")
    monkeypatch.delenv("ARGO_BASE_HREF", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield state
    server.shutdown()
    server.server_close()


HELLO = """
kind: Workflow
metadata: {generateName: hello-}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: world}]}
  templates: [{name: main, suspend: {}}]
"""


def test_submit_prints_the_name(argo: Argo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    assert main(["submit", str(file), "-p", "who=you", "-l", "team=ml"]) == 0
    assert capsys.readouterr().out == "run-x1\n"
    method, path, _, body, token = argo.seen[-1]
    assert (method, path, token) == ("POST", "/api/v1/workflows/team", "Bearer secret")
    assert body["workflow"]["metadata"]["labels"] == {"team": "ml"}
    assert body["workflow"]["spec"]["arguments"]["parameters"][0]["value"] == "you"


def test_submit_and_wait(argo: Argo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    assert main(["submit", str(file), "--wait", "--timeout", "30"]) == 0
    out = capsys.readouterr().out
    assert "run-x1  Succeeded  1m00s" in out
    assert "summary:\ntwo\nlines" in out


def test_submit_of_a_wrong_parameter(argo: Argo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    assert main(["submit", str(file), "-p", "whom=you"]) == 2
    assert "Did you mean 'who'?" in capsys.readouterr().err
    assert argo.seen == []


def test_list_get_and_json(argo: Argo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["run-x1", "Running"]
    assert main(["list", "--phase", "Failed"]) == 0
    assert capsys.readouterr().out == "no workflows\n"
    assert main(["get", "@latest"]) == 0
    out = capsys.readouterr().out
    assert "└─● train" in out
    assert main(["get", "run-x1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "run-x1"


def test_watch_shows_changes_and_how_it_ended(argo: Argo, capsys: pytest.CaptureFixture[str]) -> None:
    argo.end = run("Failed", 9, end=True, message="exit code 1")
    assert main(["watch", "run-x1"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "● train  Running",
        "run-x1  Running",
        "✖ train  Failed  exit code 1",
        "run-x1  Failed",
        "summary:",
        "two",
        "lines",
    ]
    assert "Failed: train: exit code 1" in shown.err


def test_wait_times_out(argo: Argo, capsys: pytest.CaptureFixture[str]) -> None:
    argo.routes["GET", "/api/v1/workflow-events/team"] = list
    assert main(["wait", "run-x1", "--timeout", "0.2"]) == 1
    assert "TIP620" in capsys.readouterr().err


def test_logs_have_a_name_in_front(argo: Argo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "run-x1", "-f", "-c", "main", "--tail", "5"]) == 0
    assert capsys.readouterr().out == "train | step 1\ncnn/worker-0 | epoch 1\n"
    query = next(query for _, path, query, *_ in argo.seen if path.endswith("/log"))
    assert query == {
        "logOptions.container": "main",
        "logOptions.follow": "true",
        "logOptions.tailLines": "5",
        "logOptions.timestamps": "true",
    }


@pytest.mark.parametrize("verb", ["stop", "terminate", "suspend", "resume", "retry", "resubmit", "delete"])
def test_the_other_verbs(verb: str, argo: Argo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "run-x1"]) == 0
    assert "run-x1" in capsys.readouterr().out
    method, path, *_ = argo.seen[-1]
    assert (method, path) == (
        ("DELETE", "/api/v1/workflows/team/run-x1")
        if verb == "delete"
        else ("PUT", f"/api/v1/workflows/team/run-x1/{verb}")
    )


def test_a_workflow_that_is_not_there(argo: Argo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "run-x2"]) == 1
    err = capsys.readouterr().err
    assert "TIP605" in err
    assert "Traceback" not in err


def test_no_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--server", "http://127.0.0.1:1"]) == 1
    err = capsys.readouterr().err
    assert "TIP601" in err and "refused" in err
