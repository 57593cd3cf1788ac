"""docs/reliability.md is what ``scripts/reliability.py`` makes of the benchmarks' results, and none of its numbers is
typed by hand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "reliability.py"))
BY_HAND = {"0", "32"}  # of 32 bits


def without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        texts = dict.fromkeys(value.keys() & {"machine", "date", "commit"}, "")
        return {name: without_numbers(item) for name, item in value.items()} | texts
    if isinstance(value, list):
        return [without_numbers(item) for item in value]
    return 0 if isinstance(value, int | float) else value


def test_the_page_is_what_was_measured() -> None:
    """`python scripts/reliability.py` writes it anew."""
    assert (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8") == SCRIPT["page"](
        SCRIPT["results"]()
    )


def test_no_number_is_typed_by_hand() -> None:
    found = {name: without_numbers(value) for name, value in SCRIPT["results"]().items()}
    for value in found.values():
        if "by_target" in value:  # names, which may have digits
            value["by_target"] = {}
    text = re.sub(r"`[^`]*`|TIP\d+", "", SCRIPT["page"](found))
    assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= BY_HAND


@pytest.mark.parametrize("name", list(SCRIPT["COMMANDS"]))
def test_what_was_not_measured_is_told(name: str) -> None:
    found = SCRIPT["results"]()
    found.pop(name, None)
    assert f"Not measured yet: `{SCRIPT['COMMANDS'][name]}`." in SCRIPT["page"](found)


@pytest.mark.parametrize("fault", ["lost", "orphans", "locks", "temporary_files", "bodies_ended_twice"])
def test_a_fault_is_on_the_page(fault: str) -> None:
    found = SCRIPT["results"]()
    *earlier, last = found["kills"]["runs"]
    found["kills"] = {"runs": [*earlier, {**last, fault: 987_654}]}
    assert "| 987654 |" in SCRIPT["page"](found)
