"""Real trainings of small networks on generated images: one worker and two, undisturbed and killed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiphys.reference import MANIFEST, Reference, file_digest, verify

sys.path.insert(0, str(Path(__file__).parent))
from gang import Workers

pytestmark = pytest.mark.long

trains = [
    pytest.mark.train,
    pytest.mark.skipif(importlib.util.find_spec("tf_keras") is None, reason="needs the extra 'train'"),
]
OUTPUT = "pvc://tiphys/models/m-1"
SECONDS = 300.0


def settings(dataset: Reference, /, **changes: object) -> dict[str, str]:
    values = {
        "DATASET": str(dataset),
        "MODEL": "cnn",
        "OUTPUT": OUTPUT,
        "WORK": "pvc://tiphys/work/m-1",
        "EPOCHS": "4",
        "BATCH_SIZE": "30",
        "LEARNING_RATE": "0.003",
        "SEED": "7",
        **{name.upper(): str(value) for name, value in changes.items()},
    }
    return {"TIPHYS_INPUT_" + name: value for name, value in values.items()}


def metrics(volume: Path, name: str = "m-1") -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (volume / "models" / name / "metrics.jsonl").read_text().splitlines()
    ]


def run_once(environment: dict[str, str], *, tf_config: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "components.train"],
        env={**os.environ, **environment, **({"TF_CONFIG": tf_config} if tf_config else {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


SLOWED = """
import runpy, time
from components import pace
timed = pace.timed
def slowed(work, clock):
    measure = timed(work, clock)
    def slow():
        time.sleep(2)  # the others have told theirs by then
        return 1000 * measure()
    return slow
pace.timed = slowed
runpy.run_module("components.train", run_name="__main__")
"""
TWO = json.dumps(
    {"cluster": {"worker": ["localhost:1", "localhost:2"]}, "task": {"type": "worker", "index": 0}}
)


@pytest.mark.parametrize(
    ("changes", "tf_config", "code", "words"),
    [
        ({"model": "cnm"}, "", "TIP710", "Did you mean 'cnn'?"),
        ({"epochs": 0}, "", "TIP711", "epochs is 0"),
        ({"learning_rate": "nan"}, "", "TIP711", "learning-rate is nan"),
        ({"batch_size": -2}, "", "TIP711", "batch-size is -2"),
        ({"batch_size": "many"}, "", "TIP241", "many"),
        ({"batch_size": 31}, TWO, "TIP711", "cannot be shared by 2 workers"),
        ({}, "{", "TIP712", "TF_CONFIG"),
        ({"dataset": '{"uri": "pvc://tiphys/none"}'}, "", "TIP708", "nothing says how it was made"),
    ],
)
def test_wrong_settings_end_at_once_and_for_good(
    volume: Path, dataset: Reference, changes: dict[str, object], tf_config: str, code: str, words: str
) -> None:
    done = run_once(settings(dataset, **changes), tf_config=tf_config)
    assert 1 <= done.returncode < 128
    assert code in done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (volume / "models").exists()


def test_one_that_was_dropped_while_it_waited_ends_at_once(volume: Path, dataset: Reference) -> None:
    place = volume / "runs/wf/enough"
    place.mkdir(parents=True)
    (place / "watched.json").write_text("[]")
    (place / "cnn.dropped").write_text("before its first epoch, 60 s after 2 others were good enough")
    environ = {"TIPHYS_WORKFLOW": "wf", "TIPHYS_CACHE_KEY": "cnn-0f35"}
    done = run_once({**settings(dataset), **environ})
    assert done.returncode == 1
    assert "TIP717" in done.stderr
    assert "60 s after 2 others" in done.stderr


class TestOneWorker:
    pytestmark = trains

    def test_trains_exports_and_is_evaluated(self, volume: Path, dataset: Reference, tmp_path: Path) -> None:
        done = run_once(settings(dataset, model="batch-norm", epochs=6))
        assert done.returncode == 0, done.stderr
        assert verify(Reference(OUTPUT)) == ""
        assert not (volume / "work/m-1").exists()
        assert [entry["epoch"] for entry in metrics(volume)] == [1, 2, 3, 4, 5, 6]
        few = {name: value for name, value in settings(dataset).items() if "EPOCHS" not in name}
        assert run_once(few).stdout == f"the model {OUTPUT} is there already\n"
        outputs = tmp_path / "outputs"
        evaluated = subprocess.run(
            [sys.executable, "-m", "tiphys.step", "components.evaluate:evaluate"],
            env={
                **os.environ,
                "TIPHYS_OUTPUTS": str(outputs),
                "TIPHYS_INPUT_NAME": "batch-norm",
                "TIPHYS_INPUT_MODEL": OUTPUT,
                "TIPHYS_INPUT_DATASET": str(dataset),
            },
            timeout=SECONDS,
            check=False,
        )
        assert evaluated.returncode == 0
        report = json.loads((outputs / "report").read_text())
        assert float((outputs / "accuracy").read_text()) == report["validation_accuracy"]
        assert report["test_accuracy"] > 0.9  # the generated patterns are easy
        assert report["synthetic"] is True
        assert sum(map(sum, report["confusion"])) == 100
        assert report["slices"] == {"label": report["class_accuracy"]}
        assert report["worst_slice"] == ""  # ten of each class say little
        assert verify(Reference(report["uri"], report["digest"])) == ""

    def test_the_same_seed_makes_the_same_digest(self, volume: Path, dataset: Reference) -> None:
        digests = []
        for name, seed in (("m-1", 7), ("m-2", 7), ("m-3", 8)):
            given = settings(
                dataset,
                epochs=1,
                seed=seed,
                output=f"pvc://tiphys/models/{name}",
                work=f"pvc://tiphys/work/{name}",
            )
            done = run_once(given)
            assert done.returncode == 0, done.stderr
            digests.append(file_digest(volume / "models" / name / MANIFEST))
        assert digests[0] == digests[1] != digests[2]

    def test_the_signature_takes_raw_bytes(self, volume: Path, dataset: Reference) -> None:
        assert run_once(settings(dataset, epochs=1)).returncode == 0
        code = """
import json, sys, numpy as np, tensorflow as tf
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
(name, spec), = signature.structured_input_signature[1].items()
answer = signature(images=tf.zeros((3, 28, 28), tf.uint8))["probabilities"].numpy()
found = [name, spec.dtype.name, spec.shape.as_list(), str(answer.dtype), answer.shape, answer.sum(1).tolist()]
print(json.dumps(found))
"""
        done = subprocess.run(
            [sys.executable, "-c", code, str(volume / "models/m-1/1")],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        name, dtype, shape, answer_dtype, answer_shape, sums = json.loads(done.stdout)
        assert (name, dtype, shape) == ("images", "uint8", [None, 28, 28])
        assert (answer_dtype, answer_shape) == ("float32", [3, 10])
        assert sums == pytest.approx([1.0] * 3, abs=1e-5)

    def test_a_full_disk(self, volume: Path, dataset: Reference) -> None:
        done = subprocess.run(
            ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", sys.executable, "-m", "components.train"],
            env={**os.environ, **settings(dataset)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert "TIP707" in done.stderr
        assert "Traceback" not in done.stderr
        assert run_once(settings(dataset)).returncode == 0

    def test_a_damaged_backup(self, volume: Path, dataset: Reference, tmp_path: Path) -> None:
        written = volume / "work/m-1/metrics.jsonl"

        def kill(workers: Workers) -> None:
            if not workers.exits and written.exists():
                workers.processes[0].kill()
                workers.processes[0].wait()
                for path in (volume / "work/m-1/backup/chief").glob("ckpt*"):
                    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

        with Workers(1, settings(dataset, epochs=50), tmp_path / "log") as workers:
            assert workers.run(SECONDS, kill) == [0]
            assert [code for _, code in workers.exits] in ([137, 138, 0], [137, 0])
        assert [entry["epoch"] for entry in metrics(volume)] == list(range(1, 51))


class TestGang:
    pytestmark = trains

    def test_a_killed_worker_changes_nothing_but_the_time(
        self, volume: Path, dataset: Reference, tmp_path: Path
    ) -> None:
        """kill -9 of worker 1 after the first epoch and of the chief after the second; the losses stay the same."""
        with Workers(
            2,
            settings(dataset, output="pvc://tiphys/models/calm", work="pvc://tiphys/work/calm"),
            tmp_path / "a",
        ) as workers:
            assert workers.run(SECONDS) == [0, 0]
            assert [code for _, code in workers.exits] == [0, 0], workers.text()
        written = volume / "work/m-1/metrics.jsonl"
        victims = [(1, 1), (2, 0)]

        def kill(workers: Workers) -> None:
            epochs = len(written.read_text().splitlines()) if written.exists() else 0
            if victims and epochs >= victims[0][0]:
                workers.processes[victims.pop(0)[1]].send_signal(signal.SIGKILL)

        with Workers(2, settings(dataset), tmp_path / "b") as workers:
            assert workers.run(SECONDS, kill) == [0, 0]
            assert [code for _, code in workers.exits].count(137) == 2
            assert "resuming after epoch" in workers.text()
        assert not victims
        calm, killed = metrics(volume, "calm"), metrics(volume)
        assert [entry["epoch"] for entry in killed] == [1, 2, 3, 4]
        assert [entry["loss"] for entry in killed] == pytest.approx(
            [entry["loss"] for entry in calm], rel=1e-3
        )
        assert verify(Reference(OUTPUT)) == ""

    def test_the_chief_killed_between_the_last_epoch_and_the_export(
        self, volume: Path, dataset: Reference, tmp_path: Path
    ) -> None:
        written = volume / "work/m-1/metrics.jsonl"
        killed: list[bool] = []

        def kill(workers: Workers) -> None:
            if not killed and written.exists() and len(written.read_text().splitlines()) == 2:
                killed.append(True)
                workers.processes[0].kill()

        told = {"TIPHYS_REPORT": str(tmp_path / "told.jsonl")}
        with Workers(
            2, {**settings(dataset, model="batch-norm", epochs=2), **told}, tmp_path / "log"
        ) as workers:
            assert workers.run(SECONDS, kill) == [0, 0]
            assert (0, 137) in workers.exits
            assert "resuming after epoch 2" in workers.text()
        assert [entry["epoch"] for entry in metrics(volume)] == [1, 2]
        chief, other = (
            [json.loads(line) for line in (tmp_path / f"told.worker-{index}.jsonl").read_text().splitlines()]
            for index in range(2)
        )
        assert [(each["epoch"], each["of"]) for each in chief] == [(1, 2), (2, 2)]
        assert [each["accuracy"] for each in chief] == [entry["accuracy"] for entry in metrics(volume)]
        assert (
            other[0]["examples"]
            == chief[0]["examples"]
            == pytest.approx(
                metrics(volume)[0]["examples_per_second"] * metrics(volume)[0]["seconds"] / 2, rel=0.01
            )
        )
        for each in (*chief, *other):  # it is a part of the epoch, and takes some time
            assert 0 < each["all_reduce"] < each["seconds"]
            assert 0 < each["all_reduce_share"] <= 1
        assert verify(Reference(OUTPUT)) == ""

    def test_one_that_is_asked_to_ends_at_its_backup_and_loses_nothing(
        self, volume: Path, dataset: Reference, tmp_path: Path
    ) -> None:
        request = volume / "work/m-1/end-at-backup"
        asked: list[bool] = []

        def ask(workers: Workers) -> None:
            if not asked and (request.parent / "metrics.jsonl").exists():
                asked.append(True)
                request.touch()

        with Workers(2, settings(dataset, epochs=6), tmp_path / "log") as workers:
            assert workers.run(SECONDS, ask) == [0, 0]
            assert (0, 143) in workers.exits
            (told,) = [line for line in workers.text().splitlines() if "as it was asked to" in line]
            epoch = told.partition("backup of epoch ")[2].partition(",")[0]
            assert f"resuming after epoch {epoch}" in workers.text()
            assert workers.text().count(f"worker 0: cnn epoch {epoch}/6") == 1
        assert [entry["epoch"] for entry in metrics(volume)] == [1, 2, 3, 4, 5, 6]

    def test_a_late_worker_and_sigterm(self, volume: Path, dataset: Reference, tmp_path: Path) -> None:
        """SIGTERM ends with 143; a worker that starts while its peer has waited for long joins it."""
        with Workers(2, settings(dataset, model="dropout", epochs=1), tmp_path / "log") as workers:
            stopped: list[int] = []

            def stop(workers: Workers) -> None:
                if (
                    not stopped
                    and "components" in Path(f"/proc/{workers.processes[1].pid}/cmdline").read_text()
                ):
                    stopped.append(workers.processes[1].pid)
                    workers.processes[1].terminate()

            assert workers.run(SECONDS, stop) == [0, 0]
            assert workers.exits[0][0] == 1
            assert workers.exits[0][1] >= 128
        assert verify(Reference(OUTPUT)) == ""

    def test_data_that_is_lost_is_made_again_by_the_first_worker(
        self, volume: Path, dataset: Reference, tmp_path: Path
    ) -> None:
        shutil.rmtree(volume / dataset.uri.removeprefix("pvc://tiphys/"))
        with Workers(2, settings(dataset, epochs=1), tmp_path / "log") as workers:
            assert workers.run(SECONDS) == [0, 0]
            assert [code for _, code in workers.exits] == [0, 0], workers.text()
            assert workers.text().count("it is ingested again") == 1
        assert verify(dataset) == verify(Reference(OUTPUT)) == ""

    def test_a_slow_worker_is_replaced(self, volume: Path, dataset: Reference, tmp_path: Path) -> None:
        """Worker 1 measures a thousand times what it takes, until another process has its place."""
        with Workers(2, settings(dataset), tmp_path / "log") as workers:
            workers.at_first[1] = ["-c", SLOWED]
            assert workers.run(SECONDS) == [0, 0]
            assert workers.exits[0] == (1, 138) or workers.exits[:2] == [(0, 138), (1, 138)]
            told = [line for line in workers.text().splitlines() if "times slower than the others" in line]
            assert [line.partition(":")[0] for line in told] == ["worker 1", "worker 1", "TIP716"]
            assert "resuming after epoch 2" in workers.text()
        assert [entry["epoch"] for entry in metrics(volume)] == [1, 2, 3, 4]
        assert not (volume / "work/m-1").exists()
