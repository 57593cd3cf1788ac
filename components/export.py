"""From a trained network to the SavedModel that TensorFlow Serving loads: raw bytes in, probabilities out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.catalog import IMAGE_SIDE
from components.stream import scale

__all__ = ["export"]


def export(tf: Any, model: Any, folder: Path) -> None:
    """Write version ``1`` below ``folder``.

    The signature ``serving_default`` takes ``images`` uint8 ``[N, 28, 28]``, scales them itself, and gives
    ``probabilities`` float32 ``[N, 10]``.
    """
    module = tf.Module()
    module.variables_of_model = (
        model.variables
    )  # not the Keras model: every layer of it would be traced and saved
    signature = tf.TensorSpec((None, IMAGE_SIDE, IMAGE_SIDE), tf.uint8, name="images")

    def answer(images: Any) -> dict[str, Any]:
        logits = model(scale(tf, images)[..., tf.newaxis], training=False)
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    serve = tf.function(answer, input_signature=[signature])
    module.serve = serve
    tf.saved_model.save(module, str(folder / "1"), signatures={"serving_default": serve})
