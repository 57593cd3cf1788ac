"""Parameters of a spec that are given anew, and what stop and suspend wrote into it."""

from __future__ import annotations

import copy
from typing import Any

from tiphys.argo.verbs.arguments import as_before, given_parameters, override

Json = Any


def workflow(*parameters: Json) -> Json:
    return {"metadata": {"name": "a"}, "spec": {"arguments": {"parameters": list(parameters)}}}


def test_values_replace_values_and_where_they_came_from() -> None:
    # workflow/util overrideParameters: the parameter becomes {name, value}
    made = workflow({"name": "a", "value": "1"}, {"name": "b", "valueFrom": {"configMapKeyRef": {}}})
    override(made, {"a": "2", "b": "3", "c": "4"})
    assert made["spec"]["arguments"]["parameters"] == [
        {"name": "a", "value": "2"},
        {"name": "b", "value": "3"},
        {"name": "c", "value": "4"},
    ]


def test_nothing_is_made_where_nothing_is_given() -> None:
    made: Json = {"spec": {}}
    override(made, {})
    assert made == {"spec": {}}


def test_the_spec_of_the_template_it_came_from_gets_them_too() -> None:
    made = {**workflow(), "status": {"storedWorkflowTemplateSpec": {"entrypoint": "main"}}}
    override(made, {"a": "2"})
    stored = made["status"]["storedWorkflowTemplateSpec"]
    assert stored["arguments"] == made["spec"]["arguments"] == {"parameters": [{"name": "a", "value": "2"}]}


def test_a_submit_sets_what_is_declared_and_leaves_its_workflow_alone() -> None:
    old = workflow({"name": "a", "value": "1"}, {"name": "b", "value": "2"})
    before = copy.deepcopy(old)
    assert given_parameters(old, {"b": "3", "unknown": "4"})["spec"]["arguments"]["parameters"] == [
        {"name": "a", "value": "1"},
        {"name": "b", "value": "3"},
    ]
    assert given_parameters(old, {"unknown": "4"}) == before
    assert given_parameters({"spec": {}}, {"a": "1"}) == {"spec": {}}
    assert old == before


def test_stop_and_suspend_are_taken_back() -> None:
    made = {"spec": {"shutdown": "Stop", "suspend": True, "entrypoint": "main"}}
    as_before(made)
    assert made == {"spec": {"entrypoint": "main"}}
