"""What a pod had and for how long, beside what the real controller (4.0.5) wrote of a run, and its own examples
(util/resource/duration_test.go)."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from tiphys import run
from tiphys.argo.durations import pod_duration
from tiphys.argo.time import seconds
from tiphys.engine.base.options import RunOptions
from tiphys.engine.machine.progress import sum_up

HERE = Path(__file__).parent
RECORD = json.loads((HERE / "durations.json").read_text())


@pytest.mark.parametrize("node", sorted(RECORD["pods"]))
def test_a_pod_of_the_real_controller(node: str) -> None:
    ran = [
        ({"resources": each["resources"]}, seconds(each["startedAt"]), seconds(each["finishedAt"]))
        for each in RECORD["pods"][node]
    ]
    assert pod_duration(ran) == RECORD["nodes"][node]["resourcesDuration"]


def test_the_sums_of_the_real_controller() -> None:
    nodes = copy.deepcopy(RECORD["nodes"])
    for node in nodes.values():
        if node["type"] != "Pod":
            node.pop("resourcesDuration", None)
    assert sum_up(nodes, {"Pod"}) == RECORD["total"]
    for node in nodes.values():
        node.pop("progress", None)
    assert nodes == RECORD["nodes"]


def test_the_engine_counts_the_same_resources(tmp_path: Path) -> None:
    """All but the time, which is not slept away: the init container of ``beside`` and Argo's own beside each."""
    text = (HERE / "durations.yaml").read_text()
    for slept in ("3", "4", "5", "12"):
        text = text.replace(f'["{slept}"]', '["0"]')
    (tmp_path / "it.yaml").write_text(text.replace("sleep 2", "true"))
    options = RunOptions(store=tmp_path / "store", images={"python*": "host"})
    done = run(tmp_path / "it.yaml", options=options).workflow
    nodes = done["status"]["nodes"].values()
    expected = {node["name"]: node.get("resourcesDuration", {}).keys() for node in RECORD["nodes"].values()}
    assert {node["name"]: node.get("resourcesDuration", {}).keys() for node in nodes} == expected
    assert done["status"]["resourcesDuration"].keys() == RECORD["total"].keys()


def container(**resources: dict[str, str]) -> dict[str, object]:
    return {"resources": resources}


@pytest.mark.parametrize(
    ("spec", "seconds", "expected"),
    [
        ({}, 60, {"cpu": 6, "memory": 60}),  # who requests nothing counts as 100m and 100Mi
        ({}, 9, {"cpu": 0, "memory": 9}),
        (container(requests={"cpu": "2", "memory": "1Gi"}), 60, {"cpu": 120, "memory": 614}),
        (container(limits={"cpu": "2000m", "memory": "1000Mi"}), 60, {"cpu": 120, "memory": 600}),
        (container(limits={"cpu": "4"}, requests={"cpu": "1"}), 60, {"cpu": 60, "memory": 60}),
        (container(limits={"nvidia.com/gpu": "1"}), 7, {"cpu": 0, "memory": 7, "nvidia.com/gpu": 7}),
        (
            container(requests={"ephemeral-storage": "20Gi"}),
            5,
            {"cpu": 0, "memory": 5, "ephemeral-storage": 10},
        ),
        (container(requests={"cpu": "0.1", "memory": "1Mi"}), 99, {"cpu": 9, "memory": 0}),
        (container(requests={"cpu": "what"}), 99, {"memory": 99}),
    ],
)
def test_one_container(spec: dict[str, object], seconds: int, expected: dict[str, int]) -> None:
    assert pod_duration([(spec, 1000.0, 1000.0 + seconds)]) == expected


def test_each_container_is_rounded_by_itself_and_times_are_whole_seconds() -> None:
    assert pod_duration([({}, 0.9, 9.1), ({}, 0.0, 9.99)]) == {"cpu": 0, "memory": 18}
    assert pod_duration([]) == {}
    assert pod_duration([({}, 5.0, 3.0)]) == {"cpu": 0, "memory": 0}
