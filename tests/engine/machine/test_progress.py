"""The progress of groups: every executing node that they lead to, once."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiphys.engine.machine.progress import sum_up

Nodes = dict[str, dict[str, Any]]


@st.composite
def graphs(draw: st.DrawFn) -> Nodes:
    """Nodes whose edges lead from lower to higher numbers; some have children that are not there."""
    count = draw(st.integers(1, 12))
    nodes: Nodes = {}
    for number in range(count):
        node: dict[str, Any] = {"type": draw(st.sampled_from(["Pod", "DAG", "Suspend"])), "phase": "Running"}
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
    sum_up(nodes, {"Pod", "Suspend"})
    assert {name: node["progress"] for name, node in nodes.items() if node["type"] == "DAG"} == expected


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), st.data())
def test_resources_are_summed_as_argos_updater_does(nodes: Nodes, data: st.DataObject) -> None:
    """Beside it, the loops of util/resource/updater.go in Python."""
    for node in nodes.values():
        node["phase"] = data.draw(st.sampled_from(["Running", "Succeeded", "Failed"]))
        if node["type"] == "Pod" and data.draw(st.booleans()):
            node["resourcesDuration"] = data.draw(
                st.dictionaries(st.sampled_from(["cpu", "memory"]), st.integers(0, 40), min_size=1)
            )

    def below(identity: str, visited: set[str]) -> dict[str, int]:
        total: dict[str, int] = {}
        for child in nodes[identity]["children"]:
            if child in visited or child not in nodes:
                continue
            visited.add(child)
            own = nodes[child].get("resourcesDuration") or {} if nodes[child]["type"] == "Pod" else {}
            for part in (own, below(child, visited)):
                for name, units in part.items():
                    total[name] = total.get(name, 0) + units
        return total

    expected, whole = {}, {}
    for identity, node in nodes.items():
        if node["type"] == "Pod":
            expected[identity] = node.get("resourcesDuration") or {}
            for name, units in expected[identity].items():
                whole[name] = whole.get(name, 0) + units
        else:
            expected[identity] = below(identity, set()) if node["phase"] != "Running" else {}
    assert sum_up(nodes, {"Pod", "Suspend"}) == whole
    assert {identity: node.get("resourcesDuration") or {} for identity, node in nodes.items()} == expected
