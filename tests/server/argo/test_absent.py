"""What a store does not have: clients go on, or are told why not."""

from __future__ import annotations

import pytest
from hera.exceptions import NotImplemented as NotThere
from hera.workflows import WorkflowsService
from hera.workflows.models import CreateSyncLimitRequest

from tests.server.running import Running


def test_lists_are_empty_and_limits_are_refused(hera: WorkflowsService, running: Running) -> None:
    for path in ("workflow-event-bindings/argo", "sensors/argo", "event-sources/argo", "sensors/"):
        assert running.ask("GET", f"/api/v1/{path}").json()["items"] == []
    assert running.ask("POST", "/api/v1/events/argo/x", json={}).json() == {}
    with pytest.warns(), pytest.raises(NotThere, match="limits of semaphores"):
        hera.create_sync_limit(CreateSyncLimitRequest(key="a", limit=3))
