"""The networks beside Keras's own layers."""

from __future__ import annotations

import os
from typing import Any

import pytest

from components.models import build


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    return pytest.importorskip("tf_keras")


def usual(keras: Any) -> Any:
    """``cnn`` as it is usually written: each convolution adds its bias itself, before the pooling."""
    layers = keras.layers
    x = inputs = keras.Input((28, 28, 1))
    for filters in (16, 32):
        x = layers.ReLU()(layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same")(x)))
    x = layers.ReLU()(layers.Dense(128)(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(10)(x))


def test_a_bias_after_the_pooling_is_one_before_it(keras: Any) -> None:
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(7)
    images = random.random((8, 28, 28, 1), dtype=np.float32)
    labels = random.integers(0, 10, 8)
    own, other = build("cnn", keras), usual(keras)
    weights = [random.normal(0, 0.2, weight.shape).astype(np.float32) for weight in own.get_weights()]
    found = []
    for model in (own, other):
        model.set_weights(weights)  # the same order and the same shapes
        with tf.GradientTape() as tape:
            logits = model(images)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        found.append([logits, *tape.gradient(loss, model.trainable_variables)])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)
