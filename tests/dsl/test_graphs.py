"""Graphs: whatever the order in which tasks are written, each waits for what it must, said once."""

from __future__ import annotations

import pytest

from tiphys import DefinitionError, Pipeline, component


@component
def do() -> None: ...


def depends(pipeline: Pipeline) -> dict[str, str]:
    tasks = pipeline.to_dict()["spec"]["templates"][0]["dag"]["tasks"]
    return {each["name"]: each.get("depends", "") for each in tasks}


def test_tasks_may_wait_for_those_that_are_written_later() -> None:
    with Pipeline("p") as pipeline:
        a, b, c, d = (do().named(name) for name in "abcd")
        a.after(b, c, d)
        b.after(d)
        d.after(c)
    assert depends(pipeline) == {"a": "b", "b": "d", "c": "", "d": "c"}


def test_a_cycle_is_told_from_where_it_closes() -> None:
    with Pipeline("p") as pipeline:
        a, b, c, d = (do().named(name) for name in "abcd")
        a.after(b)
        b.after(d, c)
        c.after(b)
    with pytest.raises(DefinitionError, match="wait for each other: b -> c -> b") as caught:
        pipeline.to_dict()
    assert caught.value.code == "TIP107"


def test_results_are_asked_of_each_task_that_after_is_given() -> None:
    with Pipeline("p") as pipeline:
        a, b, c = (do().named(name) for name in "abc")
        c.after(a, b, on=("failed", "errored"))
        do().named("d").after(a, b, on="succeeded").after(c)
    found = depends(pipeline)
    assert found["c"] == "(a.Failed || a.Errored) && (b.Failed || b.Errored)"
    assert found["d"] == "a.Succeeded && b.Succeeded && c"
