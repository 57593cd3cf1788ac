"""Conditions against the same in plain Python, on every way that leads to the runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.records.made import run
from tiphys.records import query
from tiphys.records.index import Index
from tiphys.records.query import select, strange_names
from tiphys.records.record import RunRecord
from tiphys.records.where import order_of, parsed
from tiphys.store import Store

MODELS = ("cnn", "dropout", "batch-norm", "it's; DROP TABLE runs --")


def made() -> list[RunRecord]:
    chance = random.Random(7)
    found = []
    for number in range(400):
        metrics = {"accuracy": round(chance.random(), 3)} if chance.random() < 0.8 else {}
        params = {"model": chance.choice(MODELS), "lr": chance.choice(["0.10", "0.1", "1", "auto"])}
        found.append(
            run(
                f"{chance.choice(['fashion', 'digits'])}-{number:03d}",
                phase=chance.choice(["Succeeded", "Succeeded", "Failed", "Running"]),
                started=1000.0 + chance.randrange(10_000) + number / 1000,
                params=params if number != 7 else {**params, "rare": "yes"},
                metrics=metrics,
                labels={"team": chance.choice("abc")} if chance.random() < 0.7 else {},
                seconds=chance.randrange(1, 100),
            )
        )
    return found


RUNS = made()


def number(text: str) -> float | None:
    return float(text) if text != "auto" else None


def accuracy(item: RunRecord) -> list[float]:
    return item.metrics().get("accuracy", [])


CASES: dict[str, Callable[[RunRecord], bool]] = {
    "metrics.accuracy >= 0.9": lambda item: any(each >= 0.9 for each in accuracy(item)),
    "params.rare == 'yes'": lambda item: item.parameters.get("rare") == "yes",
    "params.model == 'cnn'": lambda item: item.parameters["model"] == "cnn",
    'params.model == "it\'s; DROP TABLE runs --"': lambda item: item.parameters["model"] == MODELS[3],
    "params.lr == 0.1": lambda item: number(item.parameters["lr"]) == 0.1,
    "params.lr == '0.1'": lambda item: item.parameters["lr"] == "0.1",
    "params.lr in (1, 'auto')": lambda item: item.parameters["lr"] in ("1", "auto"),
    "labels.team": lambda item: "team" in item.labels,
    "labels.team != 'a'": lambda item: item.labels.get("team", "a") != "a",
    "not labels.team == 'a'": lambda item: item.labels.get("team") != "a",
    "labels.team not in ('a', 'b')": lambda item: item.labels.get("team") not in ("a", "b"),
    "params.nothing == 'x'": lambda item: False,
    "phase == 'Failed' or labels.team in ('a')": lambda item: item.phase == "Failed" or item.labels.get("team") == "a",
    "phase == 'Failed' or phase == 'Running'": lambda item: item.phase in ("Failed", "Running"),
    "name like 'fashion-%' and not phase == 'Failed'": lambda item: "fashion" in item.name and item.phase != "Failed",
    "name like 'FASHION-%'": lambda item: False,
    "name like '%-00_'": lambda item: item.name[-3:-1] == "00",
    "params.model like '%no%'": lambda item: "no" in item.parameters["model"],
    "started > '1970-01-01T01:00:00Z' and started < 8000": lambda item: 3600 < item.started < 8000,
    "duration > 60": lambda item: item.seconds > 60,
    "not duration > 60": lambda item: not item.seconds > 60,
    "finished < 5000": lambda item: 0 < item.finished < 5000,
    "image == 'python:3.12' and metrics.accuracy < 0.5": lambda item: any(each < 0.5 for each in accuracy(item)),
    "metrics.accuracy >= 0.9 and params.model == 'cnn' and not (phase == 'Failed' or labels.team in ('a','b'))":
        lambda item: any(each >= 0.9 for each in accuracy(item)) and item.parameters["model"] == "cnn"
        and not (item.phase == "Failed" or item.labels.get("team") in ("a", "b")),
}  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index(Store(tmp_path_factory.mktemp("store"))) as index:
        index.put(("1", each) for each in RUNS)
        yield index


def ordered(order: str, runs: list[RunRecord]) -> list[str]:
    """By the order; what has none of it last, the newest first."""
    name = order.lstrip("-")
    sign = -1 if order != name else 1
    values: dict[str, float | str | None] = {}
    for each in runs:
        if name == "metrics.accuracy":
            values[each.key] = (max if sign < 0 else min)(accuracy(each), default=None)
        elif name == "params.lr":
            values[each.key] = number(each.parameters["lr"])
        elif name == "duration":
            values[each.key] = each.seconds or None
        else:
            values[each.key] = getattr(each, name)
    there = [each for each in runs if values[each.key] is not None]
    place = {each.key: at for at, each in enumerate(RUNS)}
    there.sort(key=lambda each: (values[each.key], place[each.key]), reverse=sign < 0)
    rest = sorted((each for each in runs if values[each.key] is None), key=lambda each: -each.started)
    return [each.key for each in (*there, *rest)]


ORDERS = ("-started", "started", "name", "-key", "-metrics.accuracy", "metrics.accuracy", "params.lr", "duration",
          "phase", "-pipeline")  # fmt: skip


@pytest.mark.parametrize("way", ["few", "along", "asked", "impatient"])
@pytest.mark.parametrize("text", CASES)
def test_conditions(index: Index, text: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way != "few":
        monkeypatch.setattr(query, "_FEW", 0)
    if way == "along":
        monkeypatch.setattr(query, "_COUNTED", 0)
    if way == "impatient":
        monkeypatch.setattr(query, "_INSTRUCTIONS", 5)
    fits = [each for each in RUNS if CASES[text](each)]
    for order in ORDERS:
        for limit in (0, 1, 50):
            with index.reading() as db:
                found = select(db, parsed(text), order_of(order), limit)
                keys = [db.execute("SELECT key FROM runs WHERE id=?", (row,)).fetchone()[0] for row in found]
            assert keys == ordered(order, fits)[: limit or None], (order, limit)


def test_all_in_an_order(index: Index) -> None:
    for order in ORDERS:
        with index.reading() as db:
            found = select(db, None, order_of(order), 30)
            keys = [db.execute("SELECT key FROM runs WHERE id=?", (row,)).fetchone()[0] for row in found]
        assert keys == ordered(order, RUNS)[:30]


def test_a_metric_of_several_steps_counts_if_any_does(tmp_path: Path) -> None:
    """And by its best where it orders: the highest of a falling order, the lowest of a rising one."""
    from dataclasses import replace

    one = run("one", metrics={"loss": 3.0})
    several = run("several", metrics={"loss": 1.0})
    several = replace(
        several, steps=(*several.steps, replace(several.steps[1], node="x", metrics={"loss": 5.0}))
    )
    with Index(Store(tmp_path)) as index, index.reading() as db:
        index.put([("1", one), ("1", several)])
        for text, count in (("metrics.loss < 2", 1), ("metrics.loss > 4", 1), ("metrics.loss > 2", 2)):
            assert len(select(db, parsed(text))) == count
        assert (
            select(db, None, order_of("-metrics.loss"))
            == [2, 1]
            == select(db, None, order_of("metrics.loss"))
        )


def test_names_that_no_run_has_are_told(index: Index) -> None:
    with index.reading() as db:
        said = strange_names(
            db, parsed("metrics.acuracy > 1 or (not params.model == 'x' and made.qqqqqq and phase = 'x')")
        )
    assert said == ["no run has metrics.acuracy. Did you mean 'metrics.accuracy'?", "no run has made.qqqqqq."]
