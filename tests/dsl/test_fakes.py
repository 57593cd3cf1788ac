"""A pipeline under test: the compiled workflow runs, and chosen steps only answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tiphys
from tests.tools import argo_lint
from tiphys import DefinitionError, Fake, with_fakes
from tiphys.compiler.load import load

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
MISSION = ROOT / "pipelines" / "fashion_mnist.py"
ACCURACY = {"cnn": 0.95, "dropout": 0.85, "batch-norm": 0.93}


class Judged(NamedTuple):
    report: dict[str, Any]
    accuracy: float


def judge(name: str, model: str) -> Judged:
    """What evaluation would say of each model."""
    accuracy = ACCURACY[name]
    report = {
        "name": name,
        "uri": model,
        "digest": "",
        "validation_accuracy": accuracy,
        "test_accuracy": accuracy,
    }
    return Judged({**report, "seconds": 1.0, "synthetic": False}, accuracy)


FAKES: dict[str, Any] = {
    "fingerprint": Fake(source=tiphys.Reference("pvc://tiphys/sources/x", "sha256:00"), origin="a fake"),
    "ingest": Fake(dataset=tiphys.Reference("pvc://tiphys/datasets/x", "sha256:00"), summary="few"),
    "expect": Fake(
        dataset=tiphys.Reference("pvc://tiphys/datasets/x", "sha256:00"), summary="", data_time=""
    ),
    "gate": Fake(passed=True, reasons=[], measurements={}, summary=""),
    "train": Fake(model="pvc://tiphys/models/x"),
    "evaluate": judge,
    "deploy": Fake(),
    "expose": Fake(url="http://127.0.0.1:1"),
    "predict": Fake(prediction={"label": 3}, summary="it's a dress {{x}}"),
    "retire": Fake(),
    "stop-training": Fake(),
    "stop-serving": Fake(),
}


def options(folder: Path) -> Any:
    from tiphys.engine import RunOptions

    return RunOptions(store=folder / "store")


def phases(workflow: dict[str, Any]) -> dict[str, str]:
    return {n["name"].split(".", 1)[-1]: n["phase"] for n in workflow["status"]["nodes"].values()}


def outputs(workflow: dict[str, Any], name: str) -> dict[str, str]:
    node = next(n for n in workflow["status"]["nodes"].values() if n["name"].split(".", 1)[-1] == name)
    return {p["name"]: p["value"] for p in (node.get("outputs") or {}).get("parameters", [])}


def test_the_mission_runs_without_data_training_or_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    result = tiphys.run(with_fakes(MISSION, FAKES), options=options(tmp_path))
    assert result.succeeded, result.message
    chosen = outputs(result.workflow, "select")
    assert (chosen["first-name"], chosen["second-name"]) == ("cnn", "batch-norm")
    found = phases(result.workflow)
    assert found["cnn.deploy"] == "Skipped" and found["deploy-second"] == "Succeeded"
    assert result.workflow["status"]["outputs"]["parameters"][-1]["value"] == "it's a dress {{x}}"


def test_too_few_good_models_are_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = tiphys.run(with_fakes(MISSION, FAKES), options=options(tmp_path), min_accuracy=0.94)
    assert not result.succeeded
    found = phases(result.workflow)
    assert found["enough"] == "Failed" and found["deploy-first"] == "Omitted"
    assert found["onExit.stop-serving"] == "Succeeded"


def test_good_models_are_published_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = tiphys.run(with_fakes(MISSION, FAKES), options=options(tmp_path), serve="early")
    assert result.succeeded, result.message
    found = phases(result.workflow)
    assert {outputs(result.workflow, f"{m}.claim")["slot"] for m in ("cnn", "batch-norm")} == {
        "first",
        "second",
    }
    assert found["cnn.expose"] == found["batch-norm.expose"] == "Succeeded"
    assert found["dropout.deploy"] == "Skipped" and found["dropout.claim"] == "Omitted"
    assert found["retire"] == "Succeeded"


def test_one_model_may_be_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = tiphys.run(with_fakes(MISSION, FAKES), options=options(tmp_path), top=1)
    assert result.succeeded, result.message
    found = phases(result.workflow)
    assert (found["deploy-second"], found["expose-second"], found["predict"]) == (
        "Omitted",
        "Omitted",
        "Succeeded",
    )


def test_a_fake_may_fail_and_a_retry_may_succeed(tmp_path: Path) -> None:
    def build(attempts: int) -> list[dict[str, Any]]:
        pipeline = load(str(ROOT / "pipelines" / "branch.py"))
        fakes = {
            "flip": Fake(side="heads", luck=0.9),
            "celebrate": Fake(result="third time lucky", exit_code=1, attempts=attempts),
        }
        return with_fakes(pipeline, fakes)

    good = tiphys.run(build(2), options=options(tmp_path))
    assert good.succeeded and outputs(good.workflow, "tell") == {"result": "third time lucky"}
    bad = tiphys.run(build(3), options=options(tmp_path))
    assert phases(bad.workflow)["celebrate"] == "Failed"


def test_argo_accepts_a_workflow_with_fakes(tmp_path: Path) -> None:
    assert argo_lint(tiphys.to_yaml(with_fakes(MISSION, FAKES)), tmp_path) == ""


def test_faked_steps_keep_inputs_outputs_and_locks_but_not_the_cache() -> None:
    workflow = with_fakes(MISSION, {"train": FAKES["train"]})[-1]
    train = next(t for t in workflow["spec"]["templates"] if t["name"] == "train")
    assert "memoize" not in train and "resource" not in train and train["synchronization"]["semaphores"]
    assert train["outputs"]["parameters"][0]["name"] == "model"
    assert json.dumps(workflow).count('"resource"') >= 4


def wrong_input(nmae: str) -> Judged:
    return Judged({}, 0.0)


@pytest.mark.parametrize(
    "fakes, words",
    [
        ({"trian": Fake()}, "Did you mean 'train'"),
        ({"train": Fake(modle="x")}, "Did you mean 'model'"),
        ({"evaluate": Fake(accuracy=0.5)}, "does not give 'report'"),
        ({"evaluate": wrong_input}, "Did you mean 'name'"),
        ({"candidate": Fake(report="x")}, "is a graph"),
    ],
)
def test_a_fake_that_does_not_fit_is_refused(fakes: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        with_fakes(MISSION, fakes)
    assert caught.value.code == "TIP123" and words in caught.value.message
    assert "test_fakes.py" in caught.value.where


def test_a_missing_output_is_allowed_when_the_fake_fails() -> None:
    assert with_fakes(MISSION, {"train": Fake(exit_code=3)})


@tiphys.component
def model(rate: float) -> Path:
    raise RuntimeError("hours of training")


@tiphys.component
def judged_by(model: Path) -> str:
    found = [model] if model.is_file() else sorted(model.rglob("*"))
    return ",".join(each.read_text() for each in found if each.is_file())


def trained() -> tiphys.Pipeline:
    with tiphys.Pipeline("trained") as pipeline:
        judged_by(model=model(rate=0.1))
    return pipeline


def smaller(rate: float) -> Path:
    Path("/tmp/small").write_text(f"small {rate}")
    return Path("/tmp/small")


def length(model: Path) -> str:
    return str(len(model.read_bytes()))


def test_a_file_is_faked_by_its_content_or_by_a_function(tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "a").write_text("first")
    (tmp_path / "tree" / "b").write_text("second")
    (tmp_path / "one").write_text("alone")
    fakes: list[tuple[dict[str, Any], str]] = [
        ({"model": Fake(result="as {{text}}")}, "as {{text}}"),
        ({"model": Fake(result=b"bytes")}, "bytes"),
        ({"model": Fake(result=tmp_path / "one")}, "alone"),
        ({"model": Fake(result=tmp_path / "tree")}, "second,first"),
        ({"model": smaller}, "small 0.1"),
        ({"model": Fake(result=b"bytes"), "judged-by": length}, "5"),
    ]
    for given, expected in fakes:
        documents = with_fakes(trained(), given)
        assert argo_lint(json.dumps(documents[-1]), tmp_path) == ""
        result = tiphys.run(documents, options=options(tmp_path))
        assert result.succeeded and result.outputs_of("judged-by")["result"].replace("\u2060", "") == expected


@pytest.mark.parametrize(
    ("fakes", "word"),
    [
        ({"model": Fake(result=Path("/nowhere"))}, "which there is not"),
        ({"model": Fake(result=bytes(200_000))}, "200000 bytes"),
        ({"judged-by": Fake(result=b"bytes")}, "which is text"),
        ({"model": length}, "'model'"),
        ({"judged-by": smaller}, "'rate'"),
    ],
    ids=["not there", "too long", "text", "input of a function", "no such input"],
)
def test_a_fake_of_a_file_that_cannot_be_is_refused(fakes: dict[str, Any], word: str) -> None:
    with pytest.raises(DefinitionError, match=word) as caught:
        with_fakes(trained(), fakes)
    assert caught.value.code == "TIP123"
