"""Resubmits, beside what Argo's FormulateResubmitWorkflow made of the same workflows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.verbs.record import shape
from tests.argo.verbs.recorded import NOW, cases, given, parameters, shown
from tiphys.argo.names import NodeIDs
from tiphys.argo.verbs import ImpossibleError, memoized, resubmitted

Json = Any


@pytest.mark.parametrize("case", cases("resubmit"), ids=shown)
def test_a_new_workflow_has_the_spec_labels_and_parameters_that_argo_gives_it(case: Json) -> None:
    workflow = given(case)
    made = resubmitted(workflow, parameters=parameters(case))
    assert shape({"status": {}, **made}) == {
        key: value for key, value in case["answer"].items() if key != "pods"
    }
    assert workflow == case["workflow"]


@pytest.mark.parametrize("case", cases("memoized"), ids=shown)
def test_the_pods_that_are_taken_over_are_argos(case: Json) -> None:
    """Argo keeps what is done again as Pending; here it is left out, so only what is taken over is compared."""
    workflow = given(case)
    if "error" in case["answer"]:
        with pytest.raises(ImpossibleError):
            memoized(workflow, "abc", NOW)
        return
    made = memoized(workflow, "abc", NOW)
    name, nodes = made["metadata"]["name"], made["status"]["nodes"]
    assert name == f"{workflow['metadata'].get('generateName') or 'wf-'}abc"
    messages = [node.get("message", "") for node in nodes.values() if node["phase"] == "Skipped"]
    assert sorted(text for text in messages if text.startswith("original pod")) == case["answer"]["taken"]
    for identity, node in nodes.items():
        assert identity == node["id"] == NodeIDs(name).find(node["name"])
        assert node["name"].startswith(name)
        assert {*node.get("children", ()), *node.get("outboundNodes", ())} <= set(nodes)
    assert not [node for node in nodes.values() if node["name"].startswith(f"{name}.onExit")]
    assert workflow == case["workflow"]


def test_labels_of_argo_go_but_those_that_say_where_it_came_from() -> None:
    # workflow/util: creator, phase, completed and archiving labels are not carried over, the template's are
    old = {
        "metadata": {
            "name": "nightly-x", "generateName": "nightly-", "namespace": "team",
            "labels": {
                "team": "ml", "workflows.argoproj.io/phase": "Failed", "workflows.argoproj.io/completed": "true",
                "workflows.argoproj.io/workflow-template": "nightly", "workflows.argoproj.io/cron-workflow": "n",
                "workflows.argoproj.io/test": "true",
            },
            "annotations": {"note": "a", "workflows.argoproj.io/pod-name-format": "v2"},
            "ownerReferences": [{"kind": "CronWorkflow", "name": "n", "uid": "1"}],
        },
        "spec": {"shutdown": "Stop", "suspend": True, "entrypoint": "main"},
    }  # fmt: skip
    made = resubmitted(old)
    assert made["metadata"] == {
        "generateName": "nightly-",
        "namespace": "team",
        "labels": {
            "team": "ml",
            "workflows.argoproj.io/workflow-template": "nightly",
            "workflows.argoproj.io/cron-workflow": "n",
            "workflows.argoproj.io/test": "true",
            "workflows.argoproj.io/resubmitted-from-workflow": "nightly-x",
        },
        "annotations": {"note": "a"},
        "ownerReferences": [{"kind": "CronWorkflow", "name": "n", "uid": "1"}],
    }
    assert made["spec"] == {"entrypoint": "main"}


def test_templates_that_the_workflow_had_stored_come_along() -> None:
    stored = {"namespaced/t/main": {"name": "main"}}
    old = {
        "metadata": {"name": "a"},
        "spec": {},
        "status": {"phase": "Error", "nodes": {}, "storedTemplates": stored},
    }
    assert memoized(old, "b", NOW)["status"]["storedTemplates"] == stored
