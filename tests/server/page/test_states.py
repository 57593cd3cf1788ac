"""How far each item of a plan is."""

from __future__ import annotations

from pathlib import Path

from tests.server.page.planned import ran
from tiphys.server.page.states import item_states


def test_each_step_belongs_to_the_item_that_it_came_of(tmp_path: Path) -> None:
    workflow, plan, record = ran(tmp_path)
    states = item_states(plan, workflow, record)
    items = {each.title: each for each in plan.main.items}
    inner = items["inner"].inner
    assert inner is not None
    items |= {each.title: each for each in inner.items}
    found = {title: (states[each.key].css, len(states[each.key].steps)) for title, each in items.items()}
    assert found == {
        "each": ("ok", 2), "inner": ("bad", 2), "good": ("ok", 1), "bad": ("bad", 1), "after": ("none", 1),
    }  # fmt: skip
    assert states[items["each"].key].told == "×2: 2 done"
