"""The Open Inference Protocol, version 2 (KServe's V2), whatever carries it: its datatypes, what is told of models, and
what a request must be.

A model's signature is a parameter of the request, ``signature_name``; without it the default one is asked.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tiphys.serving.model.servable import (
    DEFAULT_SIGNATURE,
    Code,
    ModelError,
    Signature,
    Tensor,
    fits,
    invalid,
    type_name,
)

if TYPE_CHECKING:
    from tiphys.serving.model.manager import Manager
    from tiphys.serving.model.servable import TensorInfo, Values

__all__ = [
    "DATATYPES",
    "PLATFORM",
    "SIGNATURE",
    "InferenceInput",
    "InferenceRequest",
    "ModelAbout",
    "TensorAbout",
    "all_ready",
    "asked_version",
    "datatype_of",
    "is_ready",
    "model_about",
]

DATATYPES = {
    "BOOL": "DT_BOOL", "UINT8": "DT_UINT8", "UINT16": "DT_UINT16", "UINT32": "DT_UINT32", "UINT64": "DT_UINT64",
    "INT8": "DT_INT8", "INT16": "DT_INT16", "INT32": "DT_INT32", "INT64": "DT_INT64",
    "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING",
}  # fmt: skip
"""The protocol's names of types, and TensorFlow's."""
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
PLATFORM = "tensorflow_savedmodel"
SIGNATURE = "signature_name"
"""The parameter of a request that names the signature."""
_SHOWN = 100  # characters of a name in an error


# ---- what is told
class TensorAbout(NamedTuple):
    """An input or an output; ``shape`` has -1 where any size will do."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelAbout(NamedTuple):
    """A model, as it is told to who asks for its metadata."""

    name: str
    versions: tuple[str, ...]
    inputs: tuple[TensorAbout, ...]
    outputs: tuple[TensorAbout, ...]


def model_about(manager: Manager, name: str, asked: str = "") -> ModelAbout:
    """Of the default signature, or the first; of all versions, or of the one that is asked for. Raises ModelError
    NOT_FOUND."""
    number = _number(manager, name, asked)
    with manager.use(name, number) as (version, runner):
        signatures = runner.servable.signatures
        signature = signatures.get(DEFAULT_SIGNATURE) or next(iter(signatures.values()), Signature({}, {}))
        known = [version] if number is not None else manager.known(name)
        versions = tuple(str(each.number) for each in known if each.state == "AVAILABLE")
        return ModelAbout(name, versions, _told(signature.inputs), _told(signature.outputs))


def _told(infos: Mapping[str, TensorInfo]) -> tuple[TensorAbout, ...]:
    return tuple(
        TensorAbout(name, _NAMES.get(info.dtype, info.dtype), info.shape or ())
        for name, info in sorted(infos.items())
    )


def _number(manager: Manager, name: str, asked: str) -> int | None:
    number, label = asked_version(manager, name, asked)
    return manager.resolve_label(name, label) if label else number


def is_ready(manager: Manager, name: str, asked: str = "") -> bool:
    """Whether a model, or a version of it, can be asked. Raises ModelError NOT_FOUND where that is no version."""
    number = _number(manager, name, asked)
    try:
        with manager.use(name, number):
            return True
    except ModelError:
        return False


def all_ready(manager: Manager) -> bool:
    """Whether every model can be asked."""
    return all(is_ready(manager, name) for name in manager.models)


def asked_version(manager: Manager, name: str, text: str) -> tuple[int | None, str]:
    """The version that a request names by its number, or the label by which it does; neither of an empty text. Raises
    ModelError NOT_FOUND."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text), ""
    if text:
        try:
            manager.resolve_label(name, text)
        except ModelError:
            raise ModelError(Code.NOT_FOUND, f"There is no version {text[:_SHOWN]!r}") from None
    return None, text


# ---- what is asked
@dataclass(frozen=True, slots=True)
class InferenceInput(ABC):
    """An input, as it was sent. Raises ModelError INVALID_ARGUMENT where it cannot be one."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.name or not self.datatype:
            raise invalid("each input has a name and a datatype")
        if self.datatype not in DATATYPES:
            raise self.wrong(f"{self.datatype[:_SHOWN]!r} is no datatype: {', '.join(DATATYPES)}")
        if any(size < 0 for size in self.shape):
            raise self.wrong("its shape is a list of whole numbers")
        if not fits(self.shape):
            raise self.wrong("its shape is larger than that of a tensor")

    @property
    def count(self) -> int:
        """How many values there are to be."""
        return math.prod(self.shape)

    @abstractmethod
    def values(self, dtype: str) -> Values:
        """What was sent, which is of this type. Raises ModelError INVALID_ARGUMENT where it does not fit the shape."""

    def tensor(self, dtype: str) -> Tensor:
        """Of a type that the model wants. Raises ModelError INVALID_ARGUMENT."""
        if DATATYPES[self.datatype] != dtype:
            wanted = _NAMES.get(dtype, type_name(dtype))
            raise invalid(f"input {self.name[:_SHOWN]!r} is {self.datatype}, and the model wants {wanted}")
        return Tensor(dtype, self.shape, self.values(dtype))

    def wrong(self, why: str) -> ModelError:
        """What is to be raised."""
        return invalid(f"input {self.name[:_SHOWN]!r}: {why}")

    def misfit(self, given: int, what: str = "values") -> ModelError:
        """Likewise: so many do not fit the shape."""
        return self.wrong(f"{given} {what} do not fit {list(self.shape)}")


class InferenceRequest(NamedTuple):
    """``outputs``: those that are wanted; empty: all."""

    identity: str
    signature: str
    inputs: Mapping[str, InferenceInput]
    outputs: tuple[str, ...]

    @classmethod
    def of(
        cls, identity: str, signature: str, inputs: Iterable[InferenceInput], outputs: Iterable[str]
    ) -> InferenceRequest:
        """Raises ModelError INVALID_ARGUMENT."""
        found: dict[str, InferenceInput] = {}
        for each in inputs:
            if each.name in found:
                raise invalid(f"input {each.name[:_SHOWN]!r} is there twice")
            found[each.name] = each
        if not found:
            raise invalid("'inputs' has none")
        wanted: dict[str, None] = {}
        for name in outputs:
            if name in wanted:  # else a few bytes would ask for very many
                raise invalid(f"output {name[:_SHOWN]!r} is asked for twice")
            wanted[name] = None
        return cls(identity, signature or DEFAULT_SIGNATURE, found, tuple(wanted))

    def tensors(self, signature: Signature) -> dict[str, Tensor]:
        """What the model is given. Raises ModelError INVALID_ARGUMENT where it does not fit the signature."""
        if self.inputs.keys() != signature.inputs.keys():
            raise invalid(f"the inputs are {_list(signature.inputs)}, and not {_list(self.inputs)}")
        for name in self.outputs:
            if name not in signature.outputs:
                raise invalid(f"there is no output {name[:_SHOWN]!r}: {_list(signature.outputs)}")
        return {name: given.tensor(signature.inputs[name].dtype) for name, given in self.inputs.items()}

    def answered(self, outputs: Mapping[str, Tensor]) -> list[tuple[str, str, Tensor]]:
        """What is wanted of a model's outputs, each with its name and datatype. Raises ModelError UNIMPLEMENTED for a
        type that the protocol does not have."""
        names = self.outputs or sorted(outputs)
        return [(name, datatype_of(name, outputs[name]), outputs[name]) for name in names]


def datatype_of(name: str, value: Tensor) -> str:
    """The protocol's name of an output's type. Raises ModelError UNIMPLEMENTED."""
    datatype = _NAMES.get(value.dtype)
    if datatype is None:
        raise ModelError(
            Code.UNIMPLEMENTED, f"output {name!r}: {type_name(value.dtype)} is no datatype of V2"
        )
    return datatype


def _list(names: Iterable[str]) -> str:
    return ", ".join(each[:_SHOWN] for each in sorted(names)[:_SHOWN])
