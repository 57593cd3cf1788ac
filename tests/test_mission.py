"""The whole pipeline on a small real subset: what runs is the compiled YAML, with real processes.

Marked ``train``: it needs TensorFlow. The data are real (a subset of the 60 000 images); only the epochs are few, so
the accuracy asked for is low.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="needs the extra 'train'")
pytestmark = [pytest.mark.long, pytest.mark.train]

ROOT = Path(__file__).resolve().parents[1]
MISSION = str(ROOT / "pipelines" / "fashion_mnist.py")
SMALL = {
    "limit": "2400",
    "validation-size": "400",
    "epochs": "2",
    "batch-size": "64",
    "min-accuracy": "0.2",
}
MODELS = ("cnn", "dropout", "batch-norm")


def command(store: Path, *parameters: str) -> list[str]:
    given = SMALL | dict(parameter.split("=", 1) for parameter in parameters)
    settings = [part for name, value in given.items() for part in ("-p", f"{name}={value}")]
    return [sys.executable, "-m", "tiphys", "run", MISSION, "--store", str(store), "--json", *settings]


def run(store: Path, *parameters: str) -> dict[str, Any]:
    done = subprocess.run(
        command(store, *parameters),
        cwd=store.parent,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    workflow: dict[str, Any] = json.loads(done.stdout)
    return workflow


def leaves(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    name = workflow["metadata"]["name"]
    return {
        node["name"].removeprefix(name + ".").removesuffix(".job").removesuffix(".run"): node
        for node in workflow["status"]["nodes"].values()
        if hit(node)
        or node["type"] == "Retry"
        or (node["type"] == "Pod" and not (node.get("nodeFlag") or {}).get("retried"))
    }


def output(node: dict[str, Any], name: str) -> str:
    return next(str(item["value"]) for item in node["outputs"]["parameters"] if item["name"] == name)


def values(node: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in node["outputs"]["parameters"]}


def hit(node: dict[str, Any]) -> bool:
    return bool((node.get("memoizationStatus") or {}).get("hit"))


def judged(steps: dict[str, dict[str, Any]]) -> list[str]:
    """The models but one that could not be among the best any more, and was the last to be trained: which one that is
    is up to who comes first, and after so few epochs dropout has by far the lowest accuracy in training."""
    return [model for model in MODELS if f"drop-training(0:{model})" not in steps]


def processes_of(store: Path) -> list[str]:
    """Command lines of processes that know the store: none may outlive a run."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and str(store) in (folder / "environ").read_bytes().decode(
                "utf-8", "replace"
            ):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mission") / "store"


@pytest.fixture(scope="module")
def first(store: Path) -> dict[str, Any]:
    return run(store)


@pytest.fixture(scope="module")
def second(store: Path, first: dict[str, Any]) -> dict[str, Any]:
    return run(store)


def test_every_step_runs_once_and_succeeds(first: dict[str, Any]) -> None:
    assert first["status"]["phase"] == "Succeeded"
    steps = leaves(first)
    expected = {
        "fingerprint",
        "ingest",
        "expect",
        "enough",
        "select",
        "gate-first",
        "gate-second",
        "deploy-first",
        "expose-first",
        "deploy-second",
        "expose-second",
    }
    expected |= {f"hand-in-{model}" for model in MODELS}
    expected |= {f"{model}.{step}" for model in MODELS for step in ("train", "train.run.prepare")}
    for model in MODELS:
        expected.add(f"{model}.evaluate" if model in judged(steps) else f"drop-training(0:{model})")
    assert set(steps) == expected | {"predict"}
    assert not any(hit(node) for node in steps.values())


def test_only_one_gang_trains_at_a_time(first: dict[str, Any]) -> None:
    steps = leaves(first)
    trainings = sorted(
        (node["startedAt"], node["finishedAt"]) for name, node in steps.items() if name.endswith(".train")
    )
    # a node that waits for the semaphore is created at once: only the ends can be ordered
    assert len({finished for _, finished in trainings}) == 3


def test_two_of_three_models_are_chosen_by_validation_accuracy(first: dict[str, Any]) -> None:
    steps = leaves(first)
    selection = json.loads(output(steps["select"], "selection"))
    reports = [json.loads(output(steps[f"{m}.evaluate"], "report")) for m in judged(steps)]
    ranked = sorted(reports, key=lambda report: (-report["validation_accuracy"], report["name"]))
    assert selection["chosen"] == [report["name"] for report in ranked[:2]]
    dropped = [model for model in MODELS if model not in judged(steps)]
    assert [(each["name"], each["why"]) for each in selection["dropped"]] == [(m, "behind") for m in dropped]
    assert len(dropped) <= 1
    assert selection["synthetic"] is False


def test_the_prediction_is_the_mean_of_two_services_on_real_images(first: dict[str, Any]) -> None:
    prediction = json.loads(output(leaves(first)["predict"], "prediction"))
    assert len(prediction["urls"]) == 2
    assert len(set(prediction["urls"])) == 2
    assert prediction["combine"] == "mean"
    assert (prediction["weights"], prediction["answered"]) == ([1.0, 1.0], prediction["urls"])
    assert prediction["missing"] == []
    for image in prediction["images"]:
        assert sum(image["probabilities"]) == pytest.approx(1.0, abs=1e-3)
        assert len(image["votes"]) == 2
    summary = next(
        item["value"] for item in first["status"]["outputs"]["parameters"] if item["name"] == "summary"
    )
    assert prediction["images"][0]["label"] in summary
    assert any(block in summary for block in "▀▄█")


def test_nothing_outlives_the_run(first: dict[str, Any], store: Path) -> None:
    assert processes_of(store) == []


def test_the_second_run_takes_ingestion_training_and_evaluation_from_the_cache(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    before, after = leaves(first), leaves(second)
    cached = {name for name, node in after.items() if hit(node)}
    kept = judged(before)
    assert cached - {f"{model}.train" for model in MODELS if model not in kept} == {"ingest"} | {
        f"{model}.{step}" for model in kept for step in ("train", "evaluate")
    }
    for name in cached:
        told = values(before[name])
        told.pop("tiphys-summary", None)  # what was told while it was computed: a hit computes nothing
        assert values(after[name]) == told


def test_a_damaged_model_is_not_taken_from_the_cache(second: dict[str, Any], store: Path) -> None:
    uri = output(leaves(second)["cnn.train"], "model")
    folder = store / "volumes" / "tiphys" / uri.removeprefix("pvc://tiphys/")
    (folder / "1" / "saved_model.pb").write_bytes(b"damaged")
    steps = leaves(run(store))
    for model in judged(leaves(second)):
        assert hit(steps[f"{model}.train"]) == (model != "cnn")
    assert hit(steps["ingest"])


def test_early_serving_publishes_first_and_swaps_in_the_best(store: Path, second: dict[str, Any]) -> None:
    steps = leaves(run(store, "serve=early", "combine=weighted-mean"))
    early = [name for name in steps if name.endswith(".claim")]
    assert early, "no model was published before the selection"
    slots = [output(steps[name], "slot") for name in early]
    assert sorted(slot for slot in slots if slot) == ["first", "second"]
    assert steps["expose-first"]["phase"] == steps["expose-second"]["phase"] == "Succeeded"
    assert steps["retire"]["phase"] == "Succeeded"
    assert steps["predict"]["phase"] == "Succeeded"
    chosen = json.loads(output(steps["select"], "selection"))["candidates"][:2]
    prediction = json.loads(output(steps["predict"], "prediction"))
    assert prediction["weights"] == [each["validation_accuracy"] for each in chosen]


def test_a_majority_vote_of_one_service(store: Path, second: dict[str, Any]) -> None:
    steps = leaves(run(store, "top=1", "combine=vote"))
    assert "deploy-second" not in steps
    prediction = json.loads(output(steps["predict"], "prediction"))
    assert prediction["combine"] == "vote"
    assert len(prediction["urls"]) == 1


@contextlib.contextmanager
def started(store: Path, *parameters: str) -> Iterator[subprocess.Popen[str]]:
    """A run whose workers end with its engine, even if that is killed."""
    process = subprocess.Popen(
        command(store, *parameters),
        env={**os.environ, "TIPHYS_KEEPER_GRACE": "0"},
        cwd=store.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def wait_for_epoch(store: Path, number: int, process: subprocess.Popen[str]) -> None:
    """Until a training has recorded an epoch (its backup is then on disk)."""
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):  # folders of a backup that is being written come and go
            for file in (store / "volumes").rglob("metrics.jsonl"):
                if file.read_text().count("\n") >= number:
                    return
        time.sleep(0.1)
    raise AssertionError("no epoch was recorded")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
def test_an_interrupted_run_leaves_nothing_behind_and_the_next_goes_on(
    number: signal.Signals, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    more = ("models=cnn", "top=1", "epochs=4")
    with started(store, *more) as process:
        wait_for_epoch(store, 1, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in errors
    until = time.monotonic() + 20
    while processes_of(store) and time.monotonic() < until:
        time.sleep(0.1)
    assert processes_of(store) == []
    assert not list((store / "volumes").rglob("saved_model.pb"))  # no half-written model

    steps = leaves(run(store, *more))
    assert hit(steps["ingest"])
    log = "".join(file.read_text() for file in (store / "runs").rglob("*cnn-worker-0.log"))
    assert "epoch 4/4" in log
    assert log.count("epoch 1/4") == 1, "the training began again instead of going on from its backup"


def test_data_that_is_lost_before_the_trainings_is_ingested_again(tmp_path: Path) -> None:
    """No gang starts for nothing, no step is tried again, and the data are the same as before."""
    store = tmp_path / "store"
    words = command(
        store, "source=synthetic", "limit=1200", "validation-size=200", "epochs=1", "min-accuracy=0"
    )
    folder = store / "volumes" / "tiphys" / "datasets"
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        while not list(folder.glob("ingest-*/manifest.json")):
            assert process.poll() is None
            time.sleep(0.01)
        (ingested,) = folder.glob("ingest-*")
        before = {path.name: path.read_bytes() for path in ingested.iterdir()}
        time.sleep(0.3)  # the step that wrote it is to end
        shutil.rmtree(ingested)
        out, _ = process.communicate(timeout=600)
    workflow = json.loads(out)
    assert workflow["status"]["phase"] == "Succeeded"
    pods = [node["name"] for node in workflow["status"]["nodes"].values() if node["type"] == "Pod"]
    assert len([name for name in pods if ".train.run.job" in name]) == 3
    assert len([name for name in pods if ".ingest" in name]) == 1
    assert {path.name: path.read_bytes() for path in ingested.iterdir()} == before
