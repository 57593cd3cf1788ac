"""What one expression may use; where expr-lang has a budget, too, its answers are in questions/closures.txt."""

from __future__ import annotations

import pytest

from tiphys.expr import budget
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.sprig import SPRIG


@pytest.mark.parametrize(
    "text",
    [
        "let x = 1..900000; all(x, all(x, all(x, true)))",
        "let x = 1..900000; len(map(x, count(x, # > 1)))",
        'reduce(1..1000, #acc + #acc, "xx")',
        "reduce(1..100, replace(#acc, 'x', #acc), 'xx')",
        "reduce(1..100, join([#acc, #acc, #acc], #acc), 'xx')",
        "reduce(1..100, sprig.replace('x', #acc, #acc), 'xx')",
        "reduce(1..100, sprig.join(#acc, [#acc, #acc]), 'xx')",
        "reduce(1..100, sprig.regexReplaceAll('x', #acc, #acc), 'xx')",
        "reduce(1..100, concat(#acc, #acc), [1])",
    ],
)
def test_expressions_that_would_never_end_or_take_all_memory(text: str) -> None:
    with pytest.raises(ExprError, match=r"budget exceeded|more than 5000000 turns"):
        evaluate(text, {"sprig": SPRIG})


def test_each_evaluation_has_its_own() -> None:
    for _ in range(3):
        assert evaluate("len(1..900000)", {}) == 900_000


def test_cells_are_counted_together() -> None:
    budget.begin()
    budget.grow(999_999)
    with pytest.raises(ExprError, match="memory budget exceeded"):
        budget.grow(1)
