"""TensorFlow's C library, which its wheel ships as a file: the few functions that serving needs.

The C API is TensorFlow's only stable binary interface (tensorflow/c/c_api.h). Loading the library takes a fraction
of what ``import tensorflow`` takes, in time and memory, and TensorFlow Serving loads and runs models by the
same C++ code.
"""

from __future__ import annotations

import ctypes
import math
import os
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tiphys.net.protobuf import bytes_field, int_field
from tiphys.serving.model.meta_graph import DTYPES
from tiphys.serving.model.packed import TYPECODES, packed
from tiphys.serving.model.servable import Code, ModelError, SessionOptions, Tensor

__all__ = ["Session", "available"]

_NUMBERS = {name: number for number, name in DTYPES.items()}


class _Buffer(ctypes.Structure):
    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


class _Output(ctypes.Structure):
    _fields_ = (("operation", c_void_p), ("index", c_int))


_STRING_SIZE = 24  # sizeof(TF_TString)

_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "TF_DataTypeSize": (c_size_t, (c_int,)),
    "TF_AllocateTensor": (c_void_p, (c_int, POINTER(c_int64), c_int, c_size_t)),
    "TF_CloseSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteBuffer": (None, (c_void_p,)),
    "TF_DeleteGraph": (None, (c_void_p,)),
    "TF_DeleteSession": (None, (c_void_p, c_void_p)),
    "TF_DeleteSessionOptions": (None, (c_void_p,)),
    "TF_DeleteStatus": (None, (c_void_p,)),
    "TF_DeleteTensor": (None, (c_void_p,)),
    "TF_Dim": (c_int64, (c_void_p, c_int)),
    "TF_GetCode": (c_int, (c_void_p,)),
    "TF_GraphOperationByName": (c_void_p, (c_void_p, c_char_p)),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        (c_void_p, c_void_p, c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(_Buffer), c_void_p),
    ),
    "TF_Message": (c_char_p, (c_void_p,)),
    "TF_NewBuffer": (POINTER(_Buffer), ()),
    "TF_NewGraph": (c_void_p, ()),
    "TF_NewSessionOptions": (c_void_p, ()),
    "TF_NewStatus": (c_void_p, ()),
    "TF_NumDims": (c_int, (c_void_p,)),
    "TF_SetConfig": (None, (c_void_p, c_char_p, c_size_t, c_void_p)),
    "TF_SessionRun": (
        None,
        (
            c_void_p, c_void_p,
            POINTER(_Output), POINTER(c_void_p), c_int,
            POINTER(_Output), POINTER(c_void_p), c_int,
            c_void_p, c_int, c_void_p, c_void_p,
        ),
    ),
    "TF_StringCopy": (None, (c_void_p, c_char_p, c_size_t)),
    "TF_StringDealloc": (None, (c_void_p,)),
    "TF_StringGetDataPointer": (c_void_p, (c_void_p,)),
    "TF_StringGetSize": (c_size_t, (c_void_p,)),
    "TF_StringInit": (None, (c_void_p,)),
    "TF_TensorByteSize": (c_size_t, (c_void_p,)),
    "TF_TensorData": (c_void_p, (c_void_p,)),
    "TF_TensorType": (c_int, (c_void_p,)),
}  # fmt: skip


def _library() -> Path | None:
    spec = find_spec("tensorflow")  # finds the package and does not import it
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0])
    library = folder / f"libtensorflow_cc.{'2.dylib' if sys.platform == 'darwin' else 'so.2'}"
    return library if library.exists() else None


def available() -> bool:
    """Whether the C library is there."""
    return _library() is not None


@cache
def _load() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    library = _library()
    if library is None:
        raise ModelError(
            Code.FAILED_PRECONDITION,
            "TensorFlow is not installed, and SavedModels need it: pip install 'tiphys[serve]'",
        )
    lib = _opened(library)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def _opened(library: Path) -> ctypes.CDLL:
    """The library, which finds the framework beside it by itself.

    Most of its half a million functions are never called, so each is bound when it is (``RTLD_LAZY``): that saves a
    third of the time that opening takes. ``ctypes`` always binds all. Its names stay its own (``RTLD_LOCAL``): it has
    functions of BoringSSL, and OpenSSL's callers that are loaded later would be given those.
    """
    program = ctypes.CDLL(None)
    program.dlopen.restype, program.dlopen.argtypes = c_void_p, (c_char_p, c_int)
    program.dlerror.restype, program.dlerror.argtypes = c_char_p, ()
    handle = program.dlopen(os.fsencode(library), os.RTLD_LAZY | os.RTLD_LOCAL)
    if handle is None:
        raise ModelError(
            Code.FAILED_PRECONDITION,
            f"TensorFlow's library cannot be loaded: {(program.dlerror() or b'').decode(errors='replace')}",
        )
    return ctypes.CDLL(str(library), handle=handle)


class _Status:
    """A TF_Status for one call."""

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self.handle = lib.TF_NewStatus()

    def __enter__(self) -> _Status:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lib.TF_DeleteStatus(self.handle)

    def check(self) -> None:
        code = self._lib.TF_GetCode(self.handle)
        if code:
            text = self._lib.TF_Message(self.handle).decode("utf-8", "replace")
            raise ModelError(Code(code) if code <= 16 else Code.UNKNOWN, text)


class Session:
    """A SavedModel's graph with its variables, in a session. ``run`` may be called from several threads."""

    def __init__(
        self, path: Path, tags: Sequence[str] = ("serve",), wanted: SessionOptions | None = None
    ) -> None:
        lib = self._lib = _load()
        self._session: Any = None
        self._graph = lib.TF_NewGraph()
        self._operations: dict[str, _Output] = {}
        options, buffer = lib.TF_NewSessionOptions(), lib.TF_NewBuffer()
        names = (c_char_p * len(tags))(*(tag.encode() for tag in tags))
        try:
            with _Status(lib) as status:
                if config := _config(wanted or SessionOptions()):
                    lib.TF_SetConfig(options, config, len(config), status.handle)
                    status.check()
                self._session = lib.TF_LoadSessionFromSavedModel(
                    options, None, os.fsencode(path), names, len(tags), self._graph, buffer, status.handle
                )
                status.check()
            self.meta_graph = ctypes.string_at(buffer.contents.data, buffer.contents.length)
        except BaseException:
            self.close()
            raise
        finally:
            lib.TF_DeleteBuffer(buffer)
            lib.TF_DeleteSessionOptions(options)

    def run(self, feeds: Mapping[str, Tensor], fetches: Sequence[str]) -> list[Tensor]:
        """The values of ``fetches`` (names such as ``StatefulPartitionedCall:0``). Raises ModelError."""
        lib = self._lib
        count, wanted = len(feeds), len(fetches)
        inputs = (_Output * count)(*map(self._find, feeds))
        outputs = (_Output * wanted)(*map(self._find, fetches))
        values, results = (c_void_p * count)(), (c_void_p * wanted)()
        try:
            for index, tensor in enumerate(feeds.values()):
                values[index] = self._allocate(tensor)
            with _Status(lib) as status:
                lib.TF_SessionRun(
                    self._session, None, inputs, values, count, outputs, results, wanted,
                    None, 0, None, status.handle,
                )  # fmt: skip
                status.check()
            return [self._read(handle) for handle in results]
        finally:
            for index, tensor in enumerate(feeds.values()):
                self._release(values[index], tensor)
            for handle in results:
                if handle:
                    lib.TF_DeleteTensor(handle)

    def close(self) -> None:
        """Give everything back. Not while :meth:`run` is at work."""
        lib = self._lib
        with _Status(lib) as status:
            if self._session:
                lib.TF_CloseSession(self._session, status.handle)
                lib.TF_DeleteSession(self._session, status.handle)
                self._session = None
        if self._graph:
            lib.TF_DeleteGraph(self._graph)
            self._graph = None

    def _find(self, name: str) -> _Output:
        output = self._operations.get(name)
        if output is None:
            operation, _, index = name.partition(":")
            handle = self._lib.TF_GraphOperationByName(self._graph, operation.encode())
            if not handle:
                raise ModelError(Code.NOT_FOUND, f"The graph has no operation {operation}")
            output = self._operations[name] = _Output(handle, int(index or 0))
        return output

    # ---- tensors
    def _allocate(self, tensor: Tensor) -> Any:
        lib = self._lib
        number = _NUMBERS[tensor.dtype]
        dims = (c_int64 * len(tensor.shape))(*tensor.shape)
        if tensor.dtype == "DT_STRING":
            handle = lib.TF_AllocateTensor(number, dims, len(tensor.shape), _STRING_SIZE * len(tensor.values))
            at = lib.TF_TensorData(handle)
            for value in tensor.values:
                lib.TF_StringInit(at)
                lib.TF_StringCopy(at, value, len(value))
                at += _STRING_SIZE
            return handle
        data = packed(tensor)
        size = math.prod(tensor.shape) * lib.TF_DataTypeSize(number)
        if len(data) != size:  # it would be read beyond its end
            raise ModelError(Code.INTERNAL, f"{len(data)} bytes for {tensor.dtype} {list(tensor.shape)}")
        handle = lib.TF_AllocateTensor(number, dims, len(tensor.shape), len(data))
        if data:
            ctypes.memmove(lib.TF_TensorData(handle), data, len(data))
        return handle

    def _release(self, handle: Any, tensor: Tensor) -> None:
        if not handle:
            return
        if tensor.dtype == "DT_STRING":
            at = self._lib.TF_TensorData(handle)
            for _ in tensor.values:
                self._lib.TF_StringDealloc(at)
                at += _STRING_SIZE
        self._lib.TF_DeleteTensor(handle)

    def _read(self, handle: Any) -> Tensor:
        lib = self._lib
        number = lib.TF_TensorType(handle)
        dtype = DTYPES.get(number, f"DT_{number}")
        shape = tuple(lib.TF_Dim(handle, index) for index in range(lib.TF_NumDims(handle)))
        size, at = lib.TF_TensorByteSize(handle), lib.TF_TensorData(handle)
        if dtype == "DT_STRING":
            strings = []
            for start in range(at or 0, (at or 0) + size, _STRING_SIZE):
                length = lib.TF_StringGetSize(start)
                strings.append(ctypes.string_at(lib.TF_StringGetDataPointer(start), length))
            return Tensor(dtype, shape, strings)
        data = ctypes.string_at(at, size) if size else b""
        if dtype == "DT_HALF":
            return Tensor(dtype, shape, list(struct.unpack(f"{size // 2}e", data)))
        code = TYPECODES.get(dtype)
        if code is None:
            return Tensor(dtype, shape, [])  # a type that JSON cannot carry: its writer says so
        return Tensor(dtype, shape, array(code, data))


def _config(wanted: SessionOptions) -> bytes:
    """A ConfigProto (tensorflow/core/protobuf/config.proto); what is 0 is left to TensorFlow."""
    found = b""
    if wanted.intra_op_threads:
        found += int_field(2, wanted.intra_op_threads)
    if wanted.inter_op_threads:
        found += int_field(5, wanted.inter_op_threads)
    if wanted.gpu_memory_fraction:
        found += bytes_field(6, b"\x09" + struct.pack("<d", wanted.gpu_memory_fraction))  # a double, field 1
    return found
