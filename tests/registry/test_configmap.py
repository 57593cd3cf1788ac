"""The objects that the API server gets."""

from __future__ import annotations

from tests.registry.test_changes import three
from tiphys.registry.audit import AuditPage
from tiphys.registry.configmap import document_map, page_object
from tiphys.registry.document import ModelDocument


def test_the_document_is_under_one_key_and_its_version_is_the_lock() -> None:
    document = three()
    item = document_map(document, "41")
    assert item["metadata"] == {
        "name": "tiphys-models-fashion", "labels": {"tiphys.dev/registry": "fashion"}, "resourceVersion": "41"
    }  # fmt: skip
    assert ModelDocument.read(item["data"]["document"], "fashion") == document  # type: ignore[index,call-overload,arg-type]
    assert "resourceVersion" not in document_map(document)["metadata"]  # type: ignore[operator]


def test_a_page_cannot_be_changed() -> None:
    page = page_object("fashion", AuditPage(7, "[]"))
    assert page["immutable"] is True and page["data"] == {"document": "[]"}
    assert page["metadata"] == {
        "name": "tiphys-models-fashion.audit.000007", "labels": {"tiphys.dev/registry-audit": "fashion"}
    }  # fmt: skip
