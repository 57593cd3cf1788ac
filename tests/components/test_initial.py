"""A training that begins with the weights of an earlier model: where that stood says TensorFlow's own loader."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tiphys
from components.publish import published
from tests.components.incremental import check_begins, pipeline, trained
from tests.components.test_train import SECONDS, metrics, run_once, settings, trains
from tiphys.engine import RunOptions
from tiphys.records.fold import fold
from tiphys.records.lineage import Folded, Lineage, lineage, tree
from tiphys.reference import Reference
from tiphys.store import Store

sys.path.insert(0, str(Path(__file__).parent))
from gang import Workers

pytestmark = pytest.mark.long

FIRST, SECOND = "pvc://tiphys/models/m-1", "pvc://tiphys/models/m-2"
STANDS = """
import json, sys
import numpy as np, tensorflow as tf
from components.dataset import Dataset
from tiphys.reference import Reference
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
loss = right = rows = 0
for images, labels in Dataset.open(Reference.parse(sys.argv[2])).batches("train", 540):
    found = answer(images=tf.constant(images))["probabilities"].numpy()
    wanted = 0.95 * np.eye(10)[labels] + 0.005
    loss -= float((wanted * np.log(found)).sum())
    right += int((found.argmax(axis=1) == labels).sum())
    rows += len(labels)
print(json.dumps([loss / rows, right / rows]))
"""


def another(dataset: Reference, /, **changes: object) -> dict[str, str]:
    return settings(dataset, **{"output": SECOND, "work": "pvc://tiphys/work/m-2", **changes})


def stands(model: Path, dataset: Reference) -> tuple[float, float]:
    """Loss and accuracy of an exported model on the images for training."""
    done = subprocess.run(
        [sys.executable, "-c", STANDS, str(model / "1"), str(dataset)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    loss, accuracy = json.loads(done.stdout)
    return loss, accuracy


class TestInitial:
    pytestmark = trains

    def test_it_begins_where_the_earlier_model_stood(self, volume: Path, dataset: Reference) -> None:
        assert run_once(settings(dataset, epochs=2)).returncode == 0
        earlier = published(FIRST)
        assert earlier is not None
        loss, accuracy = stands(volume / "models/m-1", dataset)
        standing = another(dataset, epochs=1, initial=earlier, learning_rate=1e-9)
        done = run_once(standing)
        assert done.returncode == 0, done.stderr
        (begun,) = metrics(volume, "m-2")
        assert begun["loss"] == pytest.approx(loss, abs=1e-4)
        assert begun["accuracy"] == pytest.approx(accuracy, abs=2e-3)
        fresh, *_ = metrics(volume)
        assert begun["loss"] < 0.8 * fresh["loss"]
        assert f"beginning with the weights of {FIRST}" in done.stdout

        # what cannot be begun with ends the training for good, and says why
        for changes, code, words in (
            ({"model": "dropout"}, "TIP718", "conv2d/kernel is 3x3x1x24 here and 3x3x1x16 there"),
            ({"model": "batch-norm"}, "TIP718", "variables here and 8 there"),
            ({"initial": Reference("pvc://tiphys/models/none")}, "TIP720", "pvc://tiphys/models/none"),
            ({"initial": Reference(FIRST, "sha256:" + "0" * 64)}, "TIP720", FIRST),
        ):
            given = {"output": "pvc://tiphys/models/m-3", "initial": earlier, **changes}
            refused = run_once(another(dataset, **given))
            assert refused.returncode == 1, refused.stderr
            assert code in refused.stderr and words in refused.stderr
            assert "Traceback" not in refused.stderr

        # a gang begins there, too; one that goes on from its backup needs the earlier model no more
        gang = another(
            dataset, epochs=1, initial=earlier, learning_rate=1e-9, output="pvc://tiphys/models/m-4"
        )
        with Workers(2, gang, volume.parent / "log") as workers:
            assert workers.run(SECONDS) == [0, 0]
        (begun,) = metrics(volume, "m-4")
        assert (begun["workers"], begun["loss"]) == (2, pytest.approx(loss, abs=1e-4))

    def test_a_resumed_training_does_not_begin_anew(
        self, volume: Path, dataset: Reference, tmp_path: Path
    ) -> None:
        assert run_once(settings(dataset, epochs=1)).returncode == 0
        earlier, written = published(FIRST), volume / "work/m-2/metrics.jsonl"

        def kill(workers: Workers) -> None:
            if not workers.exits and written.exists():
                workers.processes[0].kill()
                workers.processes[0].wait()
                shutil.rmtree(volume / "models/m-1", ignore_errors=True)

        with Workers(1, another(dataset, epochs=50, initial=earlier), tmp_path / "log") as workers:
            assert workers.run(SECONDS, kill) == [0]
        assert [entry["epoch"] for entry in metrics(volume, "m-2")] == list(range(1, 51))

    def test_as_a_job_it_says_what_it_came_from(self, tmp_path: Path) -> None:
        """The key and the lineage know the earlier model; tests/cluster runs the same on the real controller."""
        result = tiphys.run(pipeline(), options=RunOptions(store=tmp_path))
        assert result.succeeded, result.workflow["status"]
        store = Store(tmp_path)
        uris = trained(result.workflow)
        assert len({*uris.values()}) == 3
        check_begins(store.volume("tiphys"), uris)
        known = Folded([fold(result.workflow)])
        above = {name: said(lineage(known, uri, volumes=store.volumes())) for name, uri in uris.items()}
        assert uris["first"] in above["on"]
        assert uris["first"] not in above["fresh"]


def said(graph: Lineage) -> set[str]:
    return {thing.label for _, thing, _ in tree(graph)}
