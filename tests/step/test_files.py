"""Files of a step that is called by its module: what the function gets, and what is left for Argo."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy
import pytest

from tiphys.errors import RefusedError
from tiphys.step.files import outputs, place, read

MODULE = """
from dataclasses import dataclass
from pathlib import Path
import numpy, pandas, pyarrow
from numpy.typing import NDArray

@dataclass
class Made:
    table: pandas.DataFrame
    array: NDArray[numpy.float32]
    arrow: pyarrow.Table
    folder: Path
    none: Path | None
    rows: int

def make(data: Path, extra: Path | None = None) -> Made:
    words = data.read_text().split()
    folder = Path("made")
    folder.mkdir()
    (folder / "first").write_text(words[0])
    table = pandas.DataFrame({"word": words, "length": [len(w) for w in words]})
    arrow = pyarrow.table({"n": [1, 2]})
    return Made(table, numpy.arange(6, dtype="float32").reshape(2, 3), arrow, folder, extra, len(words))
"""


def call(tmp_path: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "steps_of_mine.py").write_text(MODULE)
    return subprocess.run(
        [sys.executable, "-m", "tiphys.step", "steps_of_mine:make"],
        env={"TIPHYS_OUTPUTS": str(tmp_path / "out"), "PATH": "/usr/bin:/bin", **inputs},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_step_of_a_module_reads_and_writes_files(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    from pyarrow import parquet

    (tmp_path / "words").write_text("one three")
    ended = call(tmp_path, TIPHYS_INPUT_DATA=str(tmp_path / "words"))
    assert ended.returncode == 0, ended.stderr
    out = tmp_path / "out"
    assert pandas.read_parquet(out / "table").to_dict("list") == {"word": ["one", "three"], "length": [3, 5]}
    assert numpy.load(out / "array", allow_pickle=False).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parquet.read_table(out / "arrow").to_pydict() == {"n": [1, 2]}
    assert (out / "folder" / "first").read_text() == "one"
    assert (out / "rows").read_text() == "2"
    assert not (out / "none").exists() and (out / "none_sha256").read_text() == "none"
    digest = hashlib.sha256((out / "table").read_bytes()).hexdigest()
    assert (out / "table_sha256").read_text() == f"sha256:{digest}"


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = call(tmp_path, TIPHYS_INPUT_DATA=str(tmp_path / "missing"))
    assert ended.returncode == 1
    assert "TIP240: the input 'data' was not given" in ended.stderr


@pytest.mark.parametrize("library", ["numpy", "pandas", "polars", "pyarrow"])
def test_what_is_no_table_is_refused_by_its_name(tmp_path: Path, library: str) -> None:
    pytest.importorskip(library)
    file = tmp_path / "text"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(RefusedError, match="'data' cannot be read by " + library) as caught:
        read(str(file), library, "data")
    assert caught.value.code == "TIP241"


def test_an_array_of_objects_is_not_pickled(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be written") as caught:
        outputs({"result": (numpy.array([object()]), "numpy", False)}, str(tmp_path))
    assert caught.value.code == "TIP242"


@pytest.mark.parametrize("value", ["/etc/hostname", Path("/nowhere/at/all"), None], ids=repr)
def test_what_is_no_file_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(RefusedError) as caught:
        outputs({"result": (value, "", False)}, str(tmp_path / "out"))
    assert caught.value.code == "TIP242"


def test_a_link_is_followed_and_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "x").write_bytes(b"model")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.bin").symlink_to("../blobs/x")
    place(tmp_path / "snapshot", str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.bin").read_bytes() == b"model"
    assert not (tmp_path / "out" / "model.bin").is_symlink()
    place(tmp_path / "out", str(tmp_path / "out"))
    assert (tmp_path / "snapshot" / "model.bin").read_bytes() == b"model"
