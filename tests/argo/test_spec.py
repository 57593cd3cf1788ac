"""The way through a spec: groups, tasks, containers, inline templates, each with its path."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.argo.spec import (
    TYPES,
    calls,
    containers,
    every_template,
    holders,
    set_containers,
    step_groups,
    tasks,
    template_type,
    workflow_spec,
)

Json = Any
STEPS = {"name": "s", "steps": [[{"name": "a"}, {"name": "b"}], [], [{"name": "c"}]]}
DAG = {"name": "d", "dag": {"tasks": [{"name": "x"}, "no task", {"name": "y"}]}}


def test_groups_and_tasks() -> None:
    assert [[step["name"] for step in group] for group in step_groups(STEPS)] == [["a", "b"], [], ["c"]]
    assert [task["name"] for task in tasks(DAG)] == ["x", "y"]
    assert not tasks(STEPS) and not step_groups(DAG)


def test_calls_know_their_place() -> None:
    found = [(call.label, call.path, call.group) for call in [*calls(STEPS), *calls(DAG)]]
    assert found == [
        ("steps[0].a", ("steps", 0, 0), 0),
        ("steps[0].b", ("steps", 0, 1), 0),
        ("steps[2].c", ("steps", 2, 0), 2),
        ("tasks.x", ("dag", "tasks", 0), 0),
        ("tasks.y", ("dag", "tasks", 2), 0),
    ]
    for template in (STEPS, DAG):
        for call in calls(template):
            at: Json = template
            for part in call.path:
                at = at[part]
            assert at is call.holder


def test_a_group_that_is_no_list() -> None:
    rows = [{"steps": [{"name": "a"}]}, {"name": "b"}, "nothing", None]
    assert [[step["name"] for step in group] for group in step_groups({"steps": rows})] == [["a"], ["b"]]
    assert [call.path for call in calls({"steps": rows})] == [("steps", 0, "steps", 0), ("steps", 1)]


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"steps": None, "dag": None},
        {"steps": {}, "dag": []},
        {"dag": {"tasks": None}},
        {"containerSet": 1},
    ],
)
def test_what_is_no_list_holds_nothing(template: Json) -> None:
    assert not [*calls(template), *containers(template), *set_containers(template)]
    assert list(every_template([template, "text"])) == [(("templates", 0), template)]
    assert not list(every_template(None))


def test_containers_of_a_pod() -> None:
    template = {
        "container": {"name": "one"},
        "script": {"name": "two"},
        "containerSet": {"containers": [{"name": "three"}, None, {"name": "four"}]},
        "initContainers": [{"name": "six"}],
        "sidecars": [{"name": "five"}],
    }
    assert {path: item["name"] for path, item in containers(template)} == {
        ("container",): "one",
        ("script",): "two",
        ("containerSet", "containers", 0): "three",
        ("containerSet", "containers", 2): "four",
        ("sidecars", 0): "five",
        ("initContainers", 0): "six",
    }
    assert [item["name"] for item in set_containers(template)] == ["three", "four"]


def test_inline_templates_are_templates() -> None:
    inner: Json = {"container": {}}
    outer = {"dag": {"tasks": [{"name": "t", "inline": inner}, {"name": "u", "inline": None}]}}
    named = {"name": "main", "steps": [[{"name": "a", "inline": outer}]]}
    found = dict(every_template([named], ("spec", "templates")))
    assert found == {
        ("spec", "templates", 0): named,
        ("spec", "templates", 0, "steps", 0, 0, "inline"): outer,
        ("spec", "templates", 0, "steps", 0, 0, "inline", "dag", "tasks", 0, "inline"): inner,
    }
    assert found["spec", "templates", 0, "steps", 0, 0, "inline"] is outer


def test_a_template_within_itself_comes_to_an_end() -> None:
    endless: Json = {"dag": {"tasks": [{"name": "t"}]}}
    endless["dag"]["tasks"][0]["inline"] = endless
    assert 20 < len(list(every_template([endless]))) < 200


def test_everything_that_names_a_template() -> None:
    hook = {"templateRef": {"name": "w", "template": "e"}}
    step = {"name": "a", "template": "b", "onExit": "c", "hooks": {"exit": {"template": "d"}, "odd": None}}
    spec = {
        "entrypoint": "main",
        "onExit": "bye",
        "hooks": {"running": hook},
        "templates": [{"name": "main", "steps": [[step]]}, {"container": {"templateRef": {"name": "no"}}}],
    }
    assert [each.get("template") or each["templateRef"]["template"] for each in holders(spec)] == [
        "main", "bye", "e", "b", "c", "d",
    ]  # fmt: skip
    assert not list(holders({"entrypoint": "", "hooks": [hook]}))


def test_a_cron_workflows_spec_is_that_of_its_workflows() -> None:
    spec = {"entrypoint": "a"}
    assert workflow_spec({"kind": "Workflow", "spec": spec}) is spec
    assert workflow_spec({"kind": "CronWorkflow", "spec": {"workflowSpec": spec}}) is spec
    for wrong in ({}, {"spec": None}, {"spec": "a"}, {"kind": "CronWorkflow", "spec": ["a"]}):
        assert workflow_spec(wrong) == {}


def test_the_type_of_a_template() -> None:
    # the order of Template.GetType in argo-workflows
    assert list(TYPES) == [
        "container", "containerSet", "steps", "dag", "script", "resource", "data", "suspend", "http", "plugin",
    ]  # fmt: skip
    assert [template_type({name: {"a": 1}}) for name in TYPES] == list(TYPES)
    assert template_type({"suspend": {}}) == "suspend"
    assert template_type({"steps": []}) == template_type({"steps": None}) == template_type({}) == ""
    assert template_type({"script": {}, "container": {}}) == "container"
