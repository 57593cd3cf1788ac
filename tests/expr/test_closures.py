"""The functions of expr-lang that take a predicate: answers of the Go libraries (questions/closures.txt)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.expr.answers import agreed, differing, evaluated, shown, theirs

Json = Any


@pytest.mark.parametrize("case", agreed("closures"), ids=shown)
def test_agrees_with_go(case: Json) -> None:
    assert evaluated(case) == theirs(case)


@pytest.mark.parametrize("case", differing("closures"), ids=shown)
def test_what_is_known_to_differ_still_differs(case: Json) -> None:
    assert evaluated(case) != theirs(case)
