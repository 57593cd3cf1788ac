"""How a step reads its inputs: what a loop collected."""

from __future__ import annotations

from typing import Any

import pytest

from tiphys.step import decode


@pytest.mark.parametrize(
    "kind", [list[int | None], list[float | None], list[bool | None], list[list[int] | None]]
)
def test_none_that_a_loop_collected_as_text_is_none(kind: Any) -> None:
    assert decode('["null"]', kind) == decode("[null]", kind) == [None]
    assert decode('["null"]', list[str | None]) == ["null"]  # who knows which
