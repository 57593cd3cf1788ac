"""What is served, told; and what models say of a picture, with its mean."""

from __future__ import annotations

import pytest

from tests.server.views.made import EVIL
from tiphys.records.datasets import DataSet
from tiphys.records.record import ArtifactRecord, RunRecord, StepRecord
from tiphys.runs.services import PictureInput, ServedModel, ServedReplica, Thought
from tiphys.server.views.models import class_names, drawable, model_parts, thoughts
from tiphys.serving.counted import Counted


def run(*steps: StepRecord, phase: str = "Succeeded") -> RunRecord:
    return RunRecord("r", "r", "", "", "local", "p", phase, steps=steps)


def test_services_and_replicas() -> None:
    counted = Counted(3, 1, (1, 2), 0, {1000.0: 0, 3000.0: 3, float("inf"): 3})
    replicas = (
        ServedReplica("127.0.0.1:1", "healthy", 0, 4, 0, counted),
        ServedReplica("127.0.0.1:2", "ejected", 0, 0, 5, Counted()),
    )
    one = ServedModel(
        "first", "http://x:1", "cnn", "m", 9, 2, 1, replicas, counted, PictureInput("s", "i", 28, 20, "p")
    )
    uses = (ArtifactRecord("pvc://m/cnn"),)
    deploy = StepRecord(
        "d", "d", "t", "Pod", "Succeeded", inputs={"name": "cnn"}, uses=uses, creates="Deployment"
    )
    (part,) = model_parts(run(deploy), [one])
    services, told = part.grids
    assert [cell.text for cell in services.rows[0]] == [
        "first", "cnn", "1, 2", "1 of 2", "9", "2", "1", "2 ms", "2.98 ms", "http://x:1/v1/models/m",
    ]  # fmt: skip
    assert "pvc" in services.rows[0][1].link and [row[1].mark for row in told.rows] == ["ok", "bad"]
    assert drawable([ServedModel("x", "u"), one]) == (28, 20) and drawable([]) is None


def test_where_nothing_is_served_it_says_how() -> None:
    step = StepRecord(
        "e", "e", "t", "Pod", "Succeeded", inputs={"name": "cnn"}, outputs={"url": "u"}, creates="Service"
    )
    (part,) = model_parts(run(step), [])
    assert "--keep-serving" in " ".join(part.notes) and part.grids[0].rows[0][1].text == "cnn"
    (early,) = model_parts(run(phase="Running"), [])
    assert "yet" in early.notes[0]
    (lost,) = model_parts(run(), [ServedModel("first", "u", problem="refused")])
    assert "network" in " ".join(lost.warnings)


def test_the_mean_is_of_those_that_answered() -> None:
    told = thoughts(
        [Thought("a", "x", [0.2, 0.8]), Thought("b", "y", [0.6, 0.4]), Thought("c", "z", problem=EVIL)],
        ["p", "q"],
    )
    assert told["mean"] == pytest.approx([0.4, 0.6]) and told["labels"] == ["p", "q"]
    assert thoughts([Thought("c", "z", problem="gone")], [])["mean"] == []
    assert thoughts([Thought("a", "x", [1.0])], ["p", "q"])["labels"] == ["0"]
    assert (
        class_names(run(), [DataSet("a"), DataSet("u", classes=["x"])]) == ["x"]
        and class_names(run(), []) == []
    )
