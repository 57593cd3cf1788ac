"""A file is sent, and a run submitted with it: as the form of the Argo UI does it."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.server.argo.conftest import Ask
from tests.server.running import Running
from tiphys.server.argo import uploads

TEMPLATE: Any = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "reads"},
    "spec": {
        "entrypoint": "main",
        "arguments": {
            "artifacts": [
                {"name": "data", "raw": {"data": "its own"}},
                {"name": "plain", "s3": {"key": "by/default"}},
            ]
        },
        "templates": [
            {
                "name": "main",
                "inputs": {"artifacts": [{"name": "plain", "path": "/tmp/plain"}]},
                "container": {"image": "x", "command": ["sh", "-c", "cat /tmp/plain; echo"]},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def template(running: Running) -> str:
    path = "/api/v1/workflow-templates/argo"
    answer = running.ask("POST", path, json={"template": TEMPLATE})
    assert answer.status_code == 200, answer.text
    return "reads"


def sent(
    running: Running, data: bytes, called: str = "a.txt", to: str = "argo/reads/plain"
) -> requests.Response:
    return running.ask("POST", f"/upload-artifacts/{to}", files={"file": (called, data)})


def submit(running: Running, *artifacts: str) -> requests.Response:
    options = {"artifacts": list(artifacts)}
    body = {"resourceKind": "WorkflowTemplate", "resourceName": "reads", "submitOptions": options}
    return running.ask("POST", "/api/v1/workflows/argo/submit", json=body)


def test_what_was_uploaded_is_what_the_step_reads(running: Running, template: str, argo: Ask) -> None:
    told = sent(running, b"from the form", "..\\..\\my file.txt").json()
    assert told["name"] == "plain"
    assert told["key"].startswith("uploads/argo/") and told["key"].endswith("/my file.txt")
    made = submit(running, f"plain={told['key']}")
    assert made.status_code == 200, made.text
    name = made.json()["metadata"]["name"]
    running.until(name, "Succeeded")
    assert "from the form" in argo("logs", name, "--no-color")


def test_what_is_refused(running: Running, template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sent(running, b"x", to="argo/reads/other").status_code == 404
    assert sent(running, b"x", to="argo/none/plain").status_code == 404
    assert sent(running, b"x", to="elsewhere/reads/plain").status_code == 404
    path = "/upload-artifacts/argo/reads/plain"
    assert running.ask("POST", path, json={}).status_code == 400
    assert running.ask("POST", path, files={"other": ("a", b"x")}).status_code == 400
    torn = {"headers": {"Content-Type": "multipart/form-data; boundary=b"}, "data": b"no form"}
    assert running.ask("POST", path, **torn).status_code == 400
    mine = {"Authorization": "Bearer other"}
    assert running.ask("POST", path, files={"file": ("a", b"x")}, headers=mine).status_code == 401
    foreign = {"Origin": "https://evil.example"}
    assert running.ask("POST", path, files={"file": ("a", b"x")}, headers=foreign).status_code == 403
    key = sent(running, b"x").json()["key"]
    for wrong in (
        f"none={key}",
        "plain=uploads/argo/../x",
        f"plain={key}x",
        f"plain={key.replace('argo', 'team')}",
        "plain",
    ):
        answer = submit(running, wrong)
        assert answer.status_code == 400, (wrong, answer.text)
    assert uploads.MOST == 1 << 30
