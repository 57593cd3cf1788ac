"""Writes small SavedModels, good and bad ones, below the folder that is given (after it: only these); run in a process
of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from components.golden import record_golden, write_golden
from tiphys.reference import seal


def main(folder: Path, *only: str) -> None:
    import numpy as np
    import tensorflow as tf

    images = np.random.default_rng(1).integers(0, 256, (32, 28, 28), dtype=np.uint8)
    signature = [tf.TensorSpec([None, 28, 28], tf.uint8, name="images")]

    class Model(tf.Module):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.random.stateless_normal((784, 10), (seed, 11)) / 28.0)

        def answer(self, images: Any) -> Any:
            rows = tf.reshape(tf.cast(images, tf.float32) / 255.0, [-1, 784])
            return tf.nn.softmax(rows @ self.weights)

    def save(name: str, module: Any, function: Any, specs: Any) -> None:
        if only and name not in only:
            return
        module.serve = tf.function(function, input_signature=specs)
        tf.saved_model.save(module, str(folder / name / "1"), signatures={"serving_default": module.serve})
        if module is good:
            record_golden(tf, folder / name, {"images": images})
        else:
            write_golden(folder / name, {"images": images}, {"probabilities": good.answer(images).numpy()})

    good = Model(7)
    save("good", good, lambda images: {"probabilities": good.answer(images)}, signature)
    other = Model(8)
    save("another", other, lambda images: {"probabilities": other.answer(images)}, signature)
    big = Model(7)
    big.ballast = tf.Variable(tf.ones([40_000_000]))
    save("big", big, lambda images: {"probabilities": big.answer(images)}, signature)

    slow = Model(7)

    def slowly(images: Any) -> Any:
        square = tf.ones([600, 600]) * tf.cast(images[0, 0, 0], tf.float32)
        for _ in tf.range(60):
            square = tf.matmul(square, square) * 1e-9
        return {"probabilities": slow.answer(images) + 0.0 * square[0, 0]}

    save("slow", slow, slowly, signature)
    floats = [tf.TensorSpec([None, 28, 28], tf.float32, name="pixels")]
    renamed = Model(7)
    save("signature", renamed, lambda pixels: {"probabilities": renamed.answer(pixels)}, floats)
    (folder / "broken" / "1").mkdir(parents=True)
    (folder / "broken" / "1" / "saved_model.pb").write_bytes(b"not a model")
    for model in folder.iterdir():
        seal(model)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
