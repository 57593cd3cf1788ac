"""A Workflow from what is kept: the real ``argo``, which makes it itself with a kubeconfig, says what it is to be."""

from __future__ import annotations

import json

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


def test_it_is_what_argo_makes_of_it(running: Running, argo: Ask, argo_of_kubernetes: Ask) -> None:
    words = ["-p", "who=me", "-l", "a=b", "--name", "made"]
    words += ["--entrypoint", "say", "--serviceaccount", "bot"]
    words = ["submit", "--from", "workflowtemplate/model", *words, "--dry-run", "-o", "json"]
    theirs, by_argo = (
        json.loads(said[said.index("{") :]) for said in (argo_of_kubernetes(*words), argo(*words))
    )
    ours = submit(
        running,
        parameters=["who=me"],
        labels="a=b",
        name="made",
        entryPoint="say",
        serviceAccount="bot",
        dryRun=True,
    )
    assert ours["spec"] == {key: value for key, value in theirs["spec"].items() if value}
    assert by_argo["spec"] == theirs["spec"]
    for key in ("name", "generateName"):
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
        ({"resourceKind": "wftmpl", "resourceName": "model", "submitOptions": {"artifacts": ["x=y"]}}, 400),
    ],
)
def test_what_cannot_be_is_refused(running: Running, body: object, number: int) -> None:
    assert running.ask("POST", "/api/v1/workflows/argo/submit", json=body).status_code == number


def test_annotations_an_owner_and_a_priority(running: Running) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    made = submit(running, annotations="c=d,e=f=g", ownerReference=owner, priority=4, dryRun=True)
    assert made["spec"]["priority"] == 4  # type: ignore[index]
    assert made["metadata"]["annotations"] == {"c": "d", "e": "f=g"}  # type: ignore[index]
    assert made["metadata"]["ownerReferences"] == [owner]  # type: ignore[index]
