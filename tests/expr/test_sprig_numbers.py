"""sprig's numbers: answers of the Go libraries (questions/sprig_numbers.txt)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.expr.answers import agreed, evaluated, shown, theirs

Json = Any


@pytest.mark.parametrize("case", agreed("sprig_numbers"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert evaluated(case) == theirs(case)
