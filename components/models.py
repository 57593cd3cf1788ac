"""The three networks. Each takes float images ``[N, 28, 28, 1]`` in 0..1 and gives ten logits.

``cnn`` is the plain convolutional baseline, ``dropout`` adds dropout against overfitting, ``batch-norm`` normalises
each layer's activations. They are small on purpose: two cores train each in less than a minute.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from components.catalog import CLASSES, IMAGE_SIDE
from tiphys.errors import ComponentError, did_you_mean

__all__ = ["MODELS", "ModelName", "build", "check_model"]

ModelName = Literal["cnn", "dropout", "batch-norm"]
MODELS: tuple[str, ...] = get_args(ModelName)


def check_model(name: str) -> None:
    """Raise ComponentError TIP710 unless ``name`` is a known model type."""
    if name not in MODELS:
        raise ComponentError(
            "TIP710",
            f"unknown model type {name!r}.{did_you_mean(name, MODELS)}",
            fix="use one of " + ", ".join(MODELS),
        )


def build(name: str, keras: Any) -> Any:
    """A new, uncompiled model of the type ``name`` (``keras`` is the module tf_keras)."""
    check_model(name)
    layers = keras.layers
    norm, dropout = name == "batch-norm", name == "dropout"
    # What dropout takes away, more filters give back.
    first, second = (24, 48) if dropout else (16, 32)

    class Bias(layers.Layer):  # type: ignore[misc, name-defined, unused-ignore]
        """The bias of the convolution before the pooling. It moves all of a channel alike, so the largest stays the
        largest: added after the pooling it gives the same, for a quarter of the work, forwards and back."""

        def build(self, shape: Any) -> None:
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer="zeros")

        def call(self, x: Any) -> Any:
            return keras.backend.bias_add(x, self.bias)

    def block(x: Any, filters: int) -> Any:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(x)
        x = layers.BatchNormalization(momentum=0.9)(x) if norm else Bias()(x)
        x = layers.ReLU()(x)
        return layers.Dropout(0.1)(x) if dropout else x

    x = inputs = keras.Input((IMAGE_SIDE, IMAGE_SIDE, 1), name="pixels")
    x = block(x, first)
    x = block(x, second)
    x = layers.Flatten()(x)
    x = layers.Dense(128, use_bias=not norm)(x)
    if norm:
        x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.ReLU()(x)
    if dropout:
        x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(len(CLASSES), name="logits")(x), name=name.replace("-", "_"))
