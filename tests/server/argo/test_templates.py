"""Templates that are kept, by Hera's client and by the real ``argo``; what is submitted from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hera.exceptions import AlreadyExists, BadRequest, NotFound
from hera.workflows import WorkflowsService
from hera.workflows import models as m

from tests.server.argo.conftest import Ask
from tests.server.running import HELLO, Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic

SPEC = json.loads(json.dumps(HELLO["spec"]))


def given(name: str, **more: object) -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {**SPEC, **more}}


def test_workflow_templates(hera: WorkflowsService, running: Running) -> None:
    template = m.WorkflowTemplate.parse_obj(given("greet"))
    hera.lint_workflow_template(m.WorkflowTemplateLintRequest(template=template))
    assert hera.list_workflow_templates(name_pattern="greet").items == []
    made = hera.create_workflow_template(m.WorkflowTemplateCreateRequest(template=template))
    assert made.metadata.uid
    with pytest.raises(AlreadyExists):
        hera.create_workflow_template(m.WorkflowTemplateCreateRequest(template=template))
    changed = m.WorkflowTemplate.parse_obj(given("greet", priority=3))
    hera.update_workflow_template("greet", m.WorkflowTemplateUpdateRequest(template=changed))
    assert hera.get_workflow_template("greet").spec.priority == 3
    assert "greet" in [each.metadata.name for each in hera.list_workflow_templates().items]
    run = hera.submit_workflow(
        m.WorkflowSubmitRequest(
            resource_kind="WorkflowTemplate",
            resource_name="greet",
            submit_options=m.SubmitOpts(labels="a=b", generate_name="from-greet-"),
        )
    )
    assert run.metadata.labels["a"] == "b"
    assert run.metadata.labels["workflows.argoproj.io/workflow-template"] == "greet"
    assert running.until(run.metadata.name, "Succeeded")["metadata"]["name"].startswith("from-greet-")  # type: ignore[index]
    hera.delete_workflow_template("greet")
    with pytest.raises(NotFound):
        hera.get_workflow_template("greet")
    with pytest.raises(NotFound):
        hera.submit_workflow(m.WorkflowSubmitRequest(resource_kind="WorkflowTemplate", resource_name="greet"))


def test_cluster_workflow_templates(hera: WorkflowsService, running: Running) -> None:
    template = m.ClusterWorkflowTemplate.parse_obj(given("wide"))
    hera.lint_cluster_workflow_template(m.ClusterWorkflowTemplateLintRequest(template=template))
    hera.create_cluster_workflow_template(m.ClusterWorkflowTemplateCreateRequest(template=template))
    hera.update_cluster_workflow_template("wide", m.ClusterWorkflowTemplateUpdateRequest(template=template))
    assert [each.metadata.name for each in hera.list_cluster_workflow_templates().items] == ["wide"]
    run = hera.submit_workflow(
        m.WorkflowSubmitRequest(resource_kind="clusterworkflowtemplate", resource_name="wide")
    )
    running.until(run.metadata.name, "Succeeded")
    hera.delete_cluster_workflow_template("wide")
    with pytest.raises(NotFound):
        hera.get_cluster_workflow_template("wide")


def test_what_is_wrong_is_not_kept(hera: WorkflowsService) -> None:
    wrong = m.WorkflowTemplate.parse_obj(given("wrong", entrypoint="nowhere"))
    with pytest.raises(BadRequest, match="nowhere"):
        hera.create_workflow_template(m.WorkflowTemplateCreateRequest(template=wrong))
    with pytest.raises(NotFound):
        hera.get_workflow_template("wrong")


def test_cron_workflows_are_listed(hera: WorkflowsService) -> None:
    assert hera.list_cron_workflows().items == []
    with pytest.raises(NotFound):
        hera.get_cron_workflow("none")


def test_the_real_argo_keeps_templates_and_submits_from_them(
    argo: Ask, running: Running, tmp_path: Path
) -> None:
    file = tmp_path / "template.yaml"
    head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "WorkflowTemplate"}
    told = given("told", arguments={"parameters": [{"name": "who", "value": "you"}]})
    told["spec"]["templates"][1]["container"]["args"] = ["echo hello {{workflow.parameters.who}}"]  # type: ignore[index]
    file.write_text(json.dumps({**head, **told}))
    argo("template", "lint", str(file))
    argo("template", "create", str(file))
    assert "told" in argo("template", "list", "-o", "name")
    told["spec"]["priority"] = 7  # type: ignore[index]
    file.write_text(json.dumps({**head, **told}))
    argo("template", "update", str(file))  # which names it in the body alone
    assert '"priority": 7' in argo("template", "get", "told", "-o", "json")
    said = argo("submit", "--from", "workflowtemplate/told", "-p", "who=moon", "--wait", "-o", "name")
    name = said.split()[0].split("/")[-1]
    assert "hello moon" in argo("logs", name, "--no-color")
    argo("template", "delete", "told")
    assert "not found" in argo("template", "get", "told", check=False)
    assert "told" not in argo("cron", "list") + argo("cluster-template", "list")


def test_the_real_argo_keeps_cron_workflows(argo: Ask, tmp_path: Path) -> None:
    file = tmp_path / "cron.yaml"
    cron = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "rare"},
        "spec": {"schedules": ["0 0 1 1 *"], "workflowSpec": HELLO["spec"]},
    }
    file.write_text(json.dumps(cron))
    argo("cron", "create", str(file))
    file.write_text(json.dumps({**cron, "spec": {**cron["spec"], "schedules": ["0 0 2 2 *"]}}))  # type: ignore[dict-item]
    argo("cron", "update", str(file))
    assert "0 0 2 2 *" in argo("cron", "get", "rare")
    cron["metadata"] = {"generateName": "each-"}
    file.write_text(json.dumps(cron))
    argo("cron", "create", str(file))
    argo("cron", "create", str(file))
    names = [line.partition("/")[2] for line in argo("cron", "list", "-o", "name").split()]
    names = names if all(names) else argo("cron", "list", "-o", "name").split()
    assert len([name for name in names if name.startswith("each-")]) == 2
    for name in names:
        argo("cron", "delete", name)
