"""Tables and arrays between embedded steps: what arrives equals what was returned, and is in an open format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest

import tiphys
from tests.tools import argo_lint
from tiphys import Cache, DefinitionError, Fake, Pipeline, component, run, with_fakes
from tiphys.engine import RunOptions


@component(cache=Cache.by_content())
def rows(count: int) -> pandas.DataFrame:
    return pandas.DataFrame(
        {"n": range(count), "when": pandas.date_range("2026-01-01", periods=count), "ä": "ö"}
    )


@component
def described(table: pandas.DataFrame) -> dict[str, str]:
    return {"sum": str(table["n"].sum()), **{name: str(kind) for name, kind in table.dtypes.items()}}


@component
def arrow(table: pyarrow.Table) -> int:
    return int(table.num_rows)


@component
def doubled(table: polars.DataFrame) -> polars.DataFrame:
    return table.with_columns(polars.col("n") * 2)


@component
def total(table: pandas.DataFrame) -> int:
    return int(table["n"].sum())


@component
def raw(table: Path) -> str:
    return table.read_bytes()[:4].decode()


@component
def matrix(size: int) -> numpy.ndarray:
    return numpy.eye(size, dtype="float32")


@component
def trace(array: numpy.ndarray | None = None) -> float:
    return -1.0 if array is None else float(array.trace())


def start(tmp_path: Path, workflow: Any) -> Any:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return run(workflow, options=options)


def build() -> Pipeline:
    with Pipeline("tables") as pipeline:
        table = rows(count=4)
        described(table=table)
        arrow(table=table)
        raw(table=table)
        total(table=doubled(table=table))
        trace(array=matrix(size=3)).named("three")
        trace().named("none")
    return pipeline


def test_tables_and_arrays_arrive(tmp_path: Path) -> None:
    import json

    assert argo_lint(tiphys.to_yaml(build()), tmp_path) == ""
    expected = rows.function(4)  # plain Python beside the steps
    for _ in range(2):
        result = start(tmp_path, build())
        assert result.succeeded
        found = {
            name: result.outputs_of(name)["result"]
            for name in ("described", "arrow", "total", "raw", "three", "none")
        }
        kinds = {name: str(kind) for name, kind in expected.dtypes.items()}
        assert json.loads(found.pop("described")) == {"sum": "6", **kinds}
        assert found == {"arrow": "4", "total": "12", "raw": "PAR1", "three": "3.0", "none": "-1.0"}


def test_a_table_is_no_array_and_no_text() -> None:
    for wrong in (lambda: trace(array=rows(count=1)), lambda: described(table="a,b")):
        with pytest.raises(DefinitionError) as caught, Pipeline("wrong"):
            wrong()
        assert caught.value.code == "TIP105"


def test_a_table_is_faked_by_a_table(tmp_path: Path) -> None:
    fakes = {"rows": Fake(result=pandas.DataFrame({"n": [5, 6]})), "matrix": Fake(result=numpy.ones((2, 2)))}
    result = start(tmp_path, with_fakes(build(), fakes))
    assert '"sum": "11"' in result.outputs_of("described")["result"]
    assert result.outputs_of("three")["result"] == "2.0"


def test_the_compiler_imports_no_library_of_tables() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tiphys\nfrom pathlib import Path\n"
        "from tiphys.dsl.types import signature_of\nfrom tiphys.compiler.line import Site\n"
        "def f(a: Path) -> Path: ...\nsignature_of(f, Site('x', 1), files=True)\n"
        "assert not {'pandas', 'polars', 'pyarrow', 'numpy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_pipeline_of_houses_says_what_its_functions_say(tmp_path: Path) -> None:
    import pipelines.houses as houses

    result = start(tmp_path, houses.build())
    table = pandas.read_csv(houses.measured.function(500, 1)).query("area >= 50.0").reset_index(drop=True)
    fit = houses.fitted.function(table)
    assert result.outputs_of("report")["result"] == houses.report.function(
        fit.model, fit.residuals, fit.error
    )
