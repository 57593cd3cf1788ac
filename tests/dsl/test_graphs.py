"""Graphs: whatever the order in which tasks are written, each waits for what it must, said once."""

from __future__ import annotations

import random

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


@pytest.mark.parametrize("far", [3, 40, 2400])
def test_what_is_implied_is_left_out_of_a_long_graph(far: int) -> None:
    """Beside the definition, by sets: a task is not said that another one, which is waited for, has waited for."""
    chance = random.Random(far)
    given: list[list[int]] = []
    for number in range(2400):
        near = range(max(0, number - far), number)
        given.append(chance.sample(near, min(len(near), chance.randrange(4))))
    with Pipeline("p") as pipeline:
        tasks = [do().named(f"t{number}") for number in range(len(given))]
        for task, others in zip(tasks, given, strict=True):
            task.after(*(tasks[other] for other in others))
    found = depends(pipeline)
    before: list[set[int]] = []
    for number, others in enumerate(given):
        implied = set().union(*(before[other] for other in others))
        before.append(implied | set(others))
        said = [f"t{other}" for other in others if other not in implied]
        assert found[f"t{number}"] == " && ".join(said)
