"""Watching and waiting, against a cluster made of functions: through all that may happen on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.fakes import events, kubernetes, scripted, server, state
from tiphys.errors import ClusterError
from tiphys.runs import Response, Result, WaitTimeout


def test_wait_follows_a_pending_workflow_to_its_end() -> None:
    pending = {"metadata": {"name": "run", "uid": "u1", "resourceVersion": "1"}, "spec": {}}
    client, transport = server(
        scripted(
            Response.of(pending),
            events(
                ("ADDED", pending),
                ("MODIFIED", state("Running", 2)),
                ("MODIFIED", state("Succeeded", 3)),  # the exit handler still runs
                ("MODIFIED", state("Succeeded", 4, end=True)),
            ),
        )
    )
    result = client.wait("run", timeout=60)
    assert (result.phase, result.succeeded, result.seconds) == ("Succeeded", True, 90.0)
    assert [request.path for request in transport.requests] == [
        "/api/v1/workflows/team/run",
        "/api/v1/workflow-events/team",
    ]
    assert transport.requests[1].query["listOptions.fieldSelector"] == "metadata.name=run"


def test_watch_yields_each_state_once() -> None:
    first = state("Running", 1)
    client, _ = server(
        scripted(
            Response.of(first),
            events(("ADDED", first), ("MODIFIED", state("Failed", 2, end=True, message="child failed"))),
        )
    )
    assert [(item.phase, item.message) for item in client.watch("run")] == [
        ("Running", ""),
        ("Failed", "child failed"),
    ]


def test_a_broken_stream_is_taken_up_where_it_stood() -> None:
    client, transport = server(
        scripted(
            Response.of(state("Running", 1)),
            [*events(("MODIFIED", state("Running", 5))), '{"result":{"type":"MODI'],
            Response.of(state("Running", 5)),
            events(("MODIFIED", state("Error", 9, end=True))),
        )
    )
    assert client.wait("run").phase == "Error"
    assert transport.requests[3].query["listOptions.resourceVersion"] == "5"


@pytest.mark.parametrize(
    "gone",
    [
        [json.dumps({"error": {"code": 410, "message": "too old resource version"}})],
        Response.of({"code": 3, "message": "too old resource version: 38169 (38205)"}, 400),
    ],
    ids=["in the stream", "instead of it"],
)
def test_a_version_that_is_too_old_makes_it_look_again(gone: Any) -> None:
    client, _ = server(
        scripted(Response.of(state("Running", 1)), gone, Response.of(state("Succeeded", 30, end=True)))
    )
    assert client.wait("run").succeeded


def test_kubernetes_answers_410_for_a_version_that_is_too_old() -> None:
    client, _ = kubernetes(
        scripted(
            Response.of(state("Running", 1)),
            Response.of({"message": "too old resource version"}, 410),
            Response.of(state("Succeeded", 30, end=True)),
        )
    )
    assert client.wait("run").succeeded


def test_a_server_that_is_restarted_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.runs.client.time.sleep", lambda seconds: None)
    client, _ = server(
        scripted(
            Response.of(state("Running", 1)),
            ClusterError("TIP601", "cannot reach it"),
            Response.of({"message": "bad gateway"}, 502),
            events(("MODIFIED", state("Succeeded", 3, end=True))),
        )
    )
    assert client.wait("run").succeeded


def test_wait_gives_up_after_its_timeout_and_says_where_it_stood() -> None:
    times = iter([0.0, 1.0, 11.0, 12.0, 13.0])
    blocked = {
        "name": "run.cnn.train",
        "type": "Pod",
        "phase": "Pending",
        "message": "Waiting for ns/Mutex/y lock",
    }
    client, _ = server(
        scripted(
            Response.of(state("Pending", 1, message="Waiting for argo/Mutex/x lock", nodes={"a": blocked})),
            events(("ADDED", state("Pending", 1))),
            Response.of(state("Pending", 1)),
        ),
        clock=lambda: next(times),
    )
    with pytest.raises(WaitTimeout) as caught:
        client.wait("run", timeout=10)
    assert caught.value.phase == "Pending"
    assert "Waiting for argo/Mutex/x lock; cnn.train: Waiting for ns/Mutex/y lock" in str(caught.value)


@pytest.mark.parametrize("how", ["event", "absent", "another"])
def test_a_workflow_that_is_deleted_meanwhile(how: str) -> None:
    other = state("Running", 8)
    other["metadata"]["uid"] = "u2"
    missing = Response.of({"code": 5, "message": 'workflows.argoproj.io "run" not found'}, 404)
    tails: dict[str, list[Any]] = {
        "event": [events(("DELETED", state("Running", 2)))],
        "absent": [[], missing, Response.of({"items": []})],
        "another": [[], Response.of(other)],
    }
    client, _ = server(scripted(Response.of(state("Running", 1)), *tails[how]))
    with pytest.raises(ClusterError) as caught:
        client.wait("run")
    assert caught.value.code == "TIP621"


def test_a_result_says_what_failed_by_itself() -> None:
    nodes = {
        "run": {"id": "run", "name": "run", "type": "DAG", "phase": "Failed", "children": ["a"]},
        "a": {"id": "a", "name": "run.train", "type": "Pod", "phase": "Failed", "message": "exit code 1"},
    }
    result = Result.of(state("Failed", 1, end=True, nodes=nodes))
    assert [(item.name, item.message) for item in result.failures] == [("train", "exit code 1")]
    assert not result.succeeded
