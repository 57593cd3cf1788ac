"""How long an earlier result is taken (argo-workflows, workflow/controller/cache: creationTimestamp against maxAge)."""

from __future__ import annotations

import pytest

from tiphys.argo.memo import too_old


@pytest.mark.parametrize(
    ("created", "age", "expected"),
    [
        (1000.0, "", False),
        (None, "", False),
        (None, "1h", True),  # Go's zero time is very long ago
        (1000.0, "1h", False),
        (1000.0, "1000s", False),
        (1000.0, "999s", True),
        (1000.0, "16m39s", True),
    ],
)
def test_age(created: float | None, age: str, expected: bool) -> None:
    assert too_old(created, age, 2000.0) is expected


@pytest.mark.parametrize("age", ["14d", "x", "1"])
def test_an_age_is_a_go_duration(age: str) -> None:
    with pytest.raises(ValueError):
        too_old(1.0, age, 2.0)
