"""The interface between the server and a model: named tensors in, named tensors out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "CLASSIFY",
    "COMPLEX",
    "DEFAULT_SIGNATURE",
    "MAX_RANK",
    "PREDICT",
    "REGRESS",
    "Code",
    "Loader",
    "ModelError",
    "Servable",
    "SessionOptions",
    "Signature",
    "Tensor",
    "TensorInfo",
    "Values",
    "fits",
    "invalid",
    "type_name",
]

DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"


class Code(Enum):
    """The status codes of gRPC (their numbers are its numbers)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16

    @property
    def http(self) -> int:
        """The HTTP status that TensorFlow Serving gives for it."""
        return _HTTP.get(self.name, 500)


_HTTP = {
    "CANCELLED": 499,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}


class ModelError(Exception):
    """A request failed: a status code and the text the client gets."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, self.message)


Values = Sequence[Any]
"""A tensor's elements, row by row: ``bytes`` for uint8 and bool, ``array`` for other numbers when they come
from a request, a list otherwise; strings are a list of bytes. Of a complex number there are two elements, its real
and its imaginary part."""

COMPLEX = ("DT_COMPLEX64", "DT_COMPLEX128")
"""The types of complex numbers."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A dense tensor. ``dtype`` is TensorFlow's enum name, such as ``DT_FLOAT``."""

    dtype: str
    shape: tuple[int, ...]
    values: Values


def invalid(message: str) -> ModelError:
    """What is raised for a request that is wrong."""
    return ModelError(Code.INVALID_ARGUMENT, message)


MAX_RANK = 254
"""The dimensions that a tensor has at most, TensorShape's own limit."""


def fits(shape: Sequence[int]) -> bool:
    """Whether a tensor may have this shape. TensorFlow ends the process for one that has too many dimensions or
    elements, be it that a dimension of 0 leaves none."""
    total = 1
    for size in shape[: MAX_RANK + 1]:
        total *= max(size, 1)
        if size < 0 or total > 2**40:
            return False
    return len(shape) <= MAX_RANK


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What a signature says about a tensor; -1 is an unknown dimension, ``shape`` None an unknown rank."""

    dtype: str
    shape: tuple[int, ...] | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    method: str = PREDICT
    defaults: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How TensorFlow runs a model: threads within an operation and of operations beside each other (0: one for each
    core), and which part of a GPU's memory it takes at most (0: all)."""

    intra_op_threads: int = 0
    inter_op_threads: int = 0
    gpu_memory_fraction: float = 0.0


class Servable(Protocol):
    """One loaded version of a model. ``run`` is called from several threads at once."""

    @property
    def signatures(self) -> Mapping[str, Signature]: ...

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run a signature. Raises ModelError."""
        ...

    def close(self) -> None: ...


class Loader(Protocol):
    """Loads and warms up the version in a folder. Raises ModelError (or anything: then it is INTERNAL)."""

    def __call__(self, path: Path) -> Servable: ...


_TYPE_NAMES = {"DT_STRING": "string", "DT_HALF": "half"}


def type_name(dtype: str) -> str:
    """TensorFlow's short name: ``DT_UINT8`` is ``uint8``."""
    return _TYPE_NAMES.get(dtype) or dtype.removeprefix("DT_").lower()
