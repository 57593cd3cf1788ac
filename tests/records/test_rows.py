"""A record comes back from its rows as it went in."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from tests.records.made import run
from tiphys.causes.cause import Cause
from tiphys.records.index import Index
from tiphys.records.record import ArtifactRecord, AttemptRecord, EventRecord, Point, RunRecord, StepRecord
from tiphys.records.rows import LONGEST, Fact, facts, kept_points, kind_of, shortened
from tiphys.store import Store


def test_a_record_comes_back(tmp_path: Path) -> None:
    made = run(
        "a-1", params={"x": "1"}, labels={"team": "ml"}, uses="pvc://v/data/d", makes="pvc://v/models/m"
    )
    with Index(Store(tmp_path)) as index:
        index.put([("1", made), ("1", replace(made, key="b-1", uid="other"))])
        assert index.record("a-1") == made
        index.put([("2", replace(made, phase="Failed"))])
        assert index.record("a-1") == replace(made, phase="Failed")


def test_no_field_is_forgotten(tmp_path: Path) -> None:
    """A field that somebody adds to a record has its column, or is no field."""
    thing = ArtifactRecord("u", "sha256:1", "n")
    attempt = AttemptRecord("n", 1, "p", "m", 3, 1.0, 2.0, "h", "p", {"cpu": 1}, Cause("oom", True, "e"))
    point = Point("n", 1.0, "loss", 2.0, 3, "worker-1")
    event = EventRecord("n", 1.0, "failed", "m", "worker-1", 137, 2.0)
    step = StepRecord(
        "n", "s", "t", "k", "p", "m", True, 1.0, 2.0, {"a": "b"}, {"c": "d"}, {"e": 1.0}, (thing,),
        (replace(thing, uri="v"),), attempts=(attempt,), resources={"cpu": 1}, points=(point,),
        said=(replace(thing, uri="w"),), creates="Service", events=(event,), requests={"cpu": 0.5},
        gang={"cpu": 1.0}, pool="training",
    )  # fmt: skip
    whole = RunRecord(
        "k", "n", "ns", "u", "s", "pi", "ph", "m", 1.0, 2.0, 3.0, "1/2", parameters={"a": "b"}, outputs={"c": "d"},
        labels={"e": "f"}, made_from={"code": "x"}, images=("i",), resources={"cpu": 1}, steps=(step,), config="c@1",
        scheduled=4.0,
    )  # fmt: skip
    for each in (thing, attempt, point, event, step, whole):
        assert [field.name for field in fields(each) if not getattr(each, field.name)] == []
    with Index(Store(tmp_path)) as index:
        index.put([("1", whole)])
        assert index.record("k") == whole


def test_what_can_be_asked_of_a_run() -> None:
    found = facts(
        run("a-1", params={"lr": "0.10", "model": "cnn"}, metrics={"accuracy": 0.91}, labels={"team": "ml"})
    )
    assert found == {
        Fact("image", "python:3.12", None),
        Fact("params.lr", "0.10", 0.1),
        Fact("params.model", "cnn", None),
        Fact("labels.team", "ml", None),
        Fact("inputs.data", "", None),
        Fact("metrics.accuracy", "0.91", 0.91),
    }
    long = "x" * (LONGEST + 1)
    assert shortened("x" * LONGEST) == "x" * LONGEST
    assert shortened(long) != shortened(long + "x") and len(shortened(long)) < LONGEST + 80


def test_of_a_long_series_the_first_and_the_last_are_kept() -> None:
    reported = [Point("n", at, "loss", 1 / (at + 1)) for at in range(1, 1751)]
    sampled = [Point("n", at, "memory", 100 - abs(50 - at)) for at in range(100)]
    counted = [Point("n", at, "cpu", at) for at in range(100)]
    kept = kept_points([*reported, *sampled, *counted])
    losses = [point for point in kept if point.key == "loss"]
    assert losses[0] == reported[0] and losses[-1] == reported[-1] and 400 <= len(losses) <= 501
    assert [point for point in kept if point.key != "loss"] == [sampled[50], counted[-1]]
    few = reported[:500]
    assert kept_points(few) == few


def test_an_artifacts_kind_is_where_it_lies() -> None:
    assert kind_of("pvc://tiphys/models/abc") == "models"
    assert kind_of("pvc://tiphys/models") == "" == kind_of("main-logs/x/y/z")


def test_what_sqlite_cannot_hold_is_told(tmp_path: Path) -> None:
    with Index(Store(tmp_path)) as index:
        index.put([("1", run("good")), ("1", run("bad", params={"x": "\ud800"}))])
        assert index.record("bad").phase == "Unreadable"
        assert index.record("good").phase == "Succeeded"
