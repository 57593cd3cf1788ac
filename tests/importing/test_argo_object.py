"""WorkflowTemplates and CronWorkflows."""

from __future__ import annotations

from tests.importing.flows import flow, imported, tasks

STEPS = """    steps:
    - - {name: a, template: say, arguments: {parameters: [{name: text, value: x}]}}
"""


def test_a_cluster_template_keeps_its_kind_and_labels() -> None:
    text = flow(STEPS).replace("kind: Workflow", "kind: ClusterWorkflowTemplate")
    text = text.replace("{generateName: flow-}", "{name: shared, labels: {team: a}, uid: 77}")
    made, compiled = imported(text)
    assert compiled["kind"] == "ClusterWorkflowTemplate"
    assert compiled["metadata"] == {"name": "shared", "labels": {"team": "a"}}
    assert [each.kind for each in made.told if each.what == "metadata.uid"] == ["spent"]


def test_a_schedule_keeps_all_that_it_says() -> None:
    inner = flow(STEPS).partition("spec:\n")[2].replace("\n", "\n  ")
    text = f"""
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {{name: nightly}}
spec:
  schedules: ["0 3 * * *"]
  timezone: Europe/Berlin
  concurrencyPolicy: Replace
  startingDeadlineSeconds: 0
  successfulJobsHistoryLimit: 4
  stopStrategy: {{expression: "cronworkflow.failed >= 3"}}
  workflowSpec:
  {inner}
"""
    made, compiled = imported(text)
    spec = dict(compiled["spec"])
    assert tasks({"spec": spec.pop("workflowSpec")}).keys() == {"a"}
    assert spec == {
        "schedules": ["0 3 * * *"],
        "timezone": "Europe/Berlin",
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 0,
        "successfulJobsHistoryLimit": 4,
        "stopStrategy": {"expression": "cronworkflow.failed >= 3"},
    }
    assert {each.what for each in made.told if each.kind == "kept"} >= {"spec.stopStrategy"}
