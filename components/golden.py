"""Golden predictions of a training: fixed inputs and what the exported model answered, kept with the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.publish import writing
from tiphys.serving.gate.golden import FILE, Golden, write

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GOLDEN", "record_golden", "write_golden"]

GOLDEN = 32
"""How many are kept."""


def record_golden(tf: Any, folder: Path, inputs: Mapping[str, NDArray[Any]]) -> None:
    """Ask the SavedModel that was exported to version ``1`` of ``folder``, and write what it answers there.

    Raises ComponentError TIP707 when it cannot be written.
    """
    loaded = tf.saved_model.load(str(folder / "1"))
    asked = {name: tf.constant(array) for name, array in inputs.items()}
    answered = loaded.signatures["serving_default"](**asked)
    write_golden(folder, inputs, {name: tensor.numpy() for name, tensor in answered.items()})


def write_golden(
    folder: Path, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]
) -> None:
    """Write ``golden.json`` into the model's ``folder`` (above the version ``1``, before it is sealed).

    ``inputs`` and ``outputs`` are of the signature ``serving_default``, by name, one entry for each example; floats are
    kept with six digits after the point. Raises ComponentError TIP707 when it cannot be written.
    """
    with writing(folder / FILE):
        write(folder, Golden(_columns(inputs), _columns(outputs)))


def _columns(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    return {
        name: (array.round(6) if array.dtype.kind == "f" else array).tolist()
        for name, array in arrays.items()
    }
