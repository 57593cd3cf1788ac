"""The ConfigMaps of a model's document and of the pages of its audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.registry.names import config_map, page_map

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject
    from tiphys.registry.audit import AuditPage
    from tiphys.registry.document import ModelDocument

__all__ = ["DOCUMENT", "MODEL_LABEL", "PAGE_LABEL", "document_map", "page_object", "text_map"]

MODEL_LABEL = "tiphys.dev/registry"
PAGE_LABEL = "tiphys.dev/registry-audit"
DOCUMENT = "document"  # the key under which the text is


def document_map(document: ModelDocument, version: str = "") -> JsonObject:
    """The ConfigMap; with ``version`` (its resourceVersion) the API server takes it only in the place of that one."""
    return text_map(config_map(document.name), document.name, document.text(), version)


def page_object(name: str, page: AuditPage) -> JsonObject:
    """The ConfigMap of a page, which nobody can change."""
    return text_map(page_map(name, page.number), name, page.text)


def text_map(config: str, name: str, text: str, version: str = "") -> JsonObject:
    """The ConfigMap ``config`` of the model ``name`` with a text: of its document, or of a page of its audit."""
    page = config != config_map(name)
    metadata: JsonObject = {"name": config, "labels": {PAGE_LABEL if page else MODEL_LABEL: name}}
    if version:
        metadata["resourceVersion"] = version
    made: JsonObject = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {DOCUMENT: text},
    }
    return {**made, "immutable": True} if page else made
