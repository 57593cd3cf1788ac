"""What a store does not have: clients go on."""

from __future__ import annotations

from tests.server.running import Running


def test_lists_are_empty(running: Running) -> None:
    for path in ("sensors/argo", "event-sources/argo", "sensors/"):
        assert running.ask("GET", f"/api/v1/{path}").json()["items"] == []
