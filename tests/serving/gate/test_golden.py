"""The file of golden predictions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiphys.serving.gate.golden import FILE, Golden, read, write

GOLDEN = Golden({"x": [[1, 2], [3, 4], [5, 6]]}, {"y": [0.5, 1.5, 2.5]})


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    write(tmp_path, GOLDEN)
    assert read(tmp_path) == GOLDEN
    assert GOLDEN.rows == 3
    assert GOLDEN.row(1) == {"x": [[3, 4]]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "other"}',
        '{"format": "tiphys.golden/1", "inputs": {"x": [1]}}',
        '{"format": "tiphys.golden/1", "inputs": {}, "outputs": {}}',
        '{"format": "tiphys.golden/1", "inputs": {"x": 1}, "outputs": {"y": [1]}}',
        '{"format": "tiphys.golden/1", "inputs": {"x": [1, 2]}, "outputs": {"y": [1]}}',
        "[" * 100_000,
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=r"."):
        read(tmp_path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(ValueError, match=r"."):
        read(tmp_path)
