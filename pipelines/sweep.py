"""A sweep: fit six settings of a regression in parallel, refit the best one on all rows, report its error on the test.

tiphys run pipelines/sweep.py -p rows=400
"""

from typing import NamedTuple

import numpy as np

from tiphys import Pipeline, component, for_each


class Setting(NamedTuple):
    degree: int
    ridge: float


class Data(NamedTuple):
    train: list[list[float]]
    validation: list[list[float]]
    test: list[list[float]]


SETTINGS = [Setting(degree, ridge) for degree in (1, 5, 9) for ridge in (0.001, 1.0)]


def solve(rows: list[list[float]], degree: int, ridge: float) -> list[float]:
    x, y = np.array(rows).T
    powers = np.vander(x, degree + 1)
    return list(np.linalg.solve(powers.T @ powers + ridge * np.eye(len(powers.T)), powers.T @ y))


def error(rows: list[list[float]], weights: list[float]) -> float:
    x, y = np.array(rows).T
    return round(float(np.mean((np.polyval(weights, x) - y) ** 2)), 6)


@component
def make(rows: int, seed: int) -> Data:
    generator = np.random.default_rng(seed)
    x = generator.uniform(-1, 1, rows)
    table = np.stack([x, np.sin(4 * x) + generator.normal(0, 0.1, rows)], axis=1).round(4).tolist()
    return Data(table[: rows // 2], table[rows // 2 : rows * 3 // 4], table[rows * 3 // 4 :])


@component
def trial(train: list[list[float]], validation: list[list[float]], degree: int, ridge: float) -> float:
    return error(validation, solve(train, degree, ridge))


@component
def best_of(errors: list[float]) -> Setting:
    return SETTINGS[errors.index(min(errors))]


@component
def refit(train: list[list[float]], validation: list[list[float]], degree: int, ridge: float) -> list[float]:
    return solve(train + validation, degree, ridge)


@component
def report(test: list[list[float]], weights: list[float]) -> str:
    print(text := f"degree {len(weights) - 1}: error {error(test, weights):.4f} on the test")
    return text


with Pipeline("sweep", title="A sweep") as pipeline:
    data = make(rows=pipeline.param("rows", 400, minimum=8), seed=pipeline.param("seed", 7))
    setting = for_each([each._asdict() for each in SETTINGS])
    trials = trial(
        train=data.train, validation=data.validation, degree=setting["degree"], ridge=setting["ridge"]
    )
    best = best_of(errors=trials.result)
    weights = refit(train=data.train, validation=data.validation, degree=best.degree, ridge=best.ridge)
    report(test=data.test, weights=weights)
