"""SavedModels run by TensorFlow's Python library, where its C library is not shipped as a file.

A session (and not ``tf.saved_model.load``): it gives the signatures' own tensors, takes TensorFlow 1 models too,
and costs a tenth for each call. Importing TensorFlow takes some seconds and half a gigabyte; the usual way,
:mod:`tiphys.serving.model.saved_model`, needs neither.
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tiphys.serving.model.servable import (
    COMPLEX,
    Code,
    ModelError,
    SessionOptions,
    Signature,
    Tensor,
    TensorInfo,
)

__all__ = ["SessionServable"]

_NUMPY = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_BOOL": "bool",
    "DT_INT8": "int8", "DT_INT16": "int16", "DT_INT32": "int32", "DT_INT64": "int64",
    "DT_UINT8": "uint8", "DT_UINT16": "uint16", "DT_UINT32": "uint32", "DT_UINT64": "uint64",
    "DT_COMPLEX64": "complex64", "DT_COMPLEX128": "complex128",
}  # fmt: skip
_PARTS = {"DT_COMPLEX64": "float32", "DT_COMPLEX128": "float64"}  # a real one and an imaginary one
_DTYPES = {name: dtype for dtype, name in _NUMPY.items()}


def import_tensorflow() -> Any:
    """TensorFlow, quiet. Raises ModelError when it is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise ModelError(
            Code.FAILED_PRECONDITION,
            "TensorFlow is not installed, and SavedModels need it: pip install 'tiphys[serve]'",
        ) from error
    tf.get_logger().setLevel(logging.ERROR)
    return tf


class SessionServable:
    """A session on one meta graph of a SavedModel."""

    def __init__(
        self, path: Path, options: SessionOptions | None = None, *, tags: tuple[str, ...] = ("serve",)
    ) -> None:
        tf = import_tensorflow()
        self._tf = tf
        wanted = options or SessionOptions()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=wanted.intra_op_threads,
            inter_op_parallelism_threads=wanted.inter_op_threads,
            gpu_options=tf.compat.v1.GPUOptions(per_process_gpu_memory_fraction=wanted.gpu_memory_fraction),
        )
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                meta = tf.compat.v1.saved_model.load(self._session, list(tags), str(path))
        except Exception as error:
            self._session.close()
            raise _as_model_error(tf, error) from error
        self._definitions = dict(meta.signature_def.items())
        self._signatures = {name: _signature(tf, value) for name, value in self._definitions.items()}
        self._calls: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[..., Any]]] = {}

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return self._signatures

    def run(self, signature: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        names, results, call = self._calls.get(signature) or self._prepare(signature)
        try:
            arrays = call(*(to_numpy(inputs[name]) for name in names))
        except Exception as error:
            raise _as_model_error(self._tf, error) from error
        return {name: from_numpy(value) for name, value in zip(results, arrays, strict=True)}

    def close(self) -> None:
        self._session.close()

    def _prepare(self, signature: str) -> tuple[tuple[str, ...], tuple[str, ...], Callable[..., Any]]:
        definition = self._definitions[signature]
        names, results = tuple(sorted(definition.inputs)), tuple(sorted(definition.outputs))
        call = self._session.make_callable(
            [definition.outputs[name].name for name in results],
            feed_list=[definition.inputs[name].name for name in names],
        )
        prepared = (names, results, call)
        self._calls[signature] = prepared
        return prepared


def to_numpy(tensor: Tensor) -> Any:
    import numpy as np

    values = tensor.values
    if tensor.dtype == "DT_STRING":
        result = np.empty(len(values), dtype=object)
        result[:] = values
        return result.reshape(tensor.shape)
    dtype = np.dtype(_NUMPY[tensor.dtype])
    if tensor.dtype in COMPLEX:
        flat = np.array(values, _PARTS[tensor.dtype]).view(dtype)
    elif isinstance(values, bytes):
        flat = np.frombuffer(values, dtype)
    elif not isinstance(values, array):
        flat = np.array(values, dtype)
    else:
        flat = np.frombuffer(values, np.dtype(values.typecode)) if len(values) else np.empty(0, dtype)
        if flat.dtype != dtype:
            flat = flat.astype(dtype)  # int8 and int16 come as int32, and are cut as TensorFlow Serving does
    return flat.reshape(tensor.shape)


def from_numpy(value: Any) -> Tensor:
    import numpy as np

    value = np.asarray(value)
    if value.dtype.kind in "OSU":
        return Tensor("DT_STRING", value.shape, [_as_bytes(item) for item in value.ravel().tolist()])
    dtype = _DTYPES.get(value.dtype.name) or "DT_" + value.dtype.name.upper()
    if dtype in COMPLEX:
        value = np.ascontiguousarray(value)
        return Tensor(dtype, value.shape, value.ravel().view(_PARTS[dtype]).tolist())
    return Tensor(dtype, value.shape, value.ravel().tolist())


def _as_bytes(item: Any) -> bytes:
    return item if isinstance(item, bytes) else str(item).encode()


def _signature(tf: Any, definition: Any) -> Signature:
    return Signature(
        {name: _info(tf, value) for name, value in definition.inputs.items()},
        {name: _info(tf, value) for name, value in definition.outputs.items()},
        definition.method_name,
    )


def _info(tf: Any, info: Any) -> TensorInfo:
    from tensorflow.core.framework import types_pb2

    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(dim.size for dim in shape.dim)
    return TensorInfo(types_pb2.DataType.Name(info.dtype), sizes, info.name)


def _as_model_error(tf: Any, error: Exception) -> ModelError:
    if isinstance(error, ModelError):
        return error
    if isinstance(error, tf.errors.OpError):
        return ModelError(Code(error.error_code), error.message)
    if isinstance(error, OSError):
        return ModelError(Code.NOT_FOUND, str(error))
    if isinstance(error, (ValueError, TypeError, RuntimeError)):
        return ModelError(Code.INVALID_ARGUMENT, str(error))
    return ModelError(Code.INTERNAL, f"{type(error).__name__}: {error}")
