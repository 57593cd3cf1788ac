"""Artifacts between steps through the local store, and templates without a process."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.harness import dag, execute, log, node, shell, workflow


def passing(archive: dict[str, object] | None, make: str, use: str, **options: object) -> dict[str, object]:
    """One step makes /tmp/made, the next finds it at /in/found."""
    artifact: dict[str, object] = {"name": "a", "path": "/tmp/made"}
    if archive is not None:
        artifact["archive"] = archive
    argument = {"artifacts": [{"name": "b", "from": "{{tasks.make.outputs.artifacts.a}}"}]}
    return workflow(
        dag(
            {"name": "make", "template": "make"},
            {"name": "use", "template": "use", "depends": "make", "arguments": argument},
        ),
        shell("make", make, outputs={"artifacts": [artifact]}),
        shell("use", use, inputs={"artifacts": [{"name": "b", "path": "/in/found", **options}]}),
    )


@pytest.mark.parametrize("archive", [None, {"none": {}}, {"zip": {}}, {"tar": {"compressionLevel": 0}}])
def test_a_file(tmp_path: Path, archive: dict[str, object] | None) -> None:
    result = execute(tmp_path, passing(archive, "echo content > /tmp/made", "cat /in/found"))
    assert log(result, "use") == "content\n"


@pytest.mark.parametrize("archive", [None, {"none": {}}, {"zip": {}}])
def test_a_folder(tmp_path: Path, archive: dict[str, object] | None) -> None:
    make = "mkdir -p /tmp/made/sub; echo 1 > /tmp/made/one; echo 2 > /tmp/made/sub/two"
    result = execute(tmp_path, passing(archive, make, "cat /in/found/one /in/found/sub/two"))
    assert log(result, "use") == "1\n2\n"


def test_keys_are_argos(tmp_path: Path) -> None:
    # recorded from the real controller
    result = execute(tmp_path, passing({"none": {}}, "echo x > /tmp/made", "true"))
    (artifact,) = node(result, "make")["outputs"]["artifacts"]
    pod = f"{result.name}-make-{node(result, 'make')['id'].rpartition('-')[2]}"
    assert artifact["s3"] == {"key": f"{result.name}/{pod}/made"}


def test_mode(tmp_path: Path) -> None:
    result = execute(
        tmp_path, passing({"none": {}}, "echo x > /tmp/made", "stat -c %a /in/found", mode=0o750)
    )
    assert log(result, "use") == "750\n"


def test_missing_output_artifact_in_argos_words(tmp_path: Path) -> None:
    # recorded from the real controller
    result = execute(
        tmp_path, workflow(shell("main", "true", outputs={"artifacts": [{"name": "a", "path": "/tmp/a"}]}))
    )
    assert node(result, result.name)["message"] == (
        "wait: Error (exit code 64): open /var/run/argo/outputs/artifacts/tmp/a.tgz: no such file or directory; "
    )


def test_missing_key_in_argos_words(tmp_path: Path) -> None:
    # recorded from the real controller
    inputs = {"artifacts": [{"name": "a", "path": "/tmp/a", "s3": {"key": "no/such"}}]}
    result = execute(tmp_path, workflow(shell("main", "true", inputs=inputs)))
    found = node(result, result.name)
    assert (found["phase"], found["message"]) == (
        "Error",
        "init: Error (exit code 64): artifact a failed to load: The specified key does not exist.",
    )


def test_raw_artifact(tmp_path: Path) -> None:
    inputs = {"artifacts": [{"name": "a", "path": "/in/a", "raw": {"data": "given\n"}}]}
    result = execute(tmp_path, workflow(shell("main", "cat /in/a", inputs=inputs)))
    assert log(result, result.name) == "given\n"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"hello"
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "condition", "phase"),
    [
        ("/", "", "Succeeded"),
        ("/missing", "", "Failed"),
        ("/missing", "response.statusCode == 404 && response.body contains 'hello'", "Succeeded"),
        ("/", "response.body == 'other'", "Failed"),
    ],
)
def test_http(tmp_path: Path, url: str, path: str, condition: str, phase: str) -> None:
    template: dict[str, object] = {"url": url + path}
    if condition:
        template["successCondition"] = condition
    result = execute(tmp_path, workflow({"name": "main", "http": template}))
    assert result.phase == phase


def test_data_lists_the_keys_below_a_prefix(tmp_path: Path) -> None:
    make = shell(
        "make",
        "echo x > /tmp/made",
        outputs={
            "artifacts": [
                {"name": "a", "path": "/tmp/made", "archive": {"none": {}}, "s3": {"key": "logs/one.txt"}}
            ]
        },
    )
    listing = {
        "name": "list",
        "data": {
            "source": {"artifactPaths": {"name": "p", "s3": {"bucket": "b", "key": "logs/"}}},
            "transformation": [{"expression": "filter(data, {# endsWith '.txt'})"}],
        },
        "outputs": {"parameters": [{"name": "keys", "valueFrom": {"expression": "'x'"}}]},
    }
    del listing["outputs"]
    flow = workflow(
        dag(
            {"name": "make", "template": "make"},
            {"name": "list", "template": "list", "depends": "make"},
            {
                "name": "use",
                "template": "use",
                "depends": "list",
                "arguments": {"parameters": [{"name": "k", "value": "{{tasks.list.outputs.result}}"}]},
            },
        ),
        make,
        listing,
        {**shell("use", "true"), "inputs": {"parameters": [{"name": "k"}]}},
    )
    result = execute(tmp_path, flow)
    assert result.succeeded
    assert node(result, "list")["outputs"]["result"] == '["logs/one.txt"]'
