"""The graph's edges, against those of the nodes."""

from __future__ import annotations

from typing import Any

from tiphys.pages.graph import MOST, graph
from tiphys.records.fold import fold


def drawn(nodes: dict[str, dict[str, Any]]) -> tuple[str, int, float]:
    whole = {
        key: {"id": key, "name": f"r.{key}", "type": "Pod", "phase": "Succeeded", **each}
        for key, each in nodes.items()
    }
    made: Any = {"metadata": {"name": "r"}, "spec": {}, "status": {"nodes": whole}}
    return graph(made, fold(made))


def test_groups_are_passed_through() -> None:
    text, left, width = drawn(
        {
            "a": {"children": ["g"]},
            "g": {"type": "StepGroup", "children": ["b", "c", "lost"]},
            "b": {"children": ["d"]},
            "c": {"children": ["d"]},
            "d": {"phase": "Failed", "message": "<b>"},
        }
    )
    assert text.count('class="edge"') == 4 and left == 0 and width > 100
    assert text.count('<g class="ok">') == 3 and text.count('<g class="bad">') == 1 and "<b>" not in text


def test_circles_end() -> None:
    text, _, _ = drawn({"a": {"children": ["b"]}, "b": {"children": ["a"]}})
    assert text.count("<g ") == 2


def test_a_retry_is_one_box() -> None:
    flag = {"nodeFlag": {"retried": True}}
    text, _, _ = drawn(
        {
            "a": {"type": "Retry", "children": ["a0", "a1"]},
            "a0": {"phase": "Failed", **flag},
            "a1": {"children": ["b"], **flag},
            "b": {},
        }
    )
    assert text.count("<g ") == 2 and text.count('class="edge"') == 1 and "2 attempts" in text


def test_nothing_and_too_much() -> None:
    assert drawn({}) == ("", 0, 0.0)
    text, left, _ = drawn({f"s{place:04}": {} for place in range(MOST + 5)})
    assert left == 5 and text.count("<g ") == MOST
