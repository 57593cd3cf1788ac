"""A model whose loss and accuracy the gang adds up once an epoch.

Each worker counts what it has seen of them by itself. Keras asks for the sums of all workers after each step, and
each number of each metric is an all-reduce of its own, or two: for small models they take longer than that of the
gradients.
"""

from __future__ import annotations

from typing import Any

__all__ = ["measured_by_epoch"]


def measured_by_epoch(keras: Any, model: Any) -> Any:
    """``model``, with its layers and its name, for a training: a step of it tells nothing, and ``fit`` asks for the
    metrics itself at the end of each epoch."""

    class MeasuredByEpoch(keras.Model):  # type: ignore[misc, name-defined, unused-ignore]
        def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
            del x
            self.compiled_metrics.update_state(y, y_pred, sample_weight)
            # the same names: else ``fit`` takes these for what the epoch had
            return {metric.name: 0.0 for metric in self.metrics}

    measured = MeasuredByEpoch(model.inputs, model.outputs, name=model.name)
    measured.distribute_reduction_method = "first"  # of zeros: nothing is to be added up
    return measured
