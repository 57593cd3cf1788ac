"""Who waits for whom in a circle."""

from __future__ import annotations

from tiphys.queue.circles import circle
from tiphys.queue.core import Claim, Holding, PermitPool, QueueState, ask


def state(held: dict[str, tuple[str, str]], wanted: dict[str, tuple[str, str]]) -> QueueState:
    """Names, with the pool of one permit that each holds or wants, and what it is inside of."""

    def claim(name: str, pool: str, within: str) -> Claim:
        return Claim(name, ((pool, 1),), within=within)

    holding = tuple(Holding(claim(name, *each), 1, 0.0) for name, each in held.items())
    pools = {pool: PermitPool(1) for pool, _ in [*held.values(), *wanted.values()]}
    return ask(QueueState(pools, holding=holding), *(claim(name, *each) for name, each in wanted.items()))


def test_two_that_wait_for_one_another() -> None:
    both = state({"A": ("a", ""), "B": ("b", "")}, {"A/x": ("b", "A"), "B/x": ("a", "B")})
    assert circle(both, "A/x") == [("A/x", "B"), ("B/x", "A")]
    assert circle(both, "B/x") == [("B/x", "A"), ("A/x", "B")]


def test_three_in_a_row() -> None:
    three = state(
        {"A": ("a", ""), "B": ("b", ""), "C": ("c", "")},
        {"A/x": ("b", "A"), "B/x": ("c", "B"), "C/x": ("a", "C")},
    )
    assert circle(three, "A/x") == [("A/x", "B"), ("B/x", "C"), ("C/x", "A")]


def test_one_that_holds_what_a_step_of_it_wants() -> None:
    assert circle(state({"A": ("a", "")}, {"A/x": ("a", "A")}), "A/x") == [("A/x", "A")]


def test_one_that_only_waits_behind_a_circle_is_not_in_it() -> None:
    behind = state(
        {"A": ("a", ""), "B": ("b", ""), "C": ("c", "")},
        {"A/x": ("b", "A"), "B/x": ("a", "B"), "C/x": ("a", "C")},
    )
    assert circle(behind, "C/x") == []
    assert circle(behind, "A/x") != []


def test_who_waits_for_one_that_will_end_is_in_none() -> None:
    assert circle(state({"A": ("a", "")}, {"B/x": ("a", "B")}), "B/x") == []
    assert circle(state({"A": ("a", "")}, {}), "A") == []


def test_levels_between_count_too() -> None:
    """A's group holds b, and a step of it wants c; B holds c, and its step wants a, which A itself holds."""
    deep = state(
        {"A": ("a", ""), "A/g": ("b", "A"), "B": ("c", "")}, {"A/g/x": ("c", "A/g"), "B/x": ("a", "B")}
    )
    assert circle(deep, "A/g/x") == [("A/g/x", "B"), ("B/x", "A")]
    assert circle(deep, "B/x") == [("B/x", "A"), ("A/g/x", "B")]
