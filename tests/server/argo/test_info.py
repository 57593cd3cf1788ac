"""What the server says of itself."""

from __future__ import annotations

import pytest
from hera.workflows import WorkflowsService

from tests.server.argo.conftest import Ask
from tests.server.running import Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic


def test_hera_and_argo_ask(hera: WorkflowsService, argo: Ask, running: Running) -> None:
    assert hera.get_info().managed_namespace == "argo"
    assert hera.get_user_info().issuer == "tiphys"
    version = hera.get_version().version
    assert version in argo("version", "--short").splitlines()[1]
    answer = running.ask("GET", "/api/v1/version")
    assert answer.headers["Grpc-Metadata-Argo-Version"] == version
    assert running.ask("GET", "/oauth2/redirect").status_code == 501
    assert running.ask("POST", "/api/v1/tracking/event", json={"name": "x"}).json() == {}
