"""What a store does not have: clients go on."""

from __future__ import annotations

from tests.server.running import Running


def test_lists_are_empty_and_nobody_waits_for_an_event(running: Running) -> None:
    for path in ("workflow-event-bindings/argo", "sensors/argo", "event-sources/argo", "sensors/"):
        assert running.ask("GET", f"/api/v1/{path}").json()["items"] == []
    assert running.ask("POST", "/api/v1/events/argo/x", json={}).json() == {}
