"""What is told of the table of pools; how it is printed: tests/cli/test_queue.py."""

from __future__ import annotations

import pytest

from tiphys.queue.core import Claim, Holding, PermitPool, QueueState, ask
from tiphys.queue.permits import View
from tiphys.queue.rules import Member, Rules
from tiphys.queue.shares import Shares
from tiphys.queue.telling import of_run, pools_told, users_told, why


def view(**used: float) -> View:
    """x holds 2 of 4; y (an older claim of x's user) and z wait for 3 and for 1 that is kept."""
    x = Claim("argo/x", (("p", 2),), "u")
    y = Claim("argo/y/n1", (("p", 3),), "u", created=1.0, passed=32)
    z = Claim("argo/z/n1", (("p", 1), ("q", 1)), "u", created=2.0)
    state = QueueState(
        {"p": PermitPool(4), "q": PermitPool(1)},
        holding=(Holding(x, 1, 5.0),),
        shares=Shares(used=used, at=10.0),
    )
    names = ("argo/x", "argo/y/n1", "argo/z/n1")
    return View(ask(state, y, z), {name: name[5:6] for name in names}, dict.fromkeys(names, 7.0))


def test_pools_with_their_holders_and_the_order_of_turns() -> None:
    p, q = pools_told(view(), 10.0)
    assert (p.name, p.size, p.free, [each.name for each in p.holding]) == ("p", 4, 2, ["x"])
    assert [(each.name, each.permits, each.ahead) for each in p.waiting] == [("y", 3, ()), ("z", 1, ("y",))]
    assert (q.free, [each.name for each in q.waiting]) == (1, ["z"])


def test_what_is_kept_for_another_is_told() -> None:
    seen = view()
    (claim,) = of_run(seen, "argo", "z")
    assert of_run(seen, "argo", "x") == [] and of_run(seen, "other", "z") == []
    found = why(seen, claim, 10.0)
    assert found is not None
    assert (found[0], found[1].kept_for, found[1].ahead, found[1].never) == ("p", "y", ("y",), False)


def test_shares_are_of_what_all_have_used_and_are_owed() -> None:
    rules = Rules(groups={"g": 3.0}, users={"v": Member("g", 1.0), "w": Member("g", 3.0)})
    told = {each.user: each for each in users_told(view(u=100.0, v=300.0, gone=0.5), rules)}
    assert told.keys() == {"u", "v", "w"}
    assert [told[user].used_share for user in "uvw"] == pytest.approx([0.25, 0.75, 0.0])
    assert [told[user].owed_share for user in "uvw"] == pytest.approx([0.25, 0.1875, 0.5625])
    assert [told[user].group for user in "uvw"] == ["", "g", "g"]
