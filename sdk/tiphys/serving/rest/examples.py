"""Classify and regress: JSON examples as serialized ``tf.Example`` records, and their answers.

The records are written by hand, so that no protobuf library is needed: ``Example`` is a map of names to lists
of bytes, floats or integers (tensorflow/core/example/{example,feature}.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.net.protobuf import bytes_field, varint
from tiphys.serving.model.servable import CLASSIFY, REGRESS, Code, ModelError, Signature, Tensor, invalid
from tiphys.serving.rest import write
from tiphys.serving.rest.values import decode_string, is_b64, kind, single

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

__all__ = ["Classify", "Regress", "read"]

_KINDS = {1: "bytes", 2: "float", 3: "int64"}  # the field numbers of Feature's oneof


def read(document: Mapping[str, Json]) -> Tensor:
    """The examples of a request, each with the request's context."""
    context = _example(document["context"]) if "context" in document else {}
    if "examples" not in document:
        raise _format(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise _format(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise _format(document, "'examples' value is an empty array")
    records = []
    for example in examples:
        features = _example(example)
        records.append(_serialize({**context, **features}))
    return Tensor("DT_STRING", (len(records),), records)


def _format(document: Mapping[str, object], text: str) -> ModelError:
    return invalid(f"JSON Value: {write.pretty(document)} {text}")


_Feature = tuple[int, list[bytes]]  # the number of its kind; its values, as that kind is written


def _example(value: Json) -> dict[str, _Feature]:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {kind(value)}")
    return {name: _feature(name, content) for name, content in value.items()}


def _feature(name: str, content: Json) -> _Feature:
    which = 0
    values: list[bytes] = []
    for value in content if isinstance(content, list) else [content]:
        found, item = _item(name, value)
        if which not in (0, found):
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {_KINDS[which]}")
        which = found
        values.append(item)
    return which, values


def _item(name: str, value: Json) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return 3, varint(int(value))
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        if value >= 2**63:
            raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
        return 3, varint(value)
    if isinstance(value, (int, float)):
        return 2, struct.pack("<f", single(value))
    if isinstance(value, str) or is_b64(value):
        return 1, decode_string(value)
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {kind(value)}")


# ---- the wire format
def _serialize(features: Mapping[str, _Feature]) -> bytes:
    entries = []
    for name, (which, values) in features.items():
        if which == 1:
            content = b"".join(bytes_field(1, value) for value in values)
        else:
            content = bytes_field(1, b"".join(values))
        feature = bytes_field(which, content) if which else b""
        key = write.utf8(name)
        entries.append(bytes_field(1, bytes_field(1, key) + bytes_field(2, feature)))
    return bytes_field(1, b"".join(entries))


# ---- the two calls
class Classify:
    """classifier.cc: checks a signature and turns its outputs into labels and scores."""

    def __init__(self, key: str, signatures: Mapping[str, Signature]) -> None:
        self.signature = _find(key, signatures, CLASSIFY, "classification")
        if len(self.signature.outputs) not in (1, 2):
            count = len(self.signature.outputs)
            raise invalid(f"Expected one or two output Tensors, found {count}")
        self.input = _only_input(self.signature, "classification")
        if not {"classes", "scores"} & self.signature.outputs.keys():
            raise ModelError(
                Code.FAILED_PRECONDITION,
                'Expected classification signature outputs to contain at least one of "classes" or "scores".',
            )

    def answer(self, outputs: Mapping[str, Tensor], count: int) -> bytes:
        return write.classifications(self.rows(outputs, count))

    def rows(self, outputs: Mapping[str, Tensor], count: int) -> list[list[tuple[bytes, float]]]:
        """Label and score of each class of each example. Raises ModelError."""
        classes, scores = outputs.get("classes"), outputs.get("scores")
        for name, tensor, dtype in (("classes", classes, "DT_STRING"), ("scores", scores, "DT_FLOAT")):
            if tensor is None:
                continue
            if len(tensor.shape) != 2:
                raise invalid(
                    f"Expected Tensor shape: [batch_size num_classes] but got {_shape(tensor.shape)}"
                )
            if tensor.dtype != dtype:
                raise invalid(f"Expected {name} Tensor of {dtype}. Got: {tensor.dtype}")
            if tensor.shape[0] != count:
                raise invalid(f"Expected {name} output batch size of {count}. Got: {tensor.shape[0]}")
        if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
            raise invalid(
                "Tensors class and score should match in dim_size(1). "
                f"Got {classes.shape[1]} vs. {scores.shape[1]}"
            )
        some = classes or scores
        width = some.shape[1] if some is not None else 0
        rows = []
        for start in range(0, count * width, width or 1):
            stop = start + width
            labels = classes.values[start:stop] if classes is not None else [b""] * width
            numbers = scores.values[start:stop] if scores is not None else [0.0] * width
            rows.append(list(zip(labels, numbers, strict=True)))
        return rows


class Regress:
    """regressor.cc."""

    def __init__(self, key: str, signatures: Mapping[str, Signature]) -> None:
        self.signature = _find(key, signatures, REGRESS, "regression")
        if len(self.signature.outputs) != 1:
            raise invalid("Expected one output Tensor.")
        self.input = _only_input(self.signature, "regression")
        if "outputs" not in self.signature.outputs:
            raise ModelError(Code.FAILED_PRECONDITION, "No regression outputs found in SignatureDef")

    def answer(self, outputs: Mapping[str, Tensor], count: int) -> bytes:
        return write.regressions(self.rows(outputs, count))

    def rows(self, outputs: Mapping[str, Tensor], count: int) -> list[float]:
        """A number for each example. Raises ModelError."""
        tensor = outputs["outputs"]
        if len(tensor.shape) != 1 and not (len(tensor.shape) == 2 and tensor.shape[1] == 1):
            raise invalid(
                "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
                f"{_shape(tensor.shape)}"
            )
        if tensor.shape[0] != count:
            raise invalid(f"Input batch size did not match output batch size: {count} vs. {tensor.shape[0]}")
        if tensor.dtype != "DT_FLOAT":
            raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {tensor.dtype}")
        return list(tensor.values)


def _find(key: str, signatures: Mapping[str, Signature], method: str, kind_: str) -> Signature:
    signature = signatures.get(key)
    if signature is None:
        raise invalid(f"No signature was found with the name: {key}")
    if signature.method != method:
        raise invalid(f"Expected {kind_} signature method_name to be {method}. Was: {signature.method}")
    return signature


def _only_input(signature: Signature, kind_: str) -> str:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if "inputs" not in signature.inputs:
        raise ModelError(Code.FAILED_PRECONDITION, f"No {kind_} inputs found in SignatureDef")
    return "inputs"


def _shape(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
