"""The operations on Workflows, asked for by Hera's client and by the real ``argo``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hera.exceptions import AlreadyExists, BadRequest, NotFound
from hera.workflows import Container, Steps, Workflow, WorkflowsService
from hera.workflows.models import Workflow as Model
from hera.workflows.models import (
    WorkflowCreateRequest,
    WorkflowLintRequest,
    WorkflowResubmitRequest,
    WorkflowResumeRequest,
    WorkflowRetryRequest,
    WorkflowSetRequest,
    WorkflowStopRequest,
    WorkflowSuspendRequest,
    WorkflowTerminateRequest,
)

from tests.server.argo.conftest import Ask
from tests.server.running import FAILS, GATE, HELLO, Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic

ASKS = json.loads(json.dumps(GATE))
ASKS["spec"]["templates"][1]["outputs"] = {"parameters": [{"name": "answer", "valueFrom": {"supplied": {}}}]}


def create(hera: WorkflowsService, given: object) -> str:
    made = hera.create_workflow(WorkflowCreateRequest(workflow=Model.parse_obj(given)))
    assert made.metadata.name is not None
    return made.metadata.name


def test_hera_creates_and_waits(hera: WorkflowsService, running: Running) -> None:
    with Workflow(generate_name="hera-", entrypoint="main", workflows_service=hera, namespace="argo") as w:
        say = Container(name="say", image="x", command=["sh", "-c", "echo hello"])
        with Steps(name="main"):
            say(name="a")
    made = w.create()
    running.until(made.metadata.name, "Running", "Succeeded")  # Hera takes Pending for an end
    ended = w.wait(poll_interval=1)
    assert ended.status.phase == "Succeeded"
    assert hera.get_workflow(made.metadata.name).status.nodes
    link = w.get_workflow_link()
    assert made.metadata.name in link


def test_what_is_not_there_or_wrong_is_said_as_hera_expects_it(hera: WorkflowsService) -> None:
    with pytest.raises(NotFound, match=r'workflows\.argoproj\.io "none" not found'):
        hera.get_workflow("none")
    with pytest.raises(NotFound):
        hera.get_workflow("none", namespace="elsewhere")
    name = create(hera, GATE)
    taken = {**GATE, "metadata": {"name": name}}
    with pytest.raises(AlreadyExists):
        create(hera, taken)
    with pytest.raises(BadRequest, match="unsupported requirement"):
        hera.list_workflows(field_selector="spec.x=1")
    hera.delete_workflow(name)
    with pytest.raises(NotFound):
        hera.get_workflow(name)


def test_the_body_of_an_error_has_the_code_of_grpc(running: Running) -> None:
    answer = running.ask("GET", "/api/v1/workflows/argo/none")
    assert (answer.status_code, answer.json()["code"]) == (404, 5)
    answer = running.ask("GET", "/api/v1/workflows/argo/none", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json()["code"]) == (401, 16)
    answer = running.ask("POST", "/api/v1/workflows/argo", json={"workflow": 3})
    assert (answer.status_code, answer.json()["code"]) == (400, 3)


def test_lint(hera: WorkflowsService) -> None:
    linted = hera.lint_workflow(WorkflowLintRequest(workflow=Model.parse_obj(HELLO)))
    assert linted.metadata.generate_name == "hello-"
    wrong = json.loads(json.dumps(HELLO))
    wrong["spec"]["entrypoint"] = "nowhere"
    with pytest.raises(BadRequest, match="nowhere"):
        hera.lint_workflow(WorkflowLintRequest(workflow=Model.parse_obj(wrong)))


def test_dry_runs_run_nothing(hera: WorkflowsService) -> None:
    before = len(hera.list_workflows().items or [])
    hera.create_workflow(WorkflowCreateRequest(workflow=Model.parse_obj(HELLO), server_dry_run=True))
    assert len(hera.list_workflows().items or []) == before


def test_a_gate_is_set_suspended_and_resumed(hera: WorkflowsService, running: Running) -> None:
    name = create(hera, ASKS)
    running.until(name, "Suspended")
    which = "displayName=ask"
    hera.set_workflow(
        name, WorkflowSetRequest(node_field_selector=which, output_parameters=json.dumps({"answer": "yes"}))
    )
    assert hera.suspend_workflow(name, WorkflowSuspendRequest()).spec.suspend
    hera.resume_workflow(name, WorkflowResumeRequest())
    running.until(name, "Succeeded")
    (asked,) = (n for n in hera.get_workflow(name).status.nodes.values() if n.display_name == "ask")
    assert asked.outputs.parameters[0].value == "yes"
    with pytest.raises(BadRequest, match="cannot suspend completed workflows"):
        hera.suspend_workflow(name, WorkflowSuspendRequest())


def test_outputs_of_a_step_that_waits_are_set_once(argo: Ask, running: Running) -> None:
    """As Argo's own TestArgoSetOutputs has it."""
    supplied = {"parameters": [{"name": "m", "valueFrom": {"supplied": {}}}]}
    asks: Any = [{"name": "ask", "template": "ask"}, {"name": "plain", "template": "plain"}]
    templates = [
        {"name": "main", "steps": [asks]},
        {"name": "ask", "suspend": {}, "outputs": supplied},
        {"name": "plain", "suspend": {}},
    ]
    name = running.submit({**GATE, "spec": {"entrypoint": "main", "templates": templates}})
    running.until(name, "Suspended")
    assert "'m' of ask has not been set and does not have a default value" in argo(
        "resume", name, check=False
    )
    setting = ("node", "set", name, "--output-parameter", "m=hello", "--node-field-selector")
    argo(*setting, "displayName=ask")
    assert "it was already set" in argo(*setting, "displayName=ask", check=False)
    assert "not expecting any raw parameters" in argo(*setting, "displayName=plain", check=False)
    argo("node", "set", name, "--message", "told", "--node-field-selector", "displayName=ask")
    argo("resume", name)
    nodes: Any = running.until(name, "Succeeded")["status"]
    (asked,) = [each for each in nodes["nodes"].values() if each["displayName"] == "ask"]
    assert (asked["message"], asked["outputs"]["parameters"][0]["value"]) == ("told", "hello")


def test_a_dry_run_keeps_nothing(argo: Ask, tmp_path: Path) -> None:
    file = tmp_path / "dry.yaml"
    file.write_text(json.dumps({**HELLO, "metadata": {"name": "dry"}}))
    assert "uid:" not in argo("submit", str(file), "--dry-run", "-o", "yaml")
    assert "uid:" in argo("submit", str(file), "--server-dry-run", "-o", "yaml")
    assert "not found" in argo("get", "dry", check=False)


def test_stop_and_terminate(hera: WorkflowsService, running: Running) -> None:
    for work, end in (
        (hera.stop_workflow, WorkflowStopRequest),
        (hera.terminate_workflow, WorkflowTerminateRequest),
    ):
        name = create(hera, GATE)
        running.until(name, "Suspended")
        work(name, end())
        running.until(name, "Failed")
    name = create(hera, GATE)
    running.until(name, "Suspended")
    hera.stop_workflow(name, WorkflowStopRequest(node_field_selector="displayName=ask", message="no"))
    running.until(name, "Failed")
    (asked,) = (n for n in hera.get_workflow(name).status.nodes.values() if n.display_name == "ask")
    assert (asked.phase, asked.message) == ("Failed", "no")


def test_retry_and_resubmit(hera: WorkflowsService, running: Running) -> None:
    name = create(hera, FAILS)
    running.until(name, "Failed")
    version = hera.get_workflow(name).metadata.resource_version
    again = hera.retry_workflow(name, WorkflowRetryRequest())
    assert again.metadata.name == name and again.metadata.resource_version != version
    running.until(name, "Failed")
    copy = hera.resubmit_workflow(name, WorkflowResubmitRequest(memoized=False))
    assert copy.metadata.name != name
    assert copy.metadata.labels["workflows.argoproj.io/resubmitted-from-workflow"] == name
    ended = running.until(copy.metadata.name, "Failed")
    assert "Succeeded" in {each["phase"] for each in ended["status"]["nodes"].values()}  # type: ignore[index]
    fine = create(hera, HELLO)
    running.until(fine, "Succeeded")
    with pytest.raises(BadRequest, match="To retry a succeeded workflow"):
        hera.retry_workflow(fine, WorkflowRetryRequest())


@pytest.mark.parametrize("way", ["argo", "argo_of_kubernetes"])
def test_all_that_is_selected_runs_again(request: pytest.FixtureRequest, running: Running, way: str) -> None:
    """With a kubeconfig `argo` takes the nodes away itself, and writes the Workflow back."""
    good = {"image": "x", "command": ["true"]}
    tasks = [{"name": name, "template": "good" if name != "c" else "other"} for name in ("a", "b", "c")]
    flow = {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "dag": {"tasks": tasks}},
            {"name": "good", "container": good},
            {"name": "other", "container": good},
        ],
    }
    name = running.submit({**HELLO, "spec": flow})

    def began() -> dict[str, str]:
        status: Any = running.until(name, "Succeeded")["status"]
        return {each["displayName"]: each["startedAt"] for each in status["nodes"].values()}

    before = began()
    time.sleep(1.1)  # times are told to the second
    ask: Ask = request.getfixturevalue(way)
    ask("retry", name, "--restart-successful", "--node-field-selector", "templateName=good")
    ask("wait", name)
    after = began()
    assert {step for step in ("a", "b", "c") if after[step] > before[step]} == {"a", "b"}


def test_the_real_argo_submits_looks_and_deletes(argo: Ask, tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(json.dumps(HELLO))
    said = argo("submit", str(file), "--wait", "-o", "name")
    name = said.split()[0].split("/")[-1]
    assert "Succeeded" in argo("get", name)
    assert name in argo("list", "--completed", "-o", "name")
    assert name in argo("get", "@latest")
    argo("wait", name)
    assert "hello" in argo("logs", name, "--no-color")
    assert "no linting errors" in argo("lint", str(file))
    argo("delete", name)
    assert 'workflows.argoproj.io "' in argo("get", name, check=False)
