"""The archive, by Hera's client and by the real ``argo archive``."""

from __future__ import annotations

import json

import pytest
from hera.exceptions import NotFound
from hera.workflows import WorkflowsService
from hera.workflows import models as m

from tests.server.argo.conftest import Ask
from tests.server.running import FAILS, GATE, HELLO, Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic


def labelled(given: object, **labels: str) -> dict[str, object]:
    made: dict[str, object] = json.loads(json.dumps(given))
    made["metadata"]["labels"] = labels  # type: ignore[index]
    return made


def test_what_has_ended_is_in_the_archive(hera: WorkflowsService, running: Running) -> None:
    goes_on = running.submit(labelled(GATE, shelf="yes"))
    name = running.submit(labelled(FAILS, shelf="yes"))
    running.until(name, "Failed")
    running.until(goes_on, "Suspended")
    found = hera.list_archived_workflows(label_selector="shelf=yes").items
    assert [each.metadata.name for each in found] == [name]
    uid = found[0].metadata.uid
    assert hera.get_archived_workflow(uid).status.nodes
    with pytest.raises(NotFound):
        hera.get_archived_workflow(str(hera.get_workflow(goes_on).metadata.uid))
    assert "shelf" in hera.list_archived_workflow_label_keys().items
    assert hera.list_archived_workflow_label_values(label_selector="shelf").items == ["yes"]
    assert hera.list_archived_workflows(name_prefix="nobody").items is None  # as Argo's own e2e test has it
    again = hera.retry_archived_workflow(uid, m.RetryArchivedWorkflowRequest())
    assert again.metadata.uid == uid
    running.until(name, "Failed")
    copy = hera.resubmit_archived_workflow(uid, m.ResubmitArchivedWorkflowRequest(memoized=False))
    assert copy.metadata.name != name
    running.until(copy.metadata.name, "Failed")
    hera.delete_archived_workflow(uid)
    with pytest.raises(NotFound):
        hera.get_workflow(name)


def test_the_real_argo_lists_and_reads_it(argo: Ask, running: Running) -> None:
    name = running.submit(labelled(HELLO, box="yes"))
    uid = running.until(name, "Succeeded")["metadata"]["uid"]  # type: ignore[index]
    listed = argo("archive", "list", "-l", "box=yes", "--chunk-size", "1")
    assert name in listed and str(uid) in listed
    assert name in argo("archive", "get", str(uid))
    assert "box" in argo("archive", "list-label-keys")
    assert "yes" in argo("archive", "list-label-values", "-l", "box")
    argo("archive", "delete", str(uid))
    assert name not in argo("archive", "list")
