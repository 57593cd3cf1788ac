"""Reading as Argo reads: typing, documents, positions, bounds, refusals.

The expected types are those that sigs.k8s.io/yaml gives (go-yaml v2, YAML 1.1), as seen with Argo 4.1.2.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiphys.argo.reader import ReaderLimits, read, read_file, read_text, scan_text
from tiphys.errors import RefusedError


def value_of(text: str) -> object:
    return read_text(f"v: {text}\n")[0].data["v"]


@pytest.mark.parametrize("word", ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
def test_yaml_1_1_words_for_true(word: str) -> None:
    assert value_of(word) is True


@pytest.mark.parametrize("word", ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
def test_yaml_1_1_words_for_false(word: str) -> None:
    assert value_of(word) is False


@pytest.mark.parametrize("word", ["", "~", "null", "Null", "NULL"])
def test_words_for_null(word: str) -> None:
    assert value_of(word) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("012", 10),
        ("0o14", 12),
        ("0x10", 16),
        ("0b11", 3),
        ("-0b11", -3),
        ("1_000", 1000),
        ("+1", 1),
        ("1e3", 1000),
        ("1.0", 1),
        (".5", 0.5),
        ("08", 8),
        ("1.5e-3", 0.0015),
        ("18446744073709551615", 18446744073709551615),
    ],
)
def test_numbers(text: str, number: float) -> None:
    value = value_of(text)
    assert value == number
    assert type(value) is type(number)


@pytest.mark.parametrize(
    "text",
    ["12:30:45", "2020-01-01", "=", "<<", "nan", "yEs", "1.2.3", "1e999", "_1", "--1", "v1", "-x"],
)
def test_what_stays_text(text: str) -> None:
    assert value_of(text) == text


def test_quotes_and_blocks_are_text() -> None:
    assert value_of("'1'") == "1"
    assert value_of('"yes"') == "yes"
    assert value_of("|-\n  012") == "012"
    assert value_of("!!str 12") == "12"
    assert value_of("!!int '12'") == 12


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NaN"])
def test_what_json_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        value_of(text)
    assert caught.value.code == "TIP206"


def test_keys_become_text_as_go_writes_them() -> None:
    data = read_text("v:\n  on: 1\n  12: 2\n  n: 3\n  1.5: 4\n")[0].data
    assert data["v"] == {"true": 1, "12": 2, "false": 3, "1.5": 4}


def test_positions_point_into_the_file() -> None:
    text = "kind: A\nspec:\n  list:\n  - a\n  - b: 1\n    c:\n---\nkind: B\nx: [1, {z: 2}]\n"
    first, second = read_text(text)
    assert first.position(("spec", "list", 1, "b")) == (5, 8)
    assert first.position(("spec", "list", 1, "b"), key=True) == (5, 5)
    assert first.position(("spec", "list", 1, "c")) == (6, 5)
    assert first.position(("spec", "nothing", "here")) == (3, 3)
    assert second.position(("kind",)) == (8, 7)
    assert second.position(("x", 1, "z")) == (9, 12)
    assert second.index == 1


def test_documents_are_split_as_argo_splits_them() -> None:
    documents = read_text("---\nkind: A\n--- # next\nkind: B\n---\n# nothing here\n---\n\n---\nkind: C\n")
    assert [document.kind for document in documents] == ["A", "B", "C"]


def test_duplicate_keys_are_refused_with_their_place() -> None:
    with pytest.raises(RefusedError) as caught:
        read_text("a:\n  b: 1\n  c: 2\n  b: 3\n", file="f.yaml")
    assert caught.value.code == "TIP205"
    assert caught.value.where == "f.yaml:4:3"


def test_scan_tells_all_duplicates_and_goes_on() -> None:
    documents = list(scan_text("a: 1\na: 2\nb: 1\nb: 2\n---\nkind: B\n"))
    assert [problem.path for problem in documents[0].problems] == [("a",), ("b",)]
    assert documents[1].kind == "B"
    assert not documents[1].problems


def test_aliases_are_copies_and_merges_add_keys() -> None:
    data = read_text("a: &x {k: 1, m: 2}\nb: *x\nc:\n  <<: *x\n  q: 9\n")[0].data
    assert data == {"a": {"k": 1, "m": 2}, "b": {"k": 1, "m": 2}, "c": {"k": 1, "m": 2, "q": 9}}
    assert data["a"] is not data["b"]


def test_a_merge_that_repeats_a_key_is_refused_as_argo_refuses_it() -> None:
    with pytest.raises(RefusedError) as caught:
        read_text("a: &x {k: 1}\nc:\n  <<: *x\n  k: 9\n")
    assert caught.value.code == "TIP205"


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    with pytest.raises(RefusedError) as caught:
        read_text("\n".join(lines) + "\n")
    assert caught.value.code == "TIP204"


@pytest.mark.parametrize("depth", [201, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("opening", ["[", "{a: ", '{"a":', "{? ", "- "])
def test_depth_is_bounded(opening: str, depth: int) -> None:
    """By our limit, and by libyaml's own, whichever is met first."""
    with pytest.raises(RefusedError) as caught:
        read_text("v:\n " + opening * depth + "\n")
    assert caught.value.code == "TIP204"
    assert "nested deeper than 200 levels" in str(caught.value)


@pytest.mark.parametrize("depth", [1100, 1900])
def test_a_depth_that_libyaml_refuses_is_told_as_its_limit(depth: int) -> None:
    with pytest.raises(RefusedError, match="nested deeper than 1000 levels") as caught:
        read_text("\n".join(" " * level + "a:" for level in range(depth)), limits=ReaderLimits(depth=2000))
    assert caught.value.code == "TIP204"


def test_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_text("a: " + "x" * 200 + "\n")
    with pytest.raises(RefusedError) as caught:
        read_file(path, limits=ReaderLimits(bytes=100))
    assert caught.value.code == "TIP204"


@pytest.mark.parametrize("size", [2**16 - 1, 2**16, 2**16 + 1, 2**18])
def test_a_file_is_read_to_its_end_and_no_further_than_is_allowed(tmp_path: Path, size: int) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(f"a: {'x' * (size - 3)}")
    assert read_file(path, limits=ReaderLimits(bytes=size))[0].data == {"a": "x" * (size - 3)}
    with pytest.raises(RefusedError, match="larger than"):
        read_file(path, limits=ReaderLimits(bytes=size - 1))


def test_an_anchor_that_contains_itself_is_refused() -> None:
    with pytest.raises(RefusedError, match="contains itself"):
        read_text("a: &a\n  b: *a\n")


def test_tags_that_would_run_code_are_text() -> None:
    assert value_of("!!python/object/apply:os.system ['true']") == ["true"]
    assert value_of("!foo bar") == "bar"


def test_syntax_errors_name_the_line_of_the_file_and_a_fix() -> None:
    with pytest.raises(RefusedError) as caught:
        read_text("kind: A\n---\nkind: B\nv: {{inputs.parameters.x}} y\n", file="f.yaml")
    assert caught.value.code == "TIP203"
    assert caught.value.where.startswith("f.yaml:4:")
    assert "quotes" in caught.value.fix


def test_a_braced_text_is_json_or_a_flow_mapping() -> None:
    document = read('{"kind": "Workflow", "x": [1.0, "\\ud83d\\ude00", true]}')[0]
    assert document.data == {"kind": "Workflow", "x": [1, "\U0001f600", True]}
    assert read_text('{\n\t"kind": "A"\n}')[0].position(("kind",)) == (2, 10)
    assert read_text("{kind: Workflow}")[0].kind == "Workflow"
    with pytest.raises(RefusedError) as caught:
        read_text('{"kind": "A", "kind": "B"}')
    assert caught.value.code == "TIP205"


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "wf.yaml"
    path.write_bytes("\ufeffkind: Wörk\n".encode())
    document = read(path)[0]
    assert document.kind == "Wörk"
    assert document.file == str(path)
    with pytest.raises(RefusedError) as caught:
        read(str(tmp_path / "none.yaml"))
    assert caught.value.code == "TIP201"
    path.write_bytes(b"kind: \xff\n")
    with pytest.raises(RefusedError) as caught:
        read(path)
    assert caught.value.code == "TIP202"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_text(text)
    except RefusedError as error:
        assert error.code.startswith("TIP2")
