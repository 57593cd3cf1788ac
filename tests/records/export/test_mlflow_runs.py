"""What is to be sent to MLflow, within the limits of its server."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from tests.records.export.limits import takes
from tests.records.export.records import hostile, trained, training
from tiphys.records.export.mlflow_runs import key_of, models_of, value_of, wanted
from tiphys.records.record import ArtifactRecord, Point, RunRecord, StepRecord


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    return trained(tmp_path_factory.mktemp("run"))


def test_a_run_and_its_training(record: RunRecord) -> None:
    run, step = wanted(record)  # `ingest` has no metrics
    assert (run.node, run.name, run.status, run.params) == ("", record.name, "FINISHED", {"model": "cnn"})
    assert run.tags["label.team"] == "blue" and run.tags["tiphys.key"] == record.key
    assert run.tags["mlflow.source.git.commit"] == "0123abc"
    assert run.tags["mlflow.source.git.repoURL"] == "https://example.org/team/digits.git"
    assert step.node == training(record).node and step.tags["tiphys.run"] == run.tags["tiphys.run"]
    assert step.params["model"] == "cnn" and step.tags["tiphys.attempts"] == "2"
    assert sorted(step.metrics) == ["accuracy", "loss", "loss/worker-1", "peak_memory", "system/memory"]
    assert [(epoch, value) for _, epoch, value in step.metrics["loss/worker-1"]] == [
        (epoch, 1.5 / epoch) for epoch in range(1, 11)
    ]
    assert [epoch for _, epoch, _ in step.metrics["system/memory"]] == [0, 1, 2]  # seconds


def test_a_result_is_the_last_of_its_series(record: RunRecord) -> None:
    """The output `accuracy` is 0.25, the last epoch said 0.9."""
    step = list(wanted(record))[1]
    values = step.metrics["accuracy"]
    assert len(values) == 11 and max(values, key=lambda each: (each[1], each[0]))[2] == 0.25
    assert values[-2][1] == values[-1][1] == 10


def test_a_step_that_goes_on_has_no_results_yet(record: RunRecord) -> None:
    going = replace(training(record), phase="Running", finished=0.0)
    run, step = wanted(replace(record, phase="Running", finished=0.0, steps=(going,)))
    assert (run.status, run.ended, step.status, step.ended) == ("RUNNING", 0, "RUNNING", 0)
    assert "peak_memory" not in step.metrics and len(step.metrics["accuracy"]) == 10
    final = list(wanted(record))[1]
    assert all(set(step.metrics[key]) <= set(final.metrics[key]) for key in step.metrics)


def test_how_it_ended() -> None:
    run = RunRecord("k", "k", "", "u", "local", "k", "Failed")
    assert next(wanted(run)).status == "FAILED"
    assert next(wanted(replace(run, message="Stopped with strategy 'Stop'"))).status == "KILLED"
    assert next(wanted(replace(run, phase="Pending"))).status == "SCHEDULED"
    step = StepRecord("n", "n", "t", "Pod", "Running", metrics={"a": 1.0})
    assert list(wanted(replace(run, steps=(step,))))[1].status == "KILLED"  # nobody will end it


def test_who_a_run_is_stays_when_its_name_goes_to_another(record: RunRecord) -> None:
    later = replace(record, key=record.key + ".1")
    assert next(wanted(later)).tags["tiphys.run"] == next(wanted(record)).tags["tiphys.run"]
    assert (
        next(wanted(replace(record, uid="other"))).tags["tiphys.run"]
        != next(wanted(record)).tags["tiphys.run"]
    )


@pytest.mark.parametrize("name", ["accuracy", "loss/worker-1", "é b:c.d", "k" * 250])
def test_a_name_that_mlflow_takes_is_its_key(name: str) -> None:
    assert takes(name) and key_of(name) == name


@pytest.mark.parametrize(
    ("name", "begins"), [("acc#1", "acc-1."), ("/a", "a."), ("../a", "a."), ("", "name."), ("k" * 251, "kkk")]
)
def test_any_other_has_a_key_of_its_own(name: str, begins: str) -> None:
    assert takes(key_of(name)) and key_of(name).startswith(begins)


def test_names_that_differ_have_keys_that_differ() -> None:
    names = [
        "#",
        "?",
        "a#",
        "a?",
        "/",
        "//",
        ".",
        "..",
        " ",
        "  ",
        "\n",
        "a\n",
        "k" * 251,
        "k" * 252,
        "\ud800",
        "\udfff",
    ]
    assert len({key_of(name) for name in names}) == len(names) and all(map(takes, map(key_of, names)))


def test_numbers() -> None:
    assert [value_of(number) for number in (1.5, -0.0, math.nan, math.inf, -math.inf)] == [
        1.5,
        -0.0,
        "NaN",
        1.7976931348623157e308,
        -1.7976931348623157e308,
    ]


def test_hostile_values_are_within_the_limits() -> None:
    for run in wanted(hostile()):
        keys = [*run.params, *run.tags, *run.metrics]
        assert [key for key in keys if not takes(key)] == []
        assert all(len(text) <= 6000 for text in run.params.values())
        assert all(len(text) <= 8000 for text in run.tags.values())
        for samples in run.metrics.values():
            assert len(set(samples)) == len(samples)
            assert all(0 <= at < 2**63 and -(2**63) <= step < 2**63 for at, step, _ in samples)
        json.dumps(
            [run.params, run.tags, run.metrics, run.name], ensure_ascii=False, allow_nan=False
        ).encode()


def test_a_hundred_thousand_points(record: RunRecord) -> None:
    step = training(record)
    points = tuple(Point(step.node, step.started + n / 10, "loss", 1 / n, n) for n in range(1, 100_001))
    (found,) = [
        run for run in wanted(replace(record, steps=(replace(step, points=points, metrics={}),))) if run.node
    ]
    assert len(found.metrics["loss"]) == 100_000


def test_models(record: RunRecord) -> None:
    (made,) = models_of(record)
    assert (made.name, made.uri, made.alias) == ("digits.train", "pvc://tiphys/models/cnn-1", record.name)
    assert made.node == training(record).node
    step = replace(
        training(record),
        name="fit(0:cnn)",
        makes=tuple(
            ArtifactRecord(uri, "", name)
            for uri, name in (
                ("pvc://c/models/a", "a"),
                ("s3://b/x/models/b", "b"),
                ("pvc://c/data/a", "c"),
                ("file:///models/a", "d"),
                ("pvc://models/a", "e"),
                ("models/a", "f"),
            )
        ),
    )
    names = [
        (each.uri, each.name.partition("0-")[2][:3]) for each in models_of(replace(record, steps=(step,)))
    ]
    assert names == [("pvc://c/models/a", "cnn"), ("s3://b/x/models/b", "cnn")]
    assert not list(models_of(replace(record, steps=(replace(step, phase="Failed"),))))
    assert [each.alias for each in models_of(replace(record, name="v1"))] == ["run-v1"]
