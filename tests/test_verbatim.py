"""What is parted has nothing in it that is replaced on its way, and comes back as it was."""

from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from tiphys.verbatim import parted, rejoined

JOINER = "\u2060"

TEXTS = st.text(st.sampled_from(["{", "}", "$", "(", JOINER, "=", "a", '"', "\\", "\n", "é"]))


@given(TEXTS)
@example("{{{{")
@example("{{{")
@example("{" + JOINER + "{")
def test_it_comes_back(text: str) -> None:
    told = parted(text)
    assert not any(pair in told for pair in ("{{", "$$", "$(", "$é", "$\u2060"))
    assert rejoined(told) == text


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_also_inside_json(value: object) -> None:
    """Argo reads a list and makes texts of its items: each comes back, too."""
    text = parted(json.dumps(value, ensure_ascii=False))
    assert json.loads(rejoined(text)) == value
    if isinstance(value, list):
        for item, right in zip(json.loads(text), value, strict=True):
            if isinstance(right, str):
                assert rejoined(item) == right and "{{" not in item
