"""Objects as JSON."""

from __future__ import annotations

import json

from tiphys.server.texts import Texts


def test_the_same_object_is_encoded_once_and_another_is_another() -> None:
    texts = Texts(most=2)
    first = {"a": "é", "n": [1, None]}
    assert json.loads(texts.of(first)) == first
    assert texts.of(first) is texts.of(first)
    for number in range(10):  # objects that are gone leave their identities to others
        assert json.loads(texts.of({"n": number})) == {"n": number}
    assert json.loads(texts.of(first)) == first
