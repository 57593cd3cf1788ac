"""Golden predictions as a training writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.golden import write_golden
from tiphys.errors import ComponentError
from tiphys.serving.gate.golden import read


def test_arrays_come_out_as_columns(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    write_golden(tmp_path, {"images": images}, {"probabilities": np.array([[1 / 3], [2 / 3]], np.float32)})
    golden = read(tmp_path)
    assert golden is not None
    assert golden.inputs == {"images": images.tolist()}
    assert golden.outputs["probabilities"][0] == [pytest.approx(1 / 3, abs=1e-6)]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ComponentError) as caught:
        write_golden(tmp_path / "file", {}, {})
    assert caught.value.code == "TIP707"
