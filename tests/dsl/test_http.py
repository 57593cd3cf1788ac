"""A request as a step: what a real server gets, and what the step makes of its answer."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import tiphys
from tiphys import DefinitionError, Pipeline, component
from tiphys import http as request
from tiphys.engine import RunOptions


class Server(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, str, dict[str, str], Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.got.append((self.command, self.path, dict(self.headers.items()), body))
        self.send_response(404 if self.path.startswith("/missing") else 200)
        self.end_headers()
        self.wfile.write(b"the answer")

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


@component
def length(text: str) -> int:
    return len(text)


def run(tmp_path: Path, workflow: Pipeline) -> Any:
    return tiphys.run(workflow, options=RunOptions(store=tmp_path / "store", images={"*": "host"}))


def test_the_server_gets_what_was_given(tmp_path: Path, server: Server) -> None:
    text = 'a "b" & c/d?e=f#g %20 + \\ ü\n{x}'
    tell = request(
        f"{server.url}/team/{{team}}?q={{text}}",
        "POST",
        inputs={"team": str, "text": str, "note": str, "n": int, "rates": list[float]},
        headers={"X-Kind": "test"},
        name="tell",
    )
    with Pipeline("told") as pipeline:
        value = pipeline.param("text", text)
        length(text=tell(team=7 * "x", text=value, note=value, n=3, rates=[0.5, 1.0]))
    assert not [f for f in tiphys.lint(pipeline) if f.severity in ("error", "warning")]
    result = run(tmp_path, pipeline)
    assert result.succeeded, result.message
    [(method, path, headers, body)] = server.got
    assert method == "POST" and headers["X-Kind"] == "test" and headers["Content-Type"] == "application/json"
    split = urlsplit(path)
    assert split.path == "/team/xxxxxxx"
    assert parse_qs(split.query)["q"] == [text]
    assert body == {"note": text, "n": 3, "rates": [0.5, 1.0]}
    node = next(n for n in result.workflow["status"]["nodes"].values() if n["displayName"] == "length")
    assert node["outputs"]["parameters"][0]["value"] == str(len("the answer"))


@pytest.mark.parametrize(("success", "phase"), [("", "Failed"), ("response.statusCode == 404", "Succeeded")])
def test_when_it_succeeds(tmp_path: Path, server: Server, success: str, phase: str) -> None:
    ask = request(f"{server.url}/missing", success=success, name="ask")
    with Pipeline("asked") as pipeline:
        ask()
    result = run(tmp_path, pipeline)
    assert result.workflow["status"]["phase"] == phase


def test_a_header_from_a_secret() -> None:
    ask = request("https://example.com", headers={"Authorization": ("slack", "token")})
    with Pipeline("asked") as pipeline:
        ask()
    made = pipeline.to_dict()["spec"]["templates"][1]["http"]
    assert made["headers"] == [
        {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "slack", "key": "token"}}}
    ]


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "url": (lambda: request("example.com"), "TIP101"),
    "a tag": (lambda: request("https://example.com/{{workflow.name}}"), "TIP119"),
    "method": (lambda: request("https://example.com", "SEND"), "TIP105"),  # type: ignore[arg-type]
    "unknown input": (lambda: request("https://example.com/{x}"), "TIP103"),
    "no body": (lambda: request("https://example.com/", inputs={"x": str}), "TIP103"),
    "timeout": (lambda: request("https://example.com/", timeout=0), "TIP109"),
    "header": (lambda: request("https://example.com/", headers={"X": 1}), "TIP105"),  # type: ignore[dict-item]
    "type": (lambda: request("https://example.com/{x}", inputs={"x": complex}), "TIP110"),
    "missing": (lambda: request("https://example.com/{x}", inputs={"x": str})(), "TIP104"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_at_its_line(case: str) -> None:
    act, code = WRONG[case]
    with Pipeline("wrong"), pytest.raises(DefinitionError) as caught:
        act()
    assert caught.value.code == code and "test_http.py" in caught.value.where and caught.value.fix
