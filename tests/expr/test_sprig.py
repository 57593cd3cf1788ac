"""sprig's texts, encodings, addresses and patterns: answers of the Go libraries (questions/sprig.txt)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.expr.answers import agreed, evaluated, shown, theirs

Json = Any


@pytest.mark.parametrize("case", agreed("sprig"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert evaluated(case) == theirs(case)
