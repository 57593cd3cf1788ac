"""The same YAML with the real controller and operator: a straggler's TFJob goes, and the workflow succeeds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Cluster, connect
from tests.cluster.straggling import code, compiled
from tests.dsl.straggling import flow

pytestmark = [pytest.mark.cluster]

FAST = {"curve": [0.6, 0.7, 0.75], "pause": 0.1}


@pytest.fixture
def path(applied: Cluster) -> Iterator[str]:
    """Where this tree's code is, for steps and workers."""
    with code(applied) as found:
        yield found


def test_a_straggler_is_stopped_and_the_workflow_succeeds(applied: Cluster, path: str) -> None:
    """Preempted for ever after its second epoch; the others are good enough."""
    slow = {"curve": [0.2, 0.22, 0.24, 0.26], "at": 2, "killed": -1, "tag": path}
    script = {"a": {**FAST, "judged": 0.8}, "b": {**FAST, "judged": 0.9}, "c": slow}
    with connect(applied, "kubeconfig") as client:
        made = client.submit(
            compiled(flow(), path),
            parameters={"script": json.dumps(script)},
            labels={"tiphys-test": "enough"},
        )
        result = client.wait(made.name, timeout=180)
    nodes = {
        node["name"].removeprefix(f"{made.name}."): node
        for node in result.workflow["status"]["nodes"].values()
    }
    assert result.succeeded, {name: (node["phase"], node.get("message")) for name, node in nodes.items()}
    outputs = {item["name"]: item["value"] for item in nodes["select"]["outputs"]["parameters"]}
    selection = json.loads(outputs["selection"])
    assert selection["chosen"] == ["b", "a"]
    assert [(each["name"], each["why"]) for each in selection["dropped"]] == [("c", "behind")]
    assert nodes["c.train"]["phase"] in ("Failed", "Error")
    # its worker may have seen that it is dropped before its job was deleted
    message = nodes["c.train.run(0)"]["message"]
    assert "has been deleted" in message or "failure condition" in message
    assert nodes["hand-in-c"]["phase"] == "Succeeded"
    names = applied.kubectl("get", "tfjobs", "-l", f"tiphys.dev/workflow={made.name}", "-o", "name").split()
    left = {name.rpartition("-")[2]: name for name in names}
    follower = left.pop("r1", "")
    assert sorted(left) == ["a", "b"]

    def failed() -> bool:
        conditions = applied.get(follower)["status"].get("conditions") or []
        return any(each["type"] == "Failed" for each in conditions)

    # its worker saw that it is dropped before its job was deleted: the job that followed ends so, too
    if follower:
        applied.until("the follower ends", failed)
