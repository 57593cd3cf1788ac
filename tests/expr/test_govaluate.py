"""Conditions of ``when``, every name a text, as the library that Argo calls reads them (questions/govaluate.txt)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.expr.answers import agreed, shown
from tiphys.expr.govaluate import WhenError, evaluate_when

Json = Any


def decided(case: Json) -> bool | str:
    """What the condition comes to; what is no bool is refused by Argo, as is what cannot be read."""
    try:
        return evaluate_when(case["text"])
    except WhenError:
        return "an error"


def recorded(case: Json) -> bool | str:
    """What Go's library made of it."""
    return case["value"] if isinstance(case.get("value"), bool) else "an error"


@pytest.mark.parametrize("case", agreed("govaluate"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert decided(case) == recorded(case)


@pytest.mark.parametrize("case", [one for one in agreed("govaluate") if "error" in one], ids=shown)
def test_what_cannot_be_read_is_said_in_its_words(case: Json) -> None:
    with pytest.raises(WhenError) as caught:
        evaluate_when(case["text"])
    assert case["error"].split("\n")[0] in str(caught.value)
