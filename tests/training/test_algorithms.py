"""An algorithm's versions count from 1 and never change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.errors import TrainingServiceError
from tiphys.store.layout import Store
from tiphys.training.algorithms import AlgorithmTable
from tiphys.training.file import TrainingFile
from tiphys.training.job import Algorithm, AlgorithmSecret

CNN = Algorithm(
    "cnn", image="x", command=("python", "t.py"), env={"A": "b"}, secrets=(AlgorithmSecret("K", "s", "k"),)
)


def test_versions(tmp_path: Path) -> None:
    file = TrainingFile(Store(tmp_path))
    table = AlgorithmTable(file)
    first = table.create(CNN, 1.0)
    assert (first.version, first.created) == (1, 1.0)
    assert table.update(CNN, 2.0) == first, "nothing has changed: no version"
    second = table.update(replace(CNN, image="y"), 3.0)
    assert (second.version, table.get("cnn"), table.get("cnn", 1)) == (2, second, first)
    assert table.list("cnn") == [second, first]
    table.create(replace(CNN, name="abc"), 4.0)
    assert [each.name for each in table.list()] == ["abc", "cnn"]
    for code, call in {
        "TIP805": lambda: table.create(CNN, 5.0),
        "TIP807": lambda: table.update(replace(CNN, name="cmn"), 5.0),
    }.items():
        with pytest.raises(TrainingServiceError) as caught:
            call()
        assert caught.value.code == code
    with pytest.raises(TrainingServiceError, match="Did you mean 'cnn'"):
        table.get("cmn")
    with pytest.raises(TrainingServiceError, match="2 versions"):
        table.get("cnn", 3)
    file.close()
