"""Resume and stop of nodes that wait, beside what Argo's ResumeWorkflow and StopWorkflow made of the same workflows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.argo.verbs.record import shape
from tests.argo.verbs.recorded import NOW, cases, given, shown
from tiphys.argo.verbs import ImpossibleError, declined, resumed

Json = Any


OTHERWISE = "three resume displayName=b"
"""A node that is selected and has an output without a value: Argo ends it, and the workflow then waits for ever for a
value that nobody can give any more. Here it is refused, as by Argo without a selector."""


def done(case: Json, workflow: Json) -> Json:
    """The verb, done to the workflow."""
    if case["verb"] == "resume":
        return resumed(workflow, NOW, case.get("selector", ""))
    return declined(workflow, NOW, case.get("selector", ""), case.get("message", ""))


def without_outputs(found: Json) -> Json:
    """The same but for outputs of Suspend nodes."""
    nodes = {
        key: {name: value for name, value in node.items() if name != "outputs" or node["type"] != "Suspend"}
        for key, node in found["nodes"].items()
    }
    return {**found, "nodes": nodes}


@pytest.mark.parametrize(
    "case", [case for case in cases("resume", "stop") if shown(case) != OTHERWISE], ids=shown
)
def test_what_becomes_of_nodes_that_wait_is_argos(case: Json) -> None:
    workflow = given(case)
    if "error" in case["answer"]:
        with pytest.raises(ImpossibleError):
            done(case, workflow)
    else:
        found, theirs = {"pods": [], **shape(done(case, workflow))}, case["answer"]
        if case["verb"] == "resume" and case.get(
            "selector"
        ):  # Argo leaves out the defaults then, and waits for ever
            found, theirs = without_outputs(found), without_outputs(theirs)
        assert found == theirs
    assert workflow == case["workflow"]


def test_a_node_that_is_selected_takes_its_defaults_too() -> None:
    case = next(case for case in cases("resume") if shown(case) == "one resume displayName=a")
    (node,) = (
        node for node in done(case, given(case))["status"]["nodes"].values() if node["type"] == "Suspend"
    )
    assert node["outputs"] == {"parameters": [{"name": "a", "value": "one"}]}


def test_a_node_without_its_value_is_refused_before_it_ends() -> None:
    case = next(case for case in cases("resume") if shown(case) == OTHERWISE)
    assert "error" not in case["answer"]
    with pytest.raises(ImpossibleError, match="b waits for its output 'a'"):
        done(case, given(case))


def test_a_value_that_was_supplied_stays() -> None:
    case = next(case for case in cases("resume") if shown(case) == "one resume")
    workflow = given(case)
    (node,) = (node for node in workflow["status"]["nodes"].values() if node["type"] == "Suspend")
    node["outputs"]["parameters"] = [{"name": "a", "value": "mine"}]
    after = done(case, workflow)["status"]["nodes"][node["id"]]
    assert after["outputs"]["parameters"] == [{"name": "a", "value": "mine"}]
