"""The body of one training worker: TensorFlow, the strategy, the fit that resumes, the export by the chief.

How a gang survives the death of any worker at any time:

* every epoch the gang backs up together; all restore from the chief's backup, so they agree on where to go on;
* who loses a peer ends with 138 and is started again; the gang then forms anew;
* who is asked to end at a backup (:mod:`tiphys.step.backups`) ends with 143; the others may be anywhere then;
* the chief's backup is removed only after the model is sealed, and no worker ends well before that: a job whose
  workers all ended well has a sound model, and a worker that is restarted always finds its peers.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from components.cluster import Gang, PeerLostError, available_cores, read_tf_config, wait_for_names
from components.dataset import Dataset
from components.export import export
from components.golden import GOLDEN, record_golden
from components.gradients import timed_all_reduce
from components.initial import begin_with
from components.measures import measured_by_epoch
from components.models import build
from components.pace import SLOW, Pace, timed
from components.publish import publish, published, writing
from components.restore import restore
from components.settings import Settings
from components.stream import steps_per_epoch, training_stream, worker_share
from components.watchdog import Watchdog, end
from tiphys.errors import ComponentError
from tiphys.reference import resolve, verify
from tiphys.step.backups import ENDED_AT_BACKUP, end_at_backup
from tiphys.step.report import report

__all__ = ["METRICS", "PEER_SECONDS", "run"]

METRICS = "metrics.jsonl"
# How long to wait for all workers to be there, for one training step, and for the chief's export.
PEER_SECONDS = 300.0
STEP_SECONDS = 120.0
EXPORT_SECONDS = 180.0

# Steps that run without coming back to Python.
STEPS_PER_EXECUTION = 15
LABEL_SMOOTHING = 0.05
WARM_UP = 0.25


def run(settings: Settings, *, as_worker: bool = False) -> None:
    """Train as ``settings`` say; see :func:`components.train.train`. ``as_worker``: this process is a worker, whose
    signals and silences the watchdog may answer by ending it."""
    gang = read_tf_config()
    watchdog = Watchdog()
    if as_worker:
        watchdog.start()
    if published(settings.output) is not None:
        _log(gang, f"the model {settings.output} is there already")
        return
    if settings.batch_size % gang.size:
        raise ComponentError(
            "TIP711",
            f"batch-size {settings.batch_size} cannot be shared by {gang.size} workers",
            fix=f"give a multiple of {gang.size}",
        )
    watchdog.alive("reading the data set", PEER_SECONDS + 30)
    dataset = _dataset(settings, gang)
    watchdog.alive("waiting for the names of the other workers", PEER_SECONDS + 30)
    wait_for_names(gang, PEER_SECONDS)
    tf, keras = _tensorflow(gang)
    watchdog.alive("waiting for the other workers", PEER_SECONDS)
    with _failures(tf, gang, settings):
        strategy = _strategy(tf, gang)
        weights = _fit(tf, keras, strategy, settings, dataset, gang, watchdog)
    watchdog.alive("exporting the model", EXPORT_SECONDS + 30)
    if gang.is_chief:
        _publish_model(tf, keras, settings, weights)
        shutil.rmtree(resolve(settings.work), ignore_errors=True)
        _log(gang, f"exported {settings.output}")
    else:
        _wait_for_model(settings, gang)


def _dataset(settings: Settings, gang: Gang) -> Dataset:
    """The data set; when it was lost since it was ingested, the chief makes it again, and the others wait for that."""
    if gang.is_chief:
        restored = restore(settings.dataset).how
        if restored != "there":
            report(restored=1)
        return Dataset.open(settings.dataset)
    deadline = time.monotonic() + PEER_SECONDS
    while (problem := verify(settings.dataset)) and time.monotonic() < deadline:
        time.sleep(1.0)
    return Dataset.open(settings.dataset, content=bool(problem))


def _tensorflow(gang: Gang) -> tuple[Any, Any]:
    """Import TensorFlow and tf-keras, set up for this worker's share of the cores."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        tf: Any = importlib.import_module("tensorflow")
        keras: Any = importlib.import_module("tf_keras")
    except ImportError as error:
        raise ComponentError(
            "TIP713",
            "training needs TensorFlow and tf-keras, which are not installed",
            cause=str(error),
            fix="pip install 'tiphys[train]'",
        ) from error
    threads = max(1, available_cores() // gang.neighbours)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(max(2, threads))
    except RuntimeError:
        pass  # TensorFlow is in use in this process already
    return tf, keras


def _strategy(tf: Any, gang: Gang) -> Any:
    if gang.size == 1:
        return tf.distribute.get_strategy()
    # No timeout for each collective operation: TensorFlow keeps a thread asleep for each until it is over (thousands
    # within a minute). The watchdog ends a worker whose training does not move.
    experimental = tf.distribute.experimental
    return tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=experimental.CommunicationOptions(
            implementation=experimental.CommunicationImplementation.RING,
        )
    )


def _fit(
    tf: Any, keras: Any, strategy: Any, settings: Settings, dataset: Dataset, gang: Gang, watchdog: Watchdog
) -> list[Any]:
    keras.utils.set_random_seed(settings.seed)
    steps = steps_per_epoch(dataset, settings.batch_size)
    work = resolve(settings.work)
    with writing(settings.work):
        work.mkdir(parents=True, exist_ok=True)
    backup = work / "backup"
    start = _next_epoch(tf, backup)
    if start:
        _log(gang, f"resuming after epoch {start}")
    with strategy.scope():
        model = measured_by_epoch(keras, build(settings.model, keras))
        if settings.initial is not None and not start:
            begin_with(tf, model, settings.initial)
            _log(gang, f"beginning with the weights of {settings.initial.uri}")
        model.compile(
            # the one that updates a variable by one kernel: each worker updates all of them, in each step
            optimizer=keras.optimizers.legacy.Adam(_schedule(tf, keras, settings, steps)),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=LABEL_SMOOTHING),
            metrics=["accuracy"],
            steps_per_execution=min(steps, STEPS_PER_EXECUTION),
        )
    epochs = range(start, settings.epochs)

    stream = training_stream(tf, dataset, gang, settings.batch_size, epochs, settings.seed)
    data = stream if gang.size == 1 else worker_share(tf, stream)
    _log(gang, f"training {settings.model}: {model.count_params():,} parameters, {steps} steps an epoch")
    meters = _Meters(_pace(tf, work, gang))
    if gang.size > 1:
        numbers = sum(math.prod(weight.shape) for weight in model.trainable_weights)
        meters = _Meters(meters.pace, timed_all_reduce(tf, strategy, numbers, time.monotonic))
    callbacks = [
        keras.callbacks.BackupAndRestore(str(backup), delete_checkpoint=False),
        _progress(keras, settings, gang, work / METRICS, start, steps, watchdog, meters),
    ]
    if epochs:
        model.fit(
            data,
            epochs=settings.epochs,
            initial_epoch=start,
            steps_per_epoch=steps,
            callbacks=callbacks,
            verbose=0,
        )
    else:
        tf.train.Checkpoint(model=model).restore(
            tf.train.latest_checkpoint(str(backup / "chief"))
        ).expect_partial()
    # All workers read together: the moving averages of batch normalisation are reduced over the gang.
    return list(model.get_weights())


def _schedule(tf: Any, keras: Any, settings: Settings, steps: int) -> Any:
    """One cycle: the rate rises linearly to its peak in the first quarter, then falls along a cosine to zero."""
    total, peak = steps * settings.epochs, settings.learning_rate

    class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc, name-defined, unused-ignore]
        def __call__(self, step: Any) -> Any:
            done = tf.cast(step, tf.float32) / total
            rising = 0.1 + 0.9 * done / WARM_UP
            falling = 0.5 * (1 + tf.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
            return peak * tf.where(done < WARM_UP, rising, falling)

        def get_config(self) -> dict[str, Any]:
            return {}

    return OneCycle()


def _pace(tf: Any, work: Path, gang: Gang) -> Pace:
    """A worker's own, by some 50 ms of arithmetic."""
    with tf.device("CPU:0"):
        start = tf.random.stateless_uniform((256, 256), (1, 2))

    def arithmetic() -> None:
        with tf.device("CPU:0"):
            found = start
            for _ in range(50):
                found = tf.linalg.matmul(found, start) / 128.0
            found.numpy()

    return Pace(work / "pace", gang, timed(arithmetic, time.monotonic))


class _Meters(NamedTuple):
    """What is measured between two epochs: how fast this worker is, and how fast the gang adds up its gradients."""

    pace: Pace
    all_reduce: Callable[[], float] | None = None


def _progress(
    keras: Any,
    settings: Settings,
    gang: Gang,
    path: Path,
    start: int,
    steps: int,
    watchdog: Watchdog,
    meters: _Meters,
) -> Any:
    """A callback that tells the watchdog of each step, and of each epoch what this worker did (``report``); the chief
    writes what the model's folder is to have of it, too."""
    kept = []
    if gang.is_chief and path.exists():
        kept = path.read_text().splitlines()[:start]

    class Progress(keras.callbacks.Callback):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self._began, self._cpu = time.monotonic(), time.process_time()
            self._supports_tf_logs = True

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            watchdog.alive(f"training after step {batch}", STEP_SECONDS)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._began, self._cpu = time.monotonic(), time.process_time()
            watchdog.alive(f"starting epoch {epoch + 1}", PEER_SECONDS)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
            loss, accuracy = float(logs["loss"]), float(logs["accuracy"])
            if not math.isfinite(loss):
                raise ComponentError(
                    "TIP714",
                    f"the training of {settings.model} diverged in epoch {epoch + 1}",
                    cause=f"the loss is {loss}",
                    fix="give a smaller learning-rate",
                )
            rate = steps * settings.batch_size / seconds
            _log(
                gang,
                f"{settings.model} epoch {epoch + 1}/{settings.epochs}: loss {loss:.4f}, accuracy {accuracy:.4f}, "
                f"{seconds:.1f} s, {rate:.0f} examples/s",
            )
            last = epoch + 1 == settings.epochs
            with writing(settings.work):
                lag = 0.0 if last else meters.pace.lag(epoch + 1)
            seen = {"lag": round(lag, 2)} if lag else {}
            if meters.all_reduce:
                once = meters.all_reduce()
                seen |= {
                    "all_reduce": round(once, 6),
                    "all_reduce_share": round(min(1.0, steps * once / seconds), 4),
                }
            own = steps * settings.batch_size // gang.size
            told = {
                "loss": round(loss, 6),
                "accuracy": round(accuracy, 6),
                "seconds": round(seconds, 3),
                "cpu_seconds": round(cpu, 3),
            }
            report(
                epoch=epoch + 1,
                of=settings.epochs,
                **told,
                examples=own,
                examples_per_second=round(own / seconds, 1),
                **seen,
            )
            if lag >= SLOW:
                _log(gang, f"{lag:.0f} times slower than the others, who wait for it")
            if gang.is_chief:
                entry = {
                    **told,
                    "epoch": epoch + 1,
                    "examples_per_second": round(rate, 1),
                    "workers": gang.size,
                }
                kept.append(json.dumps(entry, sort_keys=True))
                with writing(path):
                    path.write_text("\n".join(kept) + "\n")
                if watchdog.started and not last and end_at_backup(settings.work):
                    end(ENDED_AT_BACKUP, f"ended after the backup of epoch {epoch + 1}, as it was asked to")
            if watchdog.started and not last and meters.pace.too_slow(lag):
                raise PeerLostError(
                    "TIP716",
                    f"this worker is {lag:.0f} times slower than the others, who wait for it",
                    cause="its processor is throttled, or somebody else's",
                    fix="nothing to do: the job starts another in its place and the training resumes",
                )

    return Progress()


def _next_epoch(tf: Any, backup: Path) -> int:
    """The first epoch that the chief's backup does not cover, counted from 0."""
    latest = tf.train.latest_checkpoint(str(backup / "chief"))
    if latest is None:
        return 0
    try:
        reader = tf.train.load_checkpoint(latest)
        return int(reader.get_tensor("ckpt_saved_epoch/.ATTRIBUTES/VARIABLE_VALUE")) + 1
    except tf.errors.OpError as error:
        raise tf.errors.DataLossError(None, None, str(error)) from error


def _publish_model(tf: Any, keras: Any, settings: Settings, weights: list[Any]) -> None:
    def fill(folder: Path) -> None:
        with tf.device("CPU:0"):
            model = build(settings.model, keras)
            model.set_weights(weights)
            with writing(settings.output):
                export(tf, model, folder)
            data = Dataset.open(settings.dataset)
            images, _ = data.take("test", list(range(min(GOLDEN, data.examples("test")))))
            record_golden(tf, folder, {"images": images})
        with writing(settings.output):
            shutil.copyfile(resolve(settings.work) / METRICS, folder / METRICS)

    publish(settings.output, fill, beside=(METRICS,))  # how long an epoch took is not what the model is


def _wait_for_model(settings: Settings, gang: Gang) -> None:
    """Stay until the chief has sealed the model: an ended worker is not started again and would be missed."""
    deadline = time.monotonic() + EXPORT_SECONDS
    refused = 0
    while published(settings.output, content=False) is None:
        if refused >= 3 or time.monotonic() > deadline:
            raise PeerLostError(
                "TIP715",
                "the chief ended before it exported the model",
                fix="nothing to do: the job starts its workers again and the training resumes",
            )
        time.sleep(0.25)
        refused = 0 if _answers(gang.workers[0]) else refused + 1


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def _failures(tf: Any, gang: Gang, settings: Settings) -> Iterator[None]:
    """Sort what TensorFlow raises: no space (permanent), a damaged backup or a lost peer (start again), or a fault."""
    try:
        yield
    except tf.errors.OpError as error:
        text = str(error.message)
        if "No space left" in text or "File too large" in text or "quota" in text.lower():
            raise ComponentError(
                "TIP707",
                f"no space left to write {settings.work}",
                cause=text[:200],
                fix="free some space or enlarge the volume, then run again: the training resumes from its last backup",
            ) from error
        if problem := verify(settings.dataset, content=False):
            raise PeerLostError(
                "TIP715",
                "the data set was lost while it was read",
                cause=problem,
                fix="nothing to do: the job starts its workers again, and the first of them makes it again",
            ) from error
        if isinstance(error, tf.errors.DataLossError | tf.errors.NotFoundError | tf.errors.OutOfRangeError):
            if gang.is_chief:
                shutil.rmtree(resolve(settings.work) / "backup", ignore_errors=True)
            raise PeerLostError(
                "TIP715",
                "the backup of the training is damaged and was removed",
                cause=f"{type(error).__name__}: {text[:300]}",
                fix="nothing to do when the job restarts its workers; else run again: the training begins anew",
            ) from error
        if gang.size > 1 and not isinstance(error, tf.errors.InvalidArgumentError):
            raise PeerLostError(
                "TIP715",
                "another worker of the gang is gone",
                cause=f"{type(error).__name__}: {text[:300]}",
                fix="nothing to do: the job starts its workers again and the training resumes from the last backup",
            ) from error
        raise


def _log(gang: Gang, message: str) -> None:
    sys.stdout.write(f"worker {gang.index}: {message}\n" if gang.size > 1 else message + "\n")
    sys.stdout.flush()
