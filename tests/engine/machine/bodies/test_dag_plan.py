"""What is known of a DAG before it runs, and what it costs to know it."""

from __future__ import annotations

import tracemalloc

from tiphys.engine.machine.bodies.dag_plan import DagPlan


def chain(count: int) -> DagPlan:
    tasks = [{"name": "t0", "template": "t"}]
    tasks += [{"name": f"t{index}", "template": "t", "depends": f"t{index - 1}"} for index in range(1, count)]
    return DagPlan({"tasks": tasks})  # type: ignore[typeddict-item]


def test_ancestors() -> None:
    plan = DagPlan(
        {
            "tasks": [  # type: ignore[typeddict-item]
                {"name": "d", "depends": "b && c"},
                {"name": "a"},
                {"name": "b", "depends": "a"},
                {"name": "c", "depends": "nobody"},
                {"name": "e"},
            ]
        }
    )
    assert list(plan.above("d")) == ["a", "b", "c"]
    assert list(plan.above("a")) == []
    assert [name for name in plan.tasks if plan.is_above(name, "d")] == ["a", "b", "c"]
    assert not plan.is_above("d", "a") and not plan.is_above("e", "d") and not plan.is_above("nobody", "d")
    assert plan.order.index("a") < plan.order.index("b") < plan.order.index("d")


def test_four_times_the_tasks_take_four_times_the_memory() -> None:
    """A bit a task for each task was 150 MB of a run of 50 000."""
    taken = []
    for count in (5000, 20_000):
        tracemalloc.start()
        plan = chain(count)
        taken.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(plan.order) == count
    assert taken[1] < 4.4 * taken[0]
