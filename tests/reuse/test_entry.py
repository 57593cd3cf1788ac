"""An entry's text, as Argo's controller writes and reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.errors import StoreError
from tiphys.reuse.entry import CachedResult, entry_of, text_of

NOW = 1_700_000_000.0


def test_entries_are_written_as_go_writes_them() -> None:
    outputs: Any = {"parameters": [{"name": "x", "value": "a<b>&c"}]}
    text = text_of(CachedResult("cache", "k", node="n", outputs=outputs, created=NOW, hit=NOW + 0.7))
    assert text == (
        '{"nodeID":"n","outputs":{"parameters":[{"name":"x","value":"a\\u003cb\\u003e\\u0026c"}]},'
        '"creationTimestamp":"2023-11-14T22:13:20Z","lastHitTimestamp":"2023-11-14T22:13:20Z"}'
    )
    assert entry_of(text, "cache", "k").outputs == outputs
    assert text_of(entry_of(text, "cache", "k")) == text


def test_what_is_missing_stays_missing() -> None:
    found = entry_of('{"nodeID":"n","outputs":null}', "c", "k")
    assert (found.created, found.hit, found.outputs, found.broken) == (None, None, None, None)
    assert json.loads(text_of(found)) == {"nodeID": "n", "outputs": None}


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"nodeID": 7}', '{"outputs": "x"}', '{"creationTimestamp": "now"}']
)
def test_what_cannot_be_read_keeps_its_text(text: str) -> None:
    found = entry_of(text, "c", "k")
    assert found.broken == text_of(found) == text
    with pytest.raises(StoreError, match="malformed cache entry") as caught:
        found.argo()
    assert caught.value.code == "TIP424"
