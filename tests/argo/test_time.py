"""Times beside what metav1.Time reads and writes (recorded by record.py)."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tiphys.argo.time import ZERO, is_time, moment, rfc3339, seconds

Json = Any
RECORDED: list[Json] = json.loads((Path(__file__).parent / "time.json").read_text(encoding="utf-8"))


def ours(text: str) -> Json:
    if not is_time(text):
        return "refused"
    found = seconds(text)
    return None if rfc3339(found) == ZERO else [math.floor(found), rfc3339(found)]


def test_as_kubernetes_reads_and_writes() -> None:
    assert len(RECORDED) > 200
    different = [
        (item, ours(json.loads(item["text"])))
        for item in RECORDED
        if ours(json.loads(item["text"])) != item.get("is", "refused")
    ]
    assert not different


def test_fractions_are_read_and_not_written() -> None:
    assert seconds("2024-01-01T00:00:00.25Z") % 1 == 0.25
    assert rfc3339(1704067200.999) == "2024-01-01T00:00:00Z"
    assert rfc3339(-0.25) == "1969-12-31T23:59:59Z"
    assert moment("2024-01-01T02:00:00+02:00") == datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-01-01", "0000-01-01T00:00:00Z"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no RFC 3339 time"):
        seconds(text)
