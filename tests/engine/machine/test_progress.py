"""The progress of groups: every executing node that they lead to, once."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiphys.engine.machine.progress import sum_progress

Nodes = dict[str, dict[str, Any]]


@st.composite
def graphs(draw: st.DrawFn) -> Nodes:
    """Nodes whose edges lead from lower to higher numbers; some have children that are not there."""
    count = draw(st.integers(1, 12))
    nodes: Nodes = {}
    for number in range(count):
        node: dict[str, Any] = {"type": draw(st.sampled_from(["Pod", "DAG", "Suspend"]))}
        if node["type"] != "DAG":
            total = draw(st.integers(1, 5))
            node["progress"] = f"{draw(st.integers(0, total))}/{total}"
        node["children"] = [
            f"n{other}" for other in draw(st.sets(st.integers(number + 1, count + 1), max_size=4))
        ]
        nodes[f"n{number}"] = node
    return dict(draw(st.permutations(list(nodes.items()))))


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine, with every line counted
@given(graphs())
def test_each_executing_node_counts_once(nodes: Nodes) -> None:
    def reached(identity: str) -> set[str]:
        below = {child for child in nodes[identity]["children"] if child in nodes}
        return below.union(*(reached(child) for child in below))

    expected = {}
    for identity, node in nodes.items():
        if node["type"] == "DAG":
            parts = [
                nodes[other]["progress"].split("/")
                for other in reached(identity)
                if nodes[other]["type"] != "DAG"
            ]
            expected[identity] = "/".join(str(sum(int(part[side]) for part in parts)) for side in (0, 1))
    sum_progress(nodes, {"Pod", "Suspend"})
    assert {name: node["progress"] for name, node in nodes.items() if node["type"] == "DAG"} == expected
