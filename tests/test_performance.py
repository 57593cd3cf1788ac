"""docs/performance.md is what ``scripts/performance.py`` makes of the benchmarks' results, and none of its numbers is
typed by hand."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

from benchmarks import peers

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "performance.py"))
ABOUT = {"machine": "2 x CPU", "date": "2026-11-30", "commit": "abc"}
BY_HAND = {"10", "100", "0.75", "1", "8", "32", "1000"}  # the sizes of shapes, and what cases are named after


def told(*shapes: tuple[float, float], version: str = "", caching: str = "") -> dict[str, Any]:
    named = zip(peers.SHAPES, shapes, strict=False)
    costs = {name: {"wall_s": wall, "cpu_s": cpu} for name, (wall, cpu) in named}
    return {"version": version, "isolates": "a process", "caching": caching, **costs}


def measured(**tools: dict[str, Any]) -> str:
    text: str = SCRIPT["page"]({"peers": {"local": {**ABOUT, "rounds": 3, "tools": tools}}})
    return text


def without_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        texts = dict.fromkeys(value.keys() & {*ABOUT, "version", "peer", "tensorflow", "failed"}, "")
        return {name: without_numbers(item) for name, item in value.items()} | texts
    if isinstance(value, list):
        return [without_numbers(item) for item in value]
    return 987_654 if isinstance(value, int | float) else value


def test_the_page_is_what_was_measured() -> None:
    """`python scripts/performance.py` writes it anew."""
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == SCRIPT["page"](
        SCRIPT["results"]()
    )


def test_no_number_is_typed_by_hand() -> None:
    found = {name: without_numbers(value) for name, value in SCRIPT["results"]().items()}
    text = re.sub(r"`[^`]*`", "", SCRIPT["page"](found))
    assert set(re.findall(r"\d+(?:\.\d+)?", text)) - {"987654", "987654.00", "1.00"} <= BY_HAND


def test_what_was_not_measured_is_not_there() -> None:
    assert SCRIPT["page"]({}) == SCRIPT["HEAD"]
    found = SCRIPT["results"]()
    found.pop("compile", None)
    assert "## Compiling" not in SCRIPT["page"](found)


def test_the_shapes_have_their_names() -> None:
    assert SCRIPT["SHAPES"].keys() == peers.SHAPES.keys()


def test_where_others_are_cheaper_is_told() -> None:
    text = measured(
        tiphys=told((1.0, 2.0), (4.0, 8.0), (1.0, 1.0)),
        KFP=told((1.0, 1.5), (8.0, 16.0), (1.0, 1.0), version="2.17"),
        Metaflow=told((9.0, 9.0), (9.0, 7.0), version="2.19", caching="none"),
    )
    assert (
        "What needs less CPU time than `tiphys`: for a chain of 10, KFP; for a fan-out of 100, Metaflow."
        in text
    )
    assert "| KFP 2.17 | 1.0 s (1.5 s, 0.75) | 8.0 s (16.0 s, 2.00) | 1.0 s (1.0 s, 1.00) |" in text
    assert "| Metaflow | a process | none |" in text
    assert "| Metaflow 2.19 | 9.0 s (9.0 s, 4.50) | 9.0 s (7.0 s, 0.88) | – |" in text


def test_a_tool_that_failed_is_told() -> None:
    text = measured(tiphys=told((1.0, 2.0)), Broken={**told(version="3"), "chain": {"failed": "no room"}})
    assert "| Broken 3 | failed: no room | – | – |" in text


def test_a_page_without_tiphys_has_no_ratios() -> None:
    assert "| KFP 2 | 1.0 s (1.5 s) | – | – |" in measured(KFP=told((1.0, 1.5), version="2"))


def test_lint_is_told_with_its_ratios() -> None:
    cost = {"wall_ms": 160.2, "processor_ms": 80.4, "most_mib": 40.0}
    part = {"files": 7, "tiphys": cost, "argo": cost, "argo_times_wall": 0.3, "argo_times_processor": 0.5}
    text = SCRIPT["page"]({"lint": {**ABOUT, "one_file": part, "one_call": part, "many": part}})
    assert "| 7 | 80 ms, 160 ms, 40 MiB | 80 ms, 160 ms, 40 MiB | **0.50** | 0.30 |" in text
    assert f"`{SCRIPT['COMMANDS']['lint']}`, 2026-11-30, commit abc, 2 x CPU." in text


def test_the_engine_is_told_beside_the_bare_loop() -> None:
    row = {"shape": "loop", "pods": 400.0, "CPU ms/pod": 1.6, "bare CPU": 0.8}
    text = SCRIPT["page"]({"engine": {**ABOUT, "shapes": [row]}})
    assert "| loop | 400 | 1.6 ms | 0.8 ms | **0.50** |" in text
    assert "memory at its peak" not in text
    start = {"to_first_process_ms": 210.5, "cpu_ms": 300.0}
    memory = [{"shape": "dag", "nodes": 50, "peak_rss_mb": 90}]
    text = SCRIPT["page"]({"engine": {**ABOUT, "shapes": [row], "start": start, "memory": memory}})
    assert "210.5 ms until" in text and "90 MB for a dag of 50." in text


def test_rows_of_the_mission_are_shown_as_they_are() -> None:
    rows = [{"case": "one", "cpu_ms": 3.5, "ratio": 1.25}]
    text = SCRIPT["page"]({"mission": {**ABOUT, "rows": rows}})
    assert "| case | cpu ms | ratio |\n| --- | --- | --- |\n| one | 3.5 | 1.25 |" in text
