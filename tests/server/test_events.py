"""The events of runs, judged by the official client."""

from __future__ import annotations

from pathlib import Path

import kubernetes
import pytest

from tests.server.running import GATE, HELLO, server
from tests.server.runs import ended, laid_down
from tiphys.server.board import Board, ExpiredError
from tiphys.server.events import EventCollection, events_of
from tiphys.store import Store


def test_a_run_has_begun_and_ended(tmp_path: Path) -> None:
    board = Board(Store(tmp_path), first=1000)
    events = EventCollection(board)
    laid_down(tmp_path, "waits")
    board.look()
    assert events.briefs() == (board.number, [])
    before = board.number
    workflow = ended(tmp_path, "over")
    board.look()
    assert [each["reason"] for each in events_of(workflow)] == ["WorkflowRunning", "WorkflowSucceeded"]
    new = list(events.changes(before))
    assert [(each.kind, each.workflow["metadata"]["name"].split(".")[0]) for each in new] == [
        ("ADDED", "over")
    ] * 2
    assert list(events.changes(board.number)) == []
    with pytest.raises(ExpiredError):
        list(events.changes(1))
    (first, _) = events.briefs()[1]
    assert events.get(first["metadata"]["name"]) == first
    board.look()
    failed = {**workflow, "status": {**workflow["status"], "phase": "Error", "message": "no"}}
    told = list(events_of(failed))[-1]
    assert (told["reason"], told["message"], told["type"]) == ("WorkflowFailed", "no", "Warning")


def test_events_go_with_their_run_and_a_watch_tells_each_once(tmp_path: Path) -> None:
    with server(tmp_path / "store") as running, running.client() as client:
        core = kubernetes.client.CoreV1Api(client)
        other = running.submit(HELLO)
        running.until(other, "Succeeded")
        since = core.list_namespaced_event("argo").metadata.resource_version
        name = running.submit(GATE)
        running.until(name, "Suspended")
        seen = [
            (event["type"], event["object"].reason, event["object"].involved_object.name)
            for event in kubernetes.watch.Watch().stream(
                core.list_namespaced_event, "argo", resource_version=since, timeout_seconds=2
            )
        ]
        assert seen == [("ADDED", "WorkflowRunning", name)]
        about = f"involvedObject.name={other}"
        found = core.list_namespaced_event("argo", field_selector=about).items
        assert {each.reason for each in found} == {"WorkflowRunning", "WorkflowSucceeded"}
        api = kubernetes.client.CustomObjectsApi(client)
        api.delete_namespaced_custom_object("argoproj.io", "v1alpha1", "argo", "workflows", other)
        assert core.list_namespaced_event("argo", field_selector=about).items == []
