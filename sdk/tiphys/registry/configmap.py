"""The ConfigMaps of a model's document and of the pages of its audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.registry.audit import AuditPage
from tiphys.registry.document import ModelDocument
from tiphys.registry.names import config_map, page_map

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["DOCUMENT", "MODEL_LABEL", "PAGE_LABEL", "document_map", "page_object"]

MODEL_LABEL = "tiphys.dev/registry"
PAGE_LABEL = "tiphys.dev/registry-audit"
DOCUMENT = "document"  # the key under which the text is


def document_map(document: ModelDocument, version: str = "") -> JsonObject:
    """The ConfigMap; with ``version`` (its resourceVersion) the API server takes it only in the place of that one."""
    metadata: JsonObject = {"name": config_map(document.name), "labels": {MODEL_LABEL: document.name}}
    if version:
        metadata["resourceVersion"] = version
    return _map(metadata, document.text())


def page_object(name: str, page: AuditPage) -> JsonObject:
    """The ConfigMap of a page, which nobody can change."""
    made = _map({"name": page_map(name, page.number), "labels": {PAGE_LABEL: name}}, page.text)
    return {**made, "immutable": True}


def _map(metadata: JsonObject, text: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {DOCUMENT: text}}
