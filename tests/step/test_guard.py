"""The judge of an earlier result, by what a reader of the conditions expects; the rest is executed in tests/reuse."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tiphys.large import ENV, shortened
from tiphys.reference import MANIFEST, Reference, seal
from tiphys.step.guard import judge, main, record

Json = Any


def state(**more: Json) -> Json:
    return {"version": 1, "generation": "g", "values": {}, "outputs": {}, "references": [], **more}


@pytest.mark.parametrize(
    ("operator", "bound", "found", "taken"),
    [
        (">=", 0.9, "0.9", True), (">=", 0.9, "0.89999", False), (">", 0.9, "0.9", False), ("<", 2, "1e0", True),
        ("<=", 2, "2", True), ("<=", 2, "nan", False), ("==", 1, "1.0", True), (">=", 0.9, "good", False),
    ],
)  # fmt: skip
def test_a_bar(operator: str, bound: float, found: str, taken: bool) -> None:
    rule = {"output": "a", "op": operator, "bound": bound}
    assert (judge(state(outputs={"a": found}), [rule], {}) == "") is taken


@pytest.mark.parametrize(
    ("rule", "before", "now", "taken"),
    [
        ({"grew": 2.0}, "100", "199", True), ({"grew": 2.0}, "100", "200", False), ({"grew": 2.0}, "100", "1", True),
        ({"grew": 2.0}, "0", "0", True), ({"grew": 2.0}, "0", "1", False), ({"grew": 2.0}, "x", "x", False),
        ({"by": 0.05}, "100", "104", True), ({"by": 0.05}, "100", "105", False), ({"by": 0.05}, "100", "95", False),
        ({"by": 0.05}, "-100", "-104", True), ({}, "a", "a", True), ({}, "a", "b", False),
    ],
)  # fmt: skip
def test_data(rule: Json, before: str, now: str, taken: bool) -> None:
    assert (judge(state(values={"d": before}), [{"input": "d", **rule}], {"d": now}) == "") is taken


@pytest.mark.parametrize("known", [None, {}, {"version": 2, "generation": "g"}, state(generation=None)])
def test_what_is_not_known_is_not_taken(known: Json) -> None:
    assert judge(known, [], {})
    assert judge(state(), [], {}) == ""
    assert judge(state(), [{"input": "d"}], {"d": "x"})


def folder(tmp_path: Path, name: str, text: str) -> tuple[dict[str, str], str]:
    made = tmp_path / name
    made.mkdir()
    (made / "file").write_text(text)
    return {"c": str(tmp_path)}, str(Reference(f"pvc://c/{name}", seal(made)))


def test_a_reference_is_measured_by_bytes_and_digest(tmp_path: Path) -> None:
    volumes, small = folder(tmp_path, "small", "x" * 100)
    _, large = folder(tmp_path, "large", "x" * 200)
    _, same = folder(tmp_path, "same", "x" * 100)
    known = record("g", {"d": small}, {}, volumes)
    for rule, now, taken in (
        ({"grew": 2.0}, large, False), ({"grew": 2.1}, large, True), ({}, large, False), ({}, same, True),
        ({"grew": 2.0}, "pvc://c/gone", False),
    ):  # fmt: skip
        assert (judge(known, [{"input": "d", **rule}], {"d": now}, volumes) == "") is taken


def test_a_pipe_in_the_place_of_a_manifest_is_not_waited_for(tmp_path: Path) -> None:
    volumes, before = folder(tmp_path, "before", "x")
    (tmp_path / "now").mkdir()
    os.mkfifo(tmp_path / "now" / MANIFEST)
    known = record("g", {"d": before}, {}, volumes)
    assert judge(known, [{"input": "d"}], {"d": "pvc://c/now"}, volumes)


def test_every_reference_among_the_outputs_must_verify(tmp_path: Path) -> None:
    volumes, one = folder(tmp_path, "one", "1")
    _, two = folder(tmp_path, "two", "2")
    known = record(
        "g", {}, {"all": json.dumps([json.loads(one), json.loads(two)]), "bare": "pvc://c/two"}, volumes
    )
    known = json.loads(json.dumps(known))
    assert judge(known, [], {}, volumes) == ""
    (tmp_path / "two" / "file").write_text("3")
    assert "pvc://c/two" in judge(known, [], {}, volumes)


def test_a_doubt_is_a_miss_and_no_failure(tmp_path: Path) -> None:
    environ = {
        "TIPHYS_VOLUMES": json.dumps({"c": str(tmp_path)}), "TIPHYS_CLAIM": "c", "TIPHYS_INPUT_KEY": "k",
        "TIPHYS_INPUT_VALUES": "[]", "TIPHYS_INPUT_CONDITIONS": "[]", "TIPHYS_OUTPUTS": str(tmp_path / "o"),
    }  # fmt: skip
    place = tmp_path / ".tiphys" / "reuse" / "k.json"
    place.parent.mkdir(parents=True)
    generations = set()
    for text in ("", "no json", "[]", json.dumps(state(references=[["nothing"]]))):
        place.write_text(text)
        main("guard", environ)
        assert (tmp_path / "o" / "reason").read_text()
        generations.add((tmp_path / "o" / "generation").read_text())
    assert len(generations) == 4 and "g" not in generations, "never one that an entry may have already"
    place.write_text(json.dumps(state()))
    main("guard", environ)
    assert (tmp_path / "o" / "generation").read_text() == "g"


def test_a_long_text_that_lies_in_a_file_is_judged_like_the_text(tmp_path: Path) -> None:
    """A schema of more than 16 KiB comes to the guard as the reference to its file."""
    volumes = {"c": str(tmp_path)}

    def handed(text: str) -> str:
        return shortened("d", text, volumes, {ENV: '{"claim":"c","outputs":["d"]}'})

    before = record("g", {"d": handed("a" * 20_000)}, {}, volumes)

    def taken(text: str, **rule: float) -> bool:
        return judge(before, [{"input": "d", **rule}], {"d": handed(text)}, volumes) == ""

    assert taken("a" * 20_000) and not taken("b" * 20_000) and not taken("a")
    assert taken("b" * 39_999, grew=2.0) and not taken("b" * 40_000, grew=2.0)
