"""Times and durations as values: the text that Go writes is what its layouts and durations give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.expr.answers import agreed, shown
from tiphys.expr.gofmt import v
from tiphys.expr.moments import nanoseconds, text

READ = [case for case in agreed("durations") if "value" in case and abs(case["value"][0]) < 2**53]


@pytest.mark.parametrize("case", [case for case in READ if case["value"][0] % 1000 == 0], ids=shown)
def test_durations_are_counted_and_written_as_by_go(case: dict[str, list[int]]) -> None:
    count, written = case["value"]
    span = timedelta(microseconds=count // 1000)
    assert nanoseconds(span) == count
    assert v(span) == written


@pytest.mark.parametrize(
    "written",
    [
        "2024-02-03T04:05:06Z",
        "2024-02-03T04:05:06.12Z",
        "2024-02-03T04:05:06+02:00",
        "2024-02-03T04:05:06.000001-05:30",
    ],
)
def test_times_are_written_as_they_are_read(written: str) -> None:
    # time.RFC3339Nano: trailing zeros of the fraction are not written, and UTC is Z
    assert text(datetime.fromisoformat(written)) == written


def test_utc_is_z() -> None:
    assert text(datetime(2024, 2, 3, tzinfo=UTC)) == "2024-02-03T00:00:00Z"
