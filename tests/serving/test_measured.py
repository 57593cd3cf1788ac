"""The tables of docs/serving.md are what was measured."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_tables_are_what_was_measured() -> None:
    """`python benchmarks/serving.py --table benchmarks/results/serving.json` prints them."""
    found = json.loads((ROOT / "benchmarks" / "results" / "serving.json").read_text(encoding="utf-8"))
    markdown = runpy.run_path(str(ROOT / "benchmarks" / "serving.py"))["markdown"]
    assert markdown(found) in (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
