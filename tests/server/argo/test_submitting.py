"""A Workflow from what is kept: the real ``argo submit --from --dry-run`` says what it is to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.server.argo.conftest import Ask
from tests.server.running import HELLO, Running

TEMPLATE = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "WorkflowTemplate",
    "metadata": {"name": "model"},
    "spec": {**HELLO["spec"], "arguments": {"parameters": [{"name": "who", "value": "you"}]}},  # type: ignore[dict-item]
}


@pytest.fixture(scope="module", autouse=True)
def kept(running: Running) -> None:
    answer = running.ask("POST", "/api/v1/workflow-templates/argo", json={"template": TEMPLATE})
    assert answer.ok, answer.text


def submit(running: Running, **options: object) -> dict[str, object]:
    body = {"resourceKind": "WorkflowTemplate", "resourceName": "model", "submitOptions": options}
    answer = running.ask("POST", "/api/v1/workflows/argo/submit", json=body)
    assert answer.ok, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_it_is_what_argo_makes_of_it(running: Running, argo: Ask, tmp_path: Path) -> None:
    words = ["-p", "who=me", "-l", "a=b", "--annotation", "c=d", "--name", "made", "--priority", "4"]
    words += ["--entrypoint", "say", "--serviceaccount", "bot"]
    said = argo("submit", "--from", "workflowtemplate/model", *words, "--dry-run", "-o", "json")
    theirs = json.loads(said[said.index("{") :])
    ours = submit(
        running,
        parameters=["who=me"],
        labels="a=b",
        annotations="c=d",
        name="made",
        priority=4,
        entryPoint="say",
        serviceAccount="bot",
        dryRun=True,
    )
    assert ours["spec"] == {key: value for key, value in theirs["spec"].items() if value}
    for key in ("name", "annotations", "generateName"):
        assert ours["metadata"].get(key) == theirs["metadata"].get(key)  # type: ignore[attr-defined]
    labels = {key: value for key, value in theirs["metadata"]["labels"].items() if "creator" not in key}
    assert ours["metadata"]["labels"] == labels  # type: ignore[index]
    assert running.ask("GET", "/api/v1/workflows/argo/made").status_code == 404


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"resourceKind": "Pod", "resourceName": "x"}, 400),
        ({"resourceKind": "wftmpl", "resourceName": "none"}, 404),
        ({"resourceKind": "cwf", "resourceName": "none"}, 404),
        ({"resourceKind": "wftmpl", "resourceName": "model", "submitOptions": {"parameters": ["x"]}}, 400),
        ({"resourceKind": "wftmpl", "resourceName": "model", "submitOptions": {"labels": "x"}}, 400),
        ({"resourceKind": "wftmpl", "resourceName": "model", "submitOptions": {"artifacts": ["x=y"]}}, 501),
    ],
)
def test_what_cannot_be_is_refused(running: Running, body: object, number: int) -> None:
    assert running.ask("POST", "/api/v1/workflows/argo/submit", json=body).status_code == number
