"""Lists of Workflows: filters, pages and parts, by Hera's client and by the real ``argo``."""

from __future__ import annotations

import json

import pytest
from hera.exceptions import BadRequest
from hera.workflows import WorkflowsService

from tests.server.argo.conftest import Ask
from tests.server.running import FAILS, GATE, Running

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic


@pytest.fixture(scope="module")
def names(running: Running) -> list[str]:
    """Three runs of a shelf, oldest first: one has ended."""
    found = []
    for given, name in ((FAILS, "shelf-one"), (GATE, "shelf-two"), (GATE, "other-three")):
        made = json.loads(json.dumps(given))
        made["metadata"] = {"name": name, "labels": {"in": "shelf"}}
        found.append(running.submit(made))
        running.until(name, "Failed", "Suspended")
    return found


def said(hera: WorkflowsService, **options: object) -> list[str]:
    found = hera.list_workflows(label_selector="in=shelf", **options).items  # type: ignore[arg-type]
    return sorted(str(each.metadata.name) for each in found or [])


def test_filters(hera: WorkflowsService, names: list[str]) -> None:
    one, two, three = names
    assert said(hera) == sorted(names)
    assert said(hera, field_selector=f"metadata.name={one}") == [one]
    assert said(hera, field_selector="metadata.name=shelf", name_filter="Prefix") == [one, two]
    assert said(hera, field_selector="metadata.name=e", name_filter="Contains") == sorted(names)
    assert said(hera, field_selector=f"metadata.name!={one}") == [three, two]
    assert said(hera, field_selector="metadata.namespace=argo") == sorted(names)
    assert said(hera, namespace="elsewhere") == []
    assert said(hera, created_after="2020-01-01T00:00:00Z") == sorted(names)
    assert said(hera, created_after="2999-01-01T00:00:00Z") == []
    assert said(hera, finished_before="2999-01-01T00:00:00Z") == [one]
    for wrong in (
        {"field_selector": "a=b"},
        {"created_after": "x"},
        {"continue_": "x"},
        {"name_filter": "Like"},
    ):
        with pytest.raises(BadRequest):
            said(hera, **({"field_selector": "metadata.name=a"} | wrong))


def test_pages(running: Running, hera: WorkflowsService, names: list[str]) -> None:
    query = {
        "listOptions.labelSelector": "in=shelf",
        "listOptions.limit": "2",
        "fields": "metadata,items.metadata.name",
    }
    first = running.ask("GET", "/api/v1/workflows/argo", params=query).json()
    assert [each["metadata"]["name"] for each in first["items"]] == [names[2], names[1]]  # newest first
    query["listOptions.continue"] = first["metadata"]["continue"]
    query["listOptions.fieldSelector"] = "ext.showRemainingItemCount=true"
    rest = running.ask("GET", "/api/v1/workflows/argo", params=query).json()
    assert [each["metadata"] for each in rest["items"]] == [{"name": names[0]}]
    assert "continue" not in rest["metadata"] and rest["metadata"]["remainingItemCount"] == 0


def test_parts(running: Running, names: list[str]) -> None:
    query = {"listOptions.labelSelector": "in=shelf", "fields": "-items.status.nodes,items.spec"}
    for item in running.ask("GET", "/api/v1/workflows/argo", params=query).json()["items"]:
        assert "nodes" not in item["status"] and item["status"]["phase"] and item["spec"] == {"arguments": {}}
    whole = running.ask("GET", "/api/v1/workflows/", params={"listOptions.labelSelector": "in=shelf"}).json()
    assert all(each["status"]["nodes"] for each in whole["items"])


def test_argo_lists_them(argo: Ask, names: list[str]) -> None:
    ours = ("-l", "in=shelf", "-o", "name")
    assert sorted(argo("list", *ours).split()) == sorted(names)
    assert argo("list", *ours, "--status", "Failed").split() == [names[0]]
    assert sorted(argo("list", *ours, "--running").split()) == sorted(names[1:])
    assert sorted(argo("list", *ours, "--prefix", "shelf").split()) == sorted(names[:2])
    assert sorted(argo("list", *ours, "--chunk-size", "1").split()) == sorted(names)
    assert sorted(argo("list", *ours, "-A").split()) == sorted(names)
