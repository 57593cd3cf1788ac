"""The engine asks the pods of a run where they are, also in a network of their own; Python's server answers."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import dag, execute, log, node, python, sandboxed, shell, workflow

pytestmark = sandboxed

_SERVE = "mkdir /tmp/www; echo -n hello > /tmp/www/word; exec python -m http.server -d /tmp/www 80"
_URL = "http://{{inputs.parameters.ip}}/word"
_ASK = f"import urllib.request as u; print(u.urlopen('{_URL}').read().decode(), end='')"


def _asking(kind: str, url: str = _URL) -> dict[str, Any]:
    """A template that gets something over HTTP: by its program, by the engine, or as an artifact."""
    if kind == "program":
        return python(kind, _ASK)
    if kind == "template":
        return {"name": kind, "http": {"url": url}}
    return shell(
        kind, "cat /tmp/i", inputs={"artifacts": [{"name": "i", "path": "/tmp/i", "http": {"url": url}}]}
    )


def test_probes_and_all_that_asks_reach_a_daemon(tmp_path: Path) -> None:
    """At port 80, which in a pod is anybody's."""
    server = shell("server", _SERVE, daemon=True)
    server["container"]["readinessProbe"] = {"httpGet": {"path": "/word", "port": 80}}
    given = {"parameters": [{"name": "ip", "value": "{{tasks.server.ip}}"}]}
    asking = [_asking(kind) for kind in ("program", "template", "artifact")]
    tasks = []
    for each in asking:
        each.setdefault("inputs", {})["parameters"] = [{"name": "ip"}]
        tasks.append(
            {"name": each["name"], "template": each["name"], "depends": "server", "arguments": given}
        )
    flow = workflow(dag({"name": "server", "template": "server"}, *tasks), server, *asking)
    result = execute(tmp_path, flow, runner="sandbox", network="run")
    assert result.succeeded, result.workflow["status"]
    assert node(result, "template")["outputs"]["result"] == "hello"
    assert log(result, "program") == log(result, "artifact") == "hello"


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"of this machine")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def here() -> Iterator[str]:
    """The port of somebody's service on this machine's loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield str(server.server_port)
        server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("kind", ["template", "artifact"])
def test_a_workflow_does_not_get_from_this_machines_loopback_by_the_engine(
    tmp_path: Path, here: str, kind: str, host: str
) -> None:
    flow = workflow(_asking(kind, f"http://{host}:{here}/"))
    assert execute(tmp_path, flow, runner="sandbox", network="host").succeeded
    result = execute(tmp_path, flow, runner="sandbox")
    assert result.phase == "Error"
    assert "refused" in result.message
