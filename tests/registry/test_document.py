"""The text of a document is the document, and what is no document is told."""

from __future__ import annotations

import json

import pytest

from tests.registry.test_changes import BY, moved, three
from tiphys.errors import StoreError
from tiphys.registry import ModelDocument, put_default, put_weights, rollback, to_alias
from tiphys.registry.changes import By


def test_there_and_back() -> None:
    document = rollback(moved(three(), 1, None, 3, 2), "champion", BY)
    document = put_default(put_weights(document, {1: 40, 3: 60}, BY), 2, BY)
    assert ModelDocument.read(document.text(), "fashion") == document
    assert ModelDocument.read(document.text(), "fashion").text() == document.text()
    assert ModelDocument.read(" \n", "m") == ModelDocument("m")


def test_an_auditors_row_says_from_and_to() -> None:
    row = json.loads(moved(three(), 2).text())["changes"][0]
    assert row == {
        "sequence": 1, "at": "2026-11-28T21:00:00Z", "who": "ann", "what": "alias", "alias": "champion",
        "from": None, "to": 2, "why": "because",
    }  # fmt: skip


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: value.pop("aliases"),
        lambda value: value.update(format=2),
        lambda value: value.update(name="other"),
        lambda value: value.update(versions=value["versions"][1:]),
        lambda value: value.update(changes=value["changes"][1:]),
        lambda value: value.update(sequence="x"),
        lambda value: value["versions"][0].update(report=[]),
        lambda value: value.update(aliases=[]),
    ],
)
def test_what_was_changed_by_hand_is_told(spoil: object) -> None:
    value = json.loads(moved(three(), 1, 2).text())
    spoil(value)  # type: ignore[operator]
    with pytest.raises(StoreError, match="TIP461"):
        ModelDocument.read(json.dumps(value), "fashion")


@pytest.mark.parametrize("text", ["{", "[]", "null", "3", "[" * 5000])
def test_what_is_no_document_is_told(text: str) -> None:
    with pytest.raises(StoreError, match="TIP461"):
        ModelDocument.read(text, "fashion")


def test_no_text_of_anybody_is_a_tag_or_a_variable_to_argo_and_the_kubelet() -> None:
    said = "{{workflow.name}} {{{ $(PATH) $$ \u2060 \\$ \\{{ {\u2060{"
    document = to_alias(three(), "champion", 1, By("w", "now", said))
    assert not {"{{", "$", "\u2060"} & {word for word in ("{{", "$", "\u2060") if word in document.text()}
    assert ModelDocument.read(document.text(), "fashion").changes[0].why == said
