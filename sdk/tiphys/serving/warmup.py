"""The first calls of a model, made before a client's: they pay for what TensorFlow does only once.

A SavedModel may bring its own, recorded requests: ``assets.extra/tf_serving_warmup_requests``, a TFRecord file of
PredictionLog messages (tensorflow_serving/apis/prediction_log.proto). Without them each signature is called
with zeros.
"""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator
from pathlib import Path

from tiphys.net.protobuf import WireError, messages
from tiphys.serving.model.servable import (
    COMPLEX,
    DEFAULT_SIGNATURE,
    Code,
    ModelError,
    Servable,
    Tensor,
    TensorInfo,
)
from tiphys.serving.rpc.messages import PredictRequest

__all__ = ["recorded", "warm_up"]

log = logging.getLogger("tiphys.serving")

MAX_RECORDS = 1000  # as in saved_model_warmup_util.cc
_PREDICT_LOG = 6


def warm_up(servable: Servable, path: Path) -> None:
    """Make the recorded calls, or calls with zeros. Raises ModelError when a recorded one fails."""
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    if file.exists():
        count = 0
        for signature, inputs in recorded(file):
            if signature not in servable.signatures:
                raise ModelError(Code.FAILED_PRECONDITION, f"{file}: there is no signature {signature}")
            servable.run(signature, inputs)
            count += 1
        log.info("%s: %d recorded requests for the warm-up", path, count)
        return
    for name, definition in servable.signatures.items():
        if not definition.inputs or any(info.shape is None for info in definition.inputs.values()):
            continue
        with contextlib.suppress(ModelError, KeyError):  # a signature that cannot take zeros is no error
            servable.run(name, {key: _zeros(info) for key, info in definition.inputs.items()})


def recorded(file: Path) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Signature and inputs of each recorded predict request; other kinds are left out.

    Raises ModelError INVALID_ARGUMENT when the file is not what it should be.
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
            for entry in messages(data[start:end], _PREDICT_LOG):
                for request in messages(entry, 1):
                    found = PredictRequest.read(bytes(request))
                    yield found.spec.signature or DEFAULT_SIGNATURE, dict(found.inputs)
        except WireError as error:
            raise _wrong(file, str(error)) from error


def _wrong(file: Path, why: str) -> ModelError:
    return ModelError(Code.INVALID_ARGUMENT, f"{file} is no file of warm-up requests: {why}")


def _zeros(info: TensorInfo) -> Tensor:
    shape = tuple(1 if size < 0 else size for size in info.shape or ())
    count = 2 if info.dtype in COMPLEX else 1
    for size in shape:
        count *= size
    return Tensor(info.dtype, shape, [b""] * count if info.dtype == "DT_STRING" else [0] * count)
