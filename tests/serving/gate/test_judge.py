"""Eight bad models and a good one, in the real server, while the model that is served answers everybody.

Marked ``train``: it needs TensorFlow.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.errors import ServingError
from tiphys.reference import Reference
from tiphys.serving import ServingClient, serve
from tiphys.serving.gate.judge import judge
from tiphys.serving.gate.rules import GateRules, Judgement

pytestmark = [pytest.mark.long, pytest.mark.train]
ROOT = Path(__file__).resolve().parents[3]
TODAY = datetime.datetime.now(datetime.UTC).isoformat()
RULES = GateRules(
    p99_seconds=0.15,
    golden=32,
    inputs={"images": "uint8[?,28,28]"},
    outputs={"probabilities": "float32[?,10]"},
    no_worse_by=0.01,
    per_class=0.03,
    data_age_seconds=14 * 86400,
)


def report(accuracy: float, **classes: float) -> dict[str, object]:
    return {"name": "m", "test_accuracy": accuracy, "class_accuracy": classes, "synthetic": False}


SERVED = report(0.9, Bag=0.95, Shirt=0.7)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, "-m", "tests.serving.gate.models", str(folder)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        check=True,
        timeout=120,
    )
    return folder


class Clients:
    """Somebody who asks what is served, all the time."""

    def __init__(self, url: str) -> None:
        self.asked, self.failures = 0, []  # type: ignore[var-annotated]
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        images = [[[0] * 28] * 28]
        with ServingClient(self._url, "m") as client:
            while not self._stop.wait(0.02):
                self.asked += 1
                try:
                    assert len(client.predict(inputs={"images": images})[0]) == 10
                except (ServingError, AssertionError) as error:
                    self.failures.append(str(error))

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def clients(models: Path) -> Iterator[Clients]:
    with serve(models / "good", "m", "127.0.0.1", 0, replicas=1) as serving:
        asking = Clients(serving.url)
        yield asking
        asking.end()


@pytest.fixture(scope="module")
def good(models: Path, clients: Clients) -> Judgement:
    return judged(models, "good", RULES)


def judged(
    models: Path,
    model: str,
    rules: GateRules,
    candidate: dict[str, object] = SERVED,
    data_time: str = TODAY,
) -> Judgement:
    folder = models / model
    return judge("m", Reference(f"file://{folder}"), rules, [candidate], SERVED, data_time)


def test_a_good_model_passes(good: Judgement) -> None:
    assert good.passed, good.summary
    assert good.summary == "m passed"
    measured = good.measurements
    assert 0 < measured["p99_seconds"] <= 0.15
    assert measured["memory_bytes"] > 100 * 2**20
    assert measured["golden_difference"] < 1e-4
    assert measured["load_seconds"] > 0
    assert measured["test_accuracy"] == measured["served_test_accuracy"] == 0.9


def test_a_number_beyond_all_bounds_is_none(tmp_path: Path) -> None:
    """No model has to be loaded to say so."""
    huge: dict[str, object] = {"name": "m", "test_accuracy": 10**400}
    verdict = judge("m", Reference(f"file://{tmp_path}/none"), GateRules(no_worse_by=0.1), [huge], SERVED)
    assert verdict.measurements == {"served_test_accuracy": 0.9}
    assert verdict.reasons[0].startswith("worse overall: no accuracy")


BAD = {
    "cannot load": ("broken", SERVED, TODAY, "cannot load: its server ended with exit code 1"),
    "wrong signature": ("signature", SERVED, TODAY, "another signature: its inputs are pixels: float32"),
    "too big": ("big", SERVED, TODAY, "too big: its server had "),
    "too slow": ("slow", SERVED, TODAY, "too slow: 99 of 100 answers need "),
    "golden differs": ("another", SERVED, TODAY, "golden: 32 of 32 answers are not those of the training"),
    "worse overall": ("good", report(0.88, Bag=0.95, Shirt=0.7), TODAY, "worse overall: 0.8800"),
    "worse in a class": ("good", report(0.93, Bag=0.99, Shirt=0.6), TODAY, "worse in 'Shirt': 0.6000"),
    "data too old": ("good", SERVED, "2026-01-01", "data too old: of 2026-01-01"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_model_is_refused_and_what_is_served_goes_on(
    case: str, models: Path, clients: Clients, good: Judgement
) -> None:
    model, candidate, data_time, reason = BAD[case]
    budget = int(good.measurements["memory_bytes"]) + 100 * 2**20
    before = clients.asked
    verdict = judged(models, model, replace(RULES, memory_bytes=budget), candidate, data_time)
    assert not verdict.passed
    assert len(verdict.reasons) == 1, verdict.reasons
    assert verdict.reasons[0].startswith(reason)
    assert verdict.summary.startswith("m refused: ")
    assert clients.asked > before
    assert clients.failures == []


def test_all_that_is_wrong_is_said(models: Path, tmp_path: Path) -> None:
    """Without any server: the folder is not what was sealed."""
    worse = report(0.5, Bag=0.9, Shirt=0.7)
    verdict = judge("m", Reference(f"file://{tmp_path}"), RULES, [worse], SERVED, "2026-01-01")
    assert [reason.partition(":")[0] for reason in verdict.reasons] == [
        "worse overall",
        "worse in 'Bag'",
        "data too old",
        "cannot load",
    ]


def test_without_golden_predictions_zeros_are_asked(models: Path, tmp_path: Path) -> None:
    from tiphys.reference import seal

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1").symlink_to(models / "good" / "1")
    seal(tmp_path / "m")
    missing = judged(tmp_path, "m", RULES)
    assert missing.reasons == ["golden: no answers are kept with it, 32 are asked for"]
    assert missing.measurements["p99_seconds"] > 0
    assert judged(tmp_path, "m", replace(RULES, golden=0)).passed
