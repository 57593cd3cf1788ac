"""The first calls of a model, made before a client's: they pay for what TensorFlow does only once.

A SavedModel may bring its own, recorded requests: ``assets.extra/tf_serving_warmup_requests``, a TFRecord file of
PredictionLog messages (tensorflow_serving/apis/prediction_log.proto; saved_model_warmup.cc says which are replayed).
Without them each signature is called with zeros.
"""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tiphys.net.protobuf import WireError, messages
from tiphys.serving.model.servable import (
    COMPLEX,
    DEFAULT_SIGNATURE,
    Code,
    ModelError,
    Servable,
    Signature,
    Tensor,
    TensorInfo,
)
from tiphys.serving.rest.examples import Classify, Regress
from tiphys.serving.rpc.messages import ModelSpec, PredictRequest, examples_of, inference_tasks
from tiphys.serving.rpc.plans import inference_plans

__all__ = ["recorded", "warm_up"]

log = logging.getLogger("tiphys.serving")
Calls: TypeAlias = Iterator[tuple[str, Mapping[str, Tensor]]]

MAX_RECORDS = 1000  # as in saved_model_warmup_util.cc
_UNSUPPORTED = (5, 7)  # SessionRun, and streamed Predict


def warm_up(servable: Servable, path: Path) -> None:
    """Make the recorded calls, or calls with zeros. Raises ModelError when a recorded one fails."""
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    if file.exists():
        count = 0
        for signature, inputs in recorded(file, servable.signatures):
            servable.run(signature, inputs)
            count += 1
        log.info("%s: %d recorded requests for the warm-up", path, count)
        return
    for name, definition in servable.signatures.items():
        if not definition.inputs or any(info.shape is None for info in definition.inputs.values()):
            continue
        with contextlib.suppress(ModelError, KeyError):  # a signature that cannot take zeros is no error
            servable.run(name, {key: _zeros(info) for key, info in definition.inputs.items()})


def recorded(file: Path, signatures: Mapping[str, Signature]) -> Iterator[tuple[str, Mapping[str, Tensor]]]:
    """Signature and inputs of each recorded request, as the model is to be called.

    Raises ModelError: INVALID_ARGUMENT when the file is not what it should be, UNIMPLEMENTED for what no warm-up is
    made of, and what a request to the server would be told.
    """
    data = memoryview(file.read_bytes())
    at = count = 0
    while at < len(data):
        if at + 12 > len(data):
            raise _wrong(file, "a record is cut off")
        (size,) = struct.unpack_from("<Q", data, at)
        start, end = at + 12, at + 12 + size
        at = end + 4  # length, its checksum, the record, its checksum
        if at > len(data):
            raise _wrong(file, "a record is cut off")
        count += 1
        if count > MAX_RECORDS:
            raise _wrong(file, f"more than {MAX_RECORDS} records")
        try:
            for kind, calls in _KINDS.items():
                for entry in messages(data[start:end], kind):
                    for request in messages(entry, 1):
                        yield from calls(bytes(request), signatures)
            for kind in _UNSUPPORTED:
                for _ in messages(data[start:end], kind):
                    raise ModelError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {kind}")
        except WireError as error:
            raise _wrong(file, str(error)) from error


def _predict(data: bytes, signatures: Mapping[str, Signature]) -> Calls:
    found = PredictRequest.read(data)
    key = found.spec.signature or DEFAULT_SIGNATURE
    if key not in signatures:
        raise ModelError(Code.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
    yield key, dict(found.inputs)


def _examples(call: type[Classify | Regress], data: bytes, signatures: Mapping[str, Signature]) -> Calls:
    key = ModelSpec.read(memoryview(data)).signature or DEFAULT_SIGNATURE
    yield key, {call(key, signatures).input: examples_of(data)}


def _several(data: bytes, signatures: Mapping[str, Signature]) -> Calls:
    for key, (_, plan) in inference_plans(inference_tasks(data), signatures).items():
        yield key, {plan.input: examples_of(data)}


_KINDS: Mapping[int, Callable[[bytes, Mapping[str, Signature]], Calls]] = {
    2: partial(_examples, Classify),
    3: partial(_examples, Regress),
    4: _several,
    6: _predict,
}


def _wrong(file: Path, why: str) -> ModelError:
    return ModelError(Code.INVALID_ARGUMENT, f"{file} is no file of warm-up requests: {why}")


def _zeros(info: TensorInfo) -> Tensor:
    shape = tuple(1 if size < 0 else size for size in info.shape or ())
    count = 2 if info.dtype in COMPLEX else 1
    for size in shape:
        count *= size
    return Tensor(info.dtype, shape, [b""] * count if info.dtype == "DT_STRING" else [0] * count)
