"""What requests say, and which run they mean."""

from __future__ import annotations

import pytest

from tests.server.running import GATE, HELLO, Running
from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Asked, pairs_of


def test_a_run_is_found_by_its_name_by_its_uid_and_as_the_newest(running: Running) -> None:
    first, second = running.submit(GATE), running.submit(GATE)
    uid = running.get(first)["metadata"]["uid"]  # type: ignore[index]

    def named(path: str, **query: str) -> str:
        answer = running.ask("GET", f"/api/v1/workflows/{path}", params=query)
        return str(answer.json()["metadata"]["name"]) if answer.ok else str(answer.status_code)

    assert named(f"argo/{first}") == first
    assert named("argo/gone", uid=uid) == first
    assert named(f"argo/{second}", uid=uid) == first
    assert named("argo/gone") == named(f"elsewhere/{first}") == "404"
    # creation has whole seconds: the newest is one of the last
    assert named("argo/@latest") in (first, second)


def test_bodies_are_read_as_they_are_meant() -> None:
    asked = Asked({}, {}, {"workflow": {"metadata": None, "spec": {}}, "parameters": ["a=1=2"], "b": True})
    assert asked.given("workflow", "Workflow")["kind"] == "Workflow"  # type: ignore[typeddict-item]
    assert asked.parameters() == {"a": "1=2"} and asked.flag("b") and not asked.flag("c")
    assert not asked.dry() and Asked({}, {}, {"createOptions": {"dryRun": ["All"]}}).dry()
    for wrong in ({}, {"workflow": 3}, {"workflow": {"metadata": 3}}, {"workflow": {"kind": "Pod"}}):
        with pytest.raises(RequestError):
            Asked({}, {}, wrong).given("workflow", "Workflow")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="NAME=VALUE"):
        pairs_of(["a"])


def test_an_empty_body_and_one_that_is_no_object(running: Running) -> None:
    assert running.ask("POST", "/api/v1/workflows/argo").json()["code"] == 3
    assert running.ask("POST", "/api/v1/workflows/argo", json=[HELLO]).json()["code"] == 3
    assert running.ask("PUT", "/api/v1/workflows/argo/none/stop").json()["code"] == 5
