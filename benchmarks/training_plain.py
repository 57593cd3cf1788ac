"""The peer of ``benchmarks/training.py``: the same network trained as the tutorials do it, with tf-keras alone."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from components.dataset import Dataset
from components.models import build
from tiphys.reference import Reference, resolve


def main() -> None:
    inputs = {name.removeprefix("TIPHYS_INPUT_"): value for name, value in os.environ.items()}
    dataset = Dataset.open(Reference.parse(inputs["DATASET"]))
    batch_size, epochs = int(inputs["BATCH_SIZE"]), int(inputs["EPOCHS"])
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    strategy: Any = tf.distribute.MultiWorkerMirroredStrategy() if config else tf.distribute.get_strategy()
    images, labels = next(dataset.batches("train", dataset.examples("train")))
    data = tf.data.Dataset.from_tensor_slices(
        (images[..., np.newaxis] / np.float32(255), labels.astype(np.int64))
    )
    data = data.cache().shuffle(len(labels)).repeat().batch(batch_size).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    steps = len(labels) // batch_size
    entries: list[dict[str, float]] = []

    class Metrics(keras.callbacks.Callback):  # type: ignore[misc, name-defined, unused-ignore]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.began, self.cpu = time.monotonic(), time.process_time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds = time.monotonic() - self.began
            rate = steps * batch_size / seconds
            cpu = time.process_time() - self.cpu
            entries.append({"seconds": seconds, "cpu_seconds": cpu, "examples_per_second": rate})

    with strategy.scope():
        model = build(inputs["MODEL"], keras)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(
        data.with_options(options), epochs=epochs, steps_per_epoch=steps, callbacks=[Metrics()], verbose=0
    )
    if config.get("task", {}).get("index", 0) == 0:
        folder: Path = resolve(inputs["OUTPUT"])
        folder.mkdir(parents=True)
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\n")
    else:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()
