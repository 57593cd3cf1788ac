"""The pods of a run, read by the official client."""

from __future__ import annotations

from pathlib import Path

import kubernetes
import pytest

from tests.server.runs import ended
from tiphys.argo.names import pod_name
from tiphys.server.board import Board
from tiphys.server.pods import PodCollection
from tiphys.store import Store


@pytest.fixture
def pods(tmp_path: Path) -> PodCollection:
    ended(tmp_path / "store", "run")
    ended(tmp_path / "store", "run-more")
    board = Board(Store(tmp_path / "store"))
    board.look()
    return PodCollection(board)


def test_a_pod_is_one_of_kubernetes(pods: PodCollection) -> None:
    for each in pods.briefs()[1]:
        pod = kubernetes.client.V1Pod.from_dict(each)
        assert pod.status.phase == "Succeeded"
        assert pod.status.container_statuses[0].state.terminated.exit_code == 0
        assert pod.spec.containers[0].image == "x"
        assert pod.metadata.owner_references[0].kind == "Workflow"
        node = pod.metadata.annotations["workflows.argoproj.io/node-id"]
        run = pod.metadata.labels["workflows.argoproj.io/workflow"]
        assert pod.metadata.name == pod_name(run, node, "say")


def test_those_of_one_run_are_found_by_its_label(pods: PodCollection) -> None:
    assert len(pods.briefs()[1]) == 2
    for selector in ("workflows.argoproj.io/workflow=run", "x!=y,workflows.argoproj.io/workflow in (run)"):
        (pod,) = pods.within({"labelSelector": selector}).briefs()[1]
        assert pod["metadata"]["labels"]["workflows.argoproj.io/workflow"] == "run"
    assert len(pods.within({"labelSelector": "a=b"}).briefs()[1]) == 2
    for each in pods.briefs()[1]:
        assert pods.get(each["metadata"]["name"]) == each
    assert pods.get("other-say-1") is None
    assert len(list(pods.changes(pods.number - 1))) == 1
