"""Who names the outputs of what may have failed: held against what the real controller waited for."""

from __future__ import annotations

import pytest

from tests.conformance.argo40 import FOLDER, records
from tests.conformance.own import cases
from tiphys.lint import lint

FAILED = {name: case for name, case in cases(FOLDER).items() if case.family == "failed"}


@pytest.mark.parametrize("name", FAILED)
def test_it_is_told_where_the_controller_waits_and_nowhere_else(name: str) -> None:
    found = {each.code for each in lint(FAILED[name].workflow, argo="4.0")}
    assert ("L376" in found) == (records()[name]["phase"] == "Running")


def test_behind_a_chain_the_newest_goes_on() -> None:
    workflow = FAILED["dag-failed-optional-chain"].workflow
    assert "L376" not in {each.code for each in lint(workflow)}


def spec(depends: str, value: str = "{{tasks.a.outputs.parameters.r}}", **more: object) -> dict[str, object]:
    make = {
        "name": "make",
        "container": {"image": "alpine:3.23", "command": ["date"]},
        "outputs": {"parameters": [{"name": "r", "valueFrom": {"path": "/tmp/r"}}]},
    }
    take = {"inputs": {"parameters": [{"name": "x"}]}, "name": "take", "container": make["container"]}
    given = {"parameters": [{"name": "x", "value": value}]}
    tasks = [
        {"name": "a", "template": "make", **more},
        {"name": "b", "template": "make"},
        {"name": "c-1", "template": "make"},
        {"name": "last", "template": "take", "depends": depends, "arguments": given},
    ]
    main = {"name": "main", "dag": {"tasks": tasks}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "a-"},
        "spec": {"entrypoint": "main", "templates": [main, make, take]},
    }


C1 = "{{=tasks['c-1'].outputs.parameters.r}}"


@pytest.mark.parametrize(
    ("workflow", "told"),
    [
        (spec("a"), False),
        (spec("a && b"), False),
        (spec("a.Succeeded && (b.Failed || c-1.Failed)"), False),
        (spec("a || b"), True),
        (spec("!a.Succeeded && b"), True),
        (spec("!a.Failed && !a.Errored"), False),
        (spec("a.Failed"), True),
        (spec("a.AnySucceeded || a.AllFailed", withItems=[1]), False),  # a loop: those that went well
        (spec("a && c-1.Failed", C1), True),
        (spec("a.Failed && c-1", C1), False),
        (spec("a &&"), False),  # L320
        (spec("a.Failed", "{{=toJson(tasks.a)}}"), False),
        (spec("a.Failed", "{{tasks.a.status}}"), False),
    ],
)
def test_who_may_have_failed(workflow: dict[str, object], told: bool) -> None:
    assert ("L376" in {each.code for each in lint(workflow)}) == told
