"""A model that needs no TensorFlow: for tests of servers and clients, and to try the server out.

It has the signatures of TensorFlow Serving's ``half_plus_two`` example (``y = scale * x + offset``) and one
that gives back what it gets. A version folder may hold ``fake.json``:
``{"scale": 0.5, "offset": 2, "delay": 0.01, "fail": "text"}``.

``python -m tiphys.serving --tiphys_loader=tiphys.serving.model.fake:load …`` serves it.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiphys.serving.model.servable import (
    CLASSIFY,
    DEFAULT_SIGNATURE,
    REGRESS,
    Code,
    ModelError,
    Signature,
    Tensor,
    TensorInfo,
)

__all__ = ["FakeServable", "load"]

_X = TensorInfo("DT_FLOAT", (-1, 1), "x:0")
_Y = TensorInfo("DT_FLOAT", (-1, 1), "y:0")
_EXAMPLES = TensorInfo("DT_STRING", None, "tf_example:0")
_IMAGES = TensorInfo("DT_UINT8", (-1, 28, 28), "images:0")
_PROBABILITIES = TensorInfo("DT_FLOAT", (-1, 10), "probabilities:0")

SIGNATURES = {
    DEFAULT_SIGNATURE: Signature({"x": _X}, {"y": _Y}),
    "regress_x_to_y": Signature({"inputs": _EXAMPLES}, {"outputs": _Y}, REGRESS),
    "classify_x_to_y": Signature({"inputs": _EXAMPLES}, {"scores": _Y}, CLASSIFY),
    "images": Signature({"images": _IMAGES}, {"probabilities": _PROBABILITIES}),
    "echo": Signature(
        {
            "text": TensorInfo("DT_STRING", (-1,), "text:0"),
            "whole": TensorInfo("DT_INT64", (-1,), "whole:0"),
        },
        {
            "text": TensorInfo("DT_STRING", (-1,), "text:0"),
            "text_bytes": TensorInfo("DT_STRING", (-1,), "text_bytes:0"),
            "whole": TensorInfo("DT_INT64", (-1,), "whole:0"),
        },
    ),
}


@dataclass
class FakeServable:
    """See the module. ``delay`` seconds pass in each call, as if it computed."""

    scale: float = 0.5
    offset: float = 2.0
    delay: float = 0.0
    fail: str = ""
    calls: int = 0
    closed: bool = False

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return SIGNATURES

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self.closed:
            raise ModelError(Code.INTERNAL, "The servable is closed.")
        self.calls += 1
        if self.delay:
            time.sleep(self.delay)
        if self.fail:
            raise ModelError(Code.INTERNAL, self.fail)
        if signature == "echo":
            return {**inputs, "text_bytes": inputs["text"]}
        if signature == "images":
            return {"probabilities": self._probabilities(inputs["images"])}
        if signature == DEFAULT_SIGNATURE:
            x = inputs["x"]
            return {"y": Tensor("DT_FLOAT", x.shape, [self._line(value) for value in x.values])}
        examples = inputs["inputs"].values
        values = [self._line(_float_feature(example)) for example in examples]
        name = next(iter(SIGNATURES[signature].outputs))
        return {name: Tensor("DT_FLOAT", (len(values), 1), values)}

    def _line(self, value: float) -> float:
        return self.scale * value + self.offset

    def _probabilities(self, images: Tensor) -> Tensor:
        """One for the class that the first pixel names, 0 elsewhere."""
        if images.shape[1:] != (28, 28):
            raise ModelError(Code.INVALID_ARGUMENT, f"Expected shape [?,28,28], got {list(images.shape)}")
        values = []
        for start in range(0, len(images.values), 784):
            values += [float(images.values[start] % 10 == label) for label in range(10)]
        return Tensor("DT_FLOAT", (images.shape[0], 10), values)

    def close(self) -> None:
        self.closed = True


def _float_feature(example: Any) -> float:
    """The first float of the first feature of a serialized tf.Example: its last four bytes, here."""
    value: float = struct.unpack("<f", example[-4:])[0]
    return value


def load(path: Path) -> FakeServable:
    """A Loader. Raises ModelError when ``fake.json`` cannot be used."""
    config = path / "fake.json"
    if not config.exists():
        return FakeServable()
    try:
        return FakeServable(**json.loads(config.read_text()))
    except (ValueError, TypeError) as error:
        raise ModelError(Code.INVALID_ARGUMENT, f"{config}: {error}") from error
