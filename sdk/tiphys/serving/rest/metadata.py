"""Status and metadata documents, laid out as protobuf's JSON printer does (one space a level)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from tiphys.serving.model.manager import Version
from tiphys.serving.model.servable import Signature, TensorInfo

__all__ = ["metadata", "model_name", "status"]


def model_name(written: str) -> str:
    """The name of a model, of what stands in a path."""
    return unquote_to_bytes(written).decode("utf-8", "replace")


def _print(document: object) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def status(versions: Sequence[Version]) -> bytes:
    """GetModelStatusResponse."""
    rows = []
    for version in versions:
        error = version.error
        rows.append(
            {
                "version": str(version.number),
                "state": version.state,
                "status": {
                    "error_code": "OK" if error is None else error.code.name,
                    "error_message": "" if error is None else error.message,
                },
            }
        )
    return _print({"model_version_status": rows}).encode("utf-8", "replace")


def metadata(name: str, number: int, signatures: Mapping[str, Signature]) -> bytes:
    """GetModelMetadataResponse, put together from two documents as TensorFlow Serving does."""
    spec = _print({"name": name, "signature_name": "", "version": str(number)})
    definitions = _print(
        {"signature_def": {key: _signature(value) for key, value in sorted(signatures.items())}}
    )
    text = f'{{\n"model_spec":{spec},\n"metadata": {{"signature_def": {definitions}}}\n}}\n'
    return text.encode("utf-8", "replace")


def _signature(signature: Signature) -> dict[str, object]:
    return {
        "inputs": {name: _tensor(info) for name, info in sorted(signature.inputs.items())},
        "outputs": {name: _tensor(info) for name, info in sorted(signature.outputs.items())},
        "method_name": signature.method,
        "defaults": dict(signature.defaults),
    }


def _tensor(info: TensorInfo) -> dict[str, object]:
    return {
        "dtype": info.dtype,
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in info.shape or ()],
            "unknown_rank": info.shape is None,
        },
        "name": info.name,
    }
