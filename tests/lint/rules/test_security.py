"""Pods with the rights of their node are found wherever they are written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.lint import lint

PRIVILEGED = {"securityContext": {"privileged": True}}
NODE = {"name": "node", "hostPath": {"path": "/"}}
STEP = {"image": "alpine:3.23", "command": ["date"]}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"generateName": "a-"},
    "spec": {
        "activeDeadlineSeconds": 9,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", **STEP, **PRIVILEGED}]}},
    },
}


def codes(template: dict[str, Any], **spec: Any) -> set[str]:
    data = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "a-"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", **template}], **spec},
    }
    return {found.code for found in lint(json.dumps(data)) if found.code.startswith("L37")}


@pytest.mark.parametrize(
    "template",
    [
        {"container": {**STEP, **PRIVILEGED}},
        {"script": {**STEP, "source": "a", **PRIVILEGED}},
        {"container": STEP, "sidecars": [{"name": "s", **STEP, **PRIVILEGED}]},
        {"container": STEP, "initContainers": [{"name": "s", **STEP, **PRIVILEGED}]},
        {"containerSet": {"containers": [{"name": "main", **STEP, **PRIVILEGED}]}},
        {"container": STEP, "podSpecPatch": json.dumps({"containers": [{"name": "main", **PRIVILEGED}]})},
        {"container": STEP, "podSpecPatch": "initContainers: [{name: init, securityContext: {privileged: true}}]"},
        {"resource": {"action": "create", "successCondition": "status.succeeded == 1", "manifest": json.dumps(JOB)}},
        {"container": {**STEP, "securityContext": {"capabilities": {"add": ["ALL"]}}}},
        {"container": {**STEP, "securityContext": {"capabilities": {"add": ["CAP_SYS_PTRACE"]}}}},
    ],
)  # fmt: skip
def test_a_container_with_the_rights_of_the_node(template: dict[str, Any]) -> None:
    assert codes(template) == {"L373"}


def test_the_workflows_own_patch() -> None:
    patch = {"hostPID": True, "containers": [{"name": "main", **PRIVILEGED}], "volumes": [NODE]}
    assert codes({"container": STEP}, podSpecPatch=json.dumps(patch)) == {"L373", "L374"}


@pytest.mark.parametrize("key", ["hostNetwork", "hostPID", "hostIPC"])
def test_what_of_the_node_a_patch_shares(key: str) -> None:
    assert codes({"container": STEP, "podSpecPatch": json.dumps({key: True})}) == {"L374"}
    assert codes({"container": STEP, "podSpecPatch": json.dumps({key: False})}) == set()


@pytest.mark.parametrize("spec", [{"volumes": [NODE]}, {"hostNetwork": True}])
def test_the_workflow_shares_its_node(spec: dict[str, Any]) -> None:
    assert codes({"container": STEP}, **spec) == {"L374"}


@pytest.mark.parametrize(
    "patch", ["{", "{{inputs.parameters.patch}}", "a: &a [*a, *a]", "[1]", "containers: [1]", ""]
)
def test_a_patch_that_cannot_be_read_breaks_nothing(patch: str) -> None:
    assert codes({"container": STEP, "podSpecPatch": patch}) == set()


def test_items_of_a_list_that_a_step_wrote_are_evaluated_again() -> None:
    def called(items: str) -> dict[str, Any]:
        call = {"name": "b", "template": "b", "withParam": items}
        call["arguments"] = {"parameters": [{"name": "x", "value": "{{item}}"}]}  # type: ignore[assignment]
        return {"steps": [[{"name": "a", "template": "a"}], [call]]}

    assert codes(called("{{steps.a.outputs.result}}")) == {"L375"}
    assert codes(called('["a"]')) == set()
