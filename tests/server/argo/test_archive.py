"""The archive, by Hera's client and by the real ``argo archive``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from hera.exceptions import NotFound
from hera.workflows import WorkflowsService
from hera.workflows import models as m

from tests.server.argo.conftest import Ask, asking, of_server, service
from tests.server.running import FAILS, GATE, HELLO, Running, server

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


CONFIGURED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "workflow-controller-configmap"},
    "data": {"persistence": "archive: true", "artifactRepository": "archiveLogs: true"},
}


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that keeps what is deleted."""
    with server(tmp_path_factory.mktemp("server") / "store") as found, found.client() as client:
        kubernetes.client.CoreV1Api(client).create_namespaced_config_map("argo", CONFIGURED)
        yield found


def test_what_is_deleted_is_kept_where_the_administrator_wants_it(configured: Running) -> None:
    hera, ask = service(configured), asking(of_server(configured))
    name = configured.submit(labelled(FAILS, box="yes"))
    uid = str(configured.until(name, "Failed")["metadata"]["uid"])  # type: ignore[index]
    ask("delete", name)
    with pytest.raises(AssertionError, match=r"not found|NotFound"):
        asking({"KUBECONFIG": str(configured.kubeconfig), "ARGO_NAMESPACE": "argo"})("get", name)
    assert name in ask("archive", "list", "-l", "box=yes") and name not in ask("list")
    assert name in ask("archive", "get", uid) and "exit code 3" in ask("get", name)
    assert "box" in ask("archive", "list-label-keys")
    kept = configured.ask("GET", f"/api/v1/archived-workflows/{uid}").json()
    (bad,) = [each for each in kept["status"]["nodes"].values() if each["templateName"] == "bad"]
    logs = [each["name"] for each in bad["outputs"]["artifacts"]]
    assert logs == ["main-logs"]

    copy = hera.resubmit_archived_workflow(uid, m.ResubmitArchivedWorkflowRequest(memoized=False))
    configured.until(copy.metadata.name, "Failed")
    ask("archive", "retry", uid)
    again: Any = configured.until(name, "Failed")
    phases = {each["displayName"]: each["phase"] for each in again["status"]["nodes"].values()}
    assert (phases["a"], phases["b"]) == ("Succeeded", "Failed")
    ran = {each["displayName"]: each["startedAt"] for each in again["status"]["nodes"].values()}
    assert ran["a"] < ran["b"]
    told = ask("archive", "retry", uid, check=False)
    assert "already exists on cluster" in told
    ask("archive", "delete", uid)
    with pytest.raises(NotFound):
        hera.get_archived_workflow(uid)
    assert configured.get(name)["metadata"]["name"] == name  # type: ignore[index]  # it is a run of its own
