"""How one run uses the caches: everywhere that a template can be written, or it is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tiphys.argo.cache_mode import NOTHING_EARLIER, with_cache_mode
from tiphys.errors import RefusedError
from tiphys.expr.durations import parse_go
from tiphys.expr.moment import PRESENT
from tiphys.expr.tags import Layers, substitute

Json = Any
MEMO: Json = {"key": "k", "maxAge": "336h", "cache": {"configMap": {"name": "c"}}}


def memoized(name: str, **more: Json) -> Json:
    return {"name": name, "memoize": copy.deepcopy(MEMO), "container": {"image": "a"}, **more}


def flow(*templates: Json, **spec: Json) -> Json:
    return {
        "kind": "Workflow",
        "metadata": {},
        "spec": {"entrypoint": "main", "templates": [*templates], **spec},
    }


NESTED = {"name": "t", "inline": {"steps": [[{"name": "s", "inline": memoized("deep")}]]}}
EVERYWHERE = flow(
    memoized("a", synchronization={"mutexes": [{"name": "k"}]}),
    {"name": "main", "dag": {"tasks": [NESTED]}},
    templateDefaults={"memoize": copy.deepcopy(MEMO), "timeout": "1h"},
)
LIBRARY: Json = {"kind": "WorkflowTemplate", "metadata": {"name": "lib"}, "spec": flow(memoized("w"))["spec"]}
BORROWED = flow({"name": "main", "steps": [[{"name": "s", "templateRef": {"name": "lib", "template": "w"}}]]})


def memos(value: Json) -> list[Json]:
    if isinstance(value, dict):
        own = [value["memoize"]] if "memoize" in value else []
        return own + [m for item in value.values() for m in memos(item)]
    return [m for item in value for m in memos(item)] if isinstance(value, list) else []


def test_never_leaves_no_memoize_and_keeps_the_rest() -> None:
    before = copy.deepcopy(EVERYWHERE)
    made, _ = with_cache_mode(EVERYWHERE, "never")
    assert len(memos(EVERYWHERE)) == 3 and memos(made) == []
    assert made["spec"]["templates"][0]["synchronization"] == {"mutexes": [{"name": "k"}]}
    assert made["spec"]["templateDefaults"] == {"timeout": "1h"}  # type: ignore[typeddict-item]
    assert before == EVERYWHERE, "what was given is not changed"


def test_refresh_changes_the_age_and_nothing_else() -> None:
    made, _ = with_cache_mode(EVERYWHERE, "refresh")
    assert memos(made) == [{**MEMO, "maxAge": NOTHING_EARLIER}] * 3


@pytest.mark.parametrize(
    ("created", "age"),
    # before there is a time: -1h was a miss that is stored on the real controller (4.0.5)
    [("1000", "59s"), ("1059", "0s"), ("1060", "-1s"), ("1100", "-41s"), ("{{placeholder}}", "-1h")],
)
def test_the_age_is_that_of_the_run(created: str, age: str) -> None:
    token = PRESENT.set(1060.7)
    try:
        said = substitute(NOTHING_EARLIER, Layers({"workflow.creationTimestamp.s": created}))
    finally:
        PRESENT.reset(token)
    assert said == age
    assert parse_go(said) is not None, "a Go duration"


def test_auto_is_the_workflow_itself() -> None:
    assert with_cache_mode(BORROWED, "auto") == (BORROWED, [])


def test_templates_that_are_given_with_the_workflow_are_reached() -> None:
    other = {"kind": "ConfigMap", "metadata": {"name": "lib"}}
    by_reference = {"kind": "Workflow", "metadata": {}, "spec": {"workflowTemplateRef": {"name": "lib"}}}
    for workflow in (BORROWED, by_reference):
        made, context = with_cache_mode(workflow, "never", [LIBRARY, other])
        assert made == workflow and memos(context) == [] and context[1] == other
    assert len(memos(LIBRARY)) == 1


@pytest.mark.parametrize(
    ("workflow", "where"),
    [
        ({"spec": {"workflowTemplateRef": {"name": "lib"}}}, "spec.workflowTemplateRef"),
        (BORROWED, "template main, steps[0].s"),
        (flow(memoized("main"), hooks={"exit": {"templateRef": {"name": "lib", "template": "w"}}}), "spec"),
        (
            flow(
                {"name": "main", "resource": {"action": "create", "manifest": "kind: Workflow\n…memoize: {}"}}
            ),
            "template main",
        ),
    ],
)
@pytest.mark.parametrize("context", [[], [{"kind": "ClusterWorkflowTemplate", "metadata": {"name": "lib"}}]])
def test_what_is_out_of_reach_is_refused(workflow: Json, where: str, context: list[Json]) -> None:
    with pytest.raises(RefusedError) as caught:
        with_cache_mode(workflow, "refresh", context)
    assert (caught.value.code, caught.value.where) == ("TIP285", where)
    assert caught.value.fix and caught.value.cause


def test_a_template_that_borrows_is_looked_through_too() -> None:
    chain = {**LIBRARY, "spec": BORROWED["spec"], "metadata": {"name": "outer"}}
    workflow = {"spec": {"workflowTemplateRef": {"name": "outer"}}}
    with pytest.raises(RefusedError):
        with_cache_mode(workflow, "never", [chain])  # type: ignore[typeddict-item]
    assert memos(with_cache_mode(workflow, "never", [chain, LIBRARY])) == []  # type: ignore[typeddict-item]


def test_a_word_that_is_no_mode() -> None:
    with pytest.raises(RefusedError, match="Did you mean") as caught:
        with_cache_mode(BORROWED, "refesh")  # type: ignore[arg-type]
    assert caught.value.code == "TIP284"
