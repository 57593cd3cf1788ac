"""Files and tables between steps: rows as CSV, a table of them, a fit with NumPy, and its model in an object store.

pip install 'tiphys[dataframes]' && tiphys run pipelines/houses.py
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy
import pandas

from tiphys import S3, Cache, Pipeline, component


@dataclass(frozen=True)
class Fit:
    model: Path
    residuals: numpy.ndarray
    error: float


@component
def measured(rows: int, seed: int) -> Path:
    """Areas, rooms and prices of houses that there are not."""
    random = numpy.random.default_rng(seed)
    area, rooms = random.uniform(40, 200, rows), random.integers(1, 8, rows)
    price = 3000 * area + 12000 * rooms + random.normal(0, 8000, rows)
    file = Path(tempfile.mkdtemp(), "houses.csv")
    pandas.DataFrame({"area": area, "rooms": rooms, "price": price}).to_csv(file, index=False)
    return file


@component(cache=Cache.by_content("14d"))
def cleaned(data: Path, smallest: float) -> pandas.DataFrame:
    table = pandas.read_csv(data)
    return table[table["area"] >= smallest].reset_index(drop=True)


@component(stores={"model": S3(key="houses/{workflow}/model.csv")})
def fitted(table: pandas.DataFrame) -> Fit:
    """Least squares; the model is a small file of one's own format."""
    known = table[["area", "rooms"]].to_numpy()
    weights, *_ = numpy.linalg.lstsq(known, table["price"].to_numpy(), rcond=None)
    residuals = table["price"].to_numpy() - known @ weights
    model = Path(tempfile.mkdtemp(), "model.csv")
    model.write_text(f"area,{float(weights[0])}\nrooms,{float(weights[1])}\n")
    return Fit(model, residuals, float(numpy.abs(residuals).mean()))


@component(exports={"result": "report"})
def report(model: Path, residuals: numpy.ndarray, error: float) -> str:
    weights = dict(line.split(",") for line in model.read_text().splitlines())
    return f"{len(residuals)} houses, {float(weights['area']):.0f} per m², mean error {error:.0f}"


def build() -> Pipeline:
    with Pipeline("houses", title="Prices of houses") as pipeline:
        rows = pipeline.param("rows", 500, minimum=10)
        data = measured(rows=rows, seed=pipeline.param("seed", 1))
        fit = fitted(table=cleaned(data=data, smallest=50.0))
        report(model=fit.model, residuals=fit.residuals, error=fit.error)
    return pipeline
