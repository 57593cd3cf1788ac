"""A tiny TensorFlow training under SageMaker's names (profile ``sagemaker``); it could run there.

``SM_HPS`` are its hyperparameters, ``SM_MODEL_DIR`` is where its model goes. What it tells in ``TIPHYS_REPORT`` is all
that it does for Tiphys; without the variable it tells nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import tensorflow as tf


def tell(**values: float) -> None:
    if path := os.environ.get("TIPHYS_REPORT"):
        with open(path, "a") as file:
            file.write(json.dumps(values) + "\n")


def main() -> None:
    given = json.loads(os.environ.get("SM_HPS", "{}"))
    epochs, rate = int(given.get("epochs", 3)), float(given.get("rate", 0.1))
    tf.random.set_seed(7)
    inputs = tf.random.normal([256, 2])
    wanted = inputs @ tf.constant([[2.0], [-1.0]]) + 0.5
    weights, bias = tf.Variable(tf.zeros([2, 1])), tf.Variable(tf.zeros([1]))
    for epoch in range(1, epochs + 1):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((inputs @ weights + bias - wanted) ** 2)
        slopes = tape.gradient(loss, [weights, bias])
        for variable, slope in zip((weights, bias), slopes, strict=True):
            variable.assign_sub(rate * slope)
        tell(epoch=epoch, of=epochs, loss=float(loss))
        print(f"epoch {epoch} of {epochs}: loss {float(loss):.4f}", flush=True)
    folder = Path(os.environ["SM_MODEL_DIR"])
    tf.io.write_file(str(folder / "weights"), tf.io.serialize_tensor(weights))


if __name__ == "__main__":
    main()
