"""The Open Inference Protocol, version 2 (KServe's V2), over REST: another way to write what the same models are asked.

Source: inference_rest.md of kserve/open-inference-protocol. A model's signature is a parameter of the request
(``"parameters": {"signature_name": …}``), without it the default one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from tiphys._version import __version__
from tiphys.serving.model.servable import DEFAULT_SIGNATURE, Code, ModelError, Tensor, type_name
from tiphys.serving.rest.values import invalid, tensor

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.serving.model.manager import Manager
    from tiphys.serving.model.servable import Signature, TensorInfo

__all__ = ["InferenceRequest", "about", "inference_answer", "is_inference", "model_of", "path_of"]

_PATH = re.compile(
    r"/v2(?:/(?P<what>health/live|health/ready|models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
    r"(?P<end>/ready|/infer)?))?"
)
_TYPES = {
    "BOOL": "DT_BOOL", "UINT8": "DT_UINT8", "UINT16": "DT_UINT16", "UINT32": "DT_UINT32", "UINT64": "DT_UINT64",
    "INT8": "DT_INT8", "INT16": "DT_INT16", "INT32": "DT_INT32", "INT64": "DT_INT64",
    "FP16": "DT_HALF", "FP32": "DT_FLOAT", "FP64": "DT_DOUBLE", "BYTES": "DT_STRING",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_READ = {"DT_HALF": "DT_FLOAT", "DT_UINT16": "DT_UINT32"}  # as what JSON's numbers are read of a type


def path_of(path: str) -> re.Match[str] | None:
    """What a path asks for; None of one that is not this protocol's."""
    return _PATH.fullmatch(path)


def is_inference(found: re.Match[str]) -> bool:
    """Whether it is a model's answer that is asked for."""
    return found["end"] == "/infer"


def about(found: re.Match[str], manager: Manager) -> tuple[int, JsonObject]:
    """Status and document of what is no inference. Raises ModelError NOT_FOUND."""
    if found["what"] is None:
        return 200, {"name": "tiphys", "version": __version__, "extensions": []}
    if found["what"] == "health/live":
        return 200, {"live": True}
    if found["what"] == "health/ready":
        ready = all(_is_ready(manager, name, None) for name in manager.models)
        return 200 if ready else 400, {"ready": ready}
    name, number = model_of(found)
    if found["end"] == "/ready":
        ready = _is_ready(manager, name, number)
        return 200 if ready else 404, {"name": name, "ready": ready}
    with manager.use(name, number) as (version, runner):
        signature = runner.servable.signatures.get(DEFAULT_SIGNATURE)
        if signature is None:
            signature = next(iter(runner.servable.signatures.values()))
        versions: list[Json] = [str(each.number) for each in manager.known(name) if each.state == "AVAILABLE"]
        return 200, {
            "name": name,
            "versions": versions if number is None else [str(version.number)],
            "platform": "tensorflow_savedmodel",
            "inputs": _told(signature.inputs),
            "outputs": _told(signature.outputs),
        }


def model_of(found: re.Match[str]) -> tuple[str, int | None]:
    """The model's name and its version, None for the newest. Raises ModelError NOT_FOUND."""
    version = found["version"]
    if version is not None and not (version.isascii() and version.isdigit() and len(version) < 19):
        raise ModelError(Code.NOT_FOUND, f"There is no version {version[:100]!r}")
    return found["name"], None if version is None else int(version)


def _is_ready(manager: Manager, name: str, number: int | None) -> bool:
    try:
        with manager.use(name, number):
            return True
    except ModelError:
        return False


def _told(infos: Mapping[str, TensorInfo]) -> list[Json]:
    return [
        {"name": name, "datatype": _NAMES.get(info.dtype, info.dtype), "shape": [*(info.shape or ())]}
        for name, info in sorted(infos.items())
    ]


# ---- inference
class InferenceRequest(NamedTuple):
    """``outputs``: those that are wanted; empty: all."""

    identity: str
    signature: str
    inputs: Mapping[str, _Given]
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, document: JsonObject) -> InferenceRequest:
        """Raises ModelError INVALID_ARGUMENT."""
        inputs = {}
        for each in _objects(document, "inputs"):
            given = _Given.of(each)
            if given.name in inputs:
                raise invalid(f"input {given.name!r} is there twice")
            inputs[given.name] = given
        if not inputs:
            raise invalid("'inputs' has none")
        outputs = tuple(str(each.get("name")) for each in _objects(document, "outputs"))
        parameters = document.get("parameters")
        signature = parameters.get("signature_name") if isinstance(parameters, dict) else None
        return cls(str(document.get("id", "")), str(signature or DEFAULT_SIGNATURE), inputs, outputs)

    def tensors(self, signature: Signature) -> dict[str, Tensor]:
        """What the model is given. Raises ModelError INVALID_ARGUMENT where it does not fit the signature."""
        if self.inputs.keys() != signature.inputs.keys():
            wanted, given = (", ".join(sorted(each)) for each in (signature.inputs, self.inputs))
            raise invalid(f"the inputs are {wanted}, and not {given}")
        for name in self.outputs:
            if name not in signature.outputs:
                raise invalid(f"there is no output {name!r}: {', '.join(sorted(signature.outputs))}")
        return {name: given.tensor(signature.inputs[name].dtype) for name, given in self.inputs.items()}


class _Given(NamedTuple):
    """An input, as it was sent."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Json

    @classmethod
    def of(cls, each: JsonObject) -> _Given:
        name, datatype, shape = each.get("name"), each.get("datatype"), each.get("shape")
        if not isinstance(name, str) or not isinstance(datatype, str):
            raise invalid("each input has a name and a datatype")
        if datatype not in _TYPES:
            raise invalid(f"input {name!r}: {datatype!r} is no datatype: {', '.join(_TYPES)}")
        whole = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
        if not whole:
            raise invalid(f"input {name!r}: its shape is a list of whole numbers")
        if not isinstance(each.get("data"), list):
            raise invalid(f"input {name!r}: its data is a list")
        return cls(name, datatype, tuple(cast("list[int]", shape)), each["data"])

    def tensor(self, dtype: str) -> Tensor:
        """Flat or nested, row by row. Raises ModelError INVALID_ARGUMENT."""
        if _TYPES[self.datatype] != dtype:
            raise invalid(
                f"input {self.name!r} is {self.datatype}, and the model wants "
                f"{_NAMES.get(dtype, type_name(dtype))}"
            )
        try:
            found = tensor(self.data, _READ.get(dtype, dtype))
        except ModelError as error:
            raise invalid(f"input {self.name!r}: {error.message}") from None
        count = math.prod(self.shape)
        flat = len(found.shape) == 1
        if len(found.values) != count or not (flat or found.shape == self.shape):
            raise invalid(f"input {self.name!r}: {len(found.values)} values do not fit {list(self.shape)}")
        return Tensor(dtype, self.shape, found.values)


def _objects(document: JsonObject, key: str) -> list[JsonObject]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise invalid(f"{key!r} is a list of objects")
    return cast("list[JsonObject]", found)


def inference_answer(
    name: str, version: int, request: InferenceRequest, outputs: Mapping[str, Tensor]
) -> bytes:
    """The answer. Raises ModelError UNIMPLEMENTED for a type that the protocol does not have."""
    wanted = request.outputs or tuple(sorted(outputs))
    answer: JsonObject = {
        "model_name": name,
        "model_version": str(version),
        **({"id": request.identity} if request.identity else {}),
        "outputs": [_shown(each, outputs[each]) for each in wanted],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _shown(name: str, value: Tensor) -> Json:
    datatype = _NAMES.get(value.dtype)
    if datatype is None:
        raise ModelError(
            Code.UNIMPLEMENTED, f"output {name!r}: {type_name(value.dtype)} is no datatype of V2"
        )
    data: list[Json] = list(value.values)
    if datatype == "BOOL":
        data = [bool(each) for each in data]
    elif datatype == "BYTES":
        try:
            data = [bytes(each).decode() for each in value.values]
        except UnicodeDecodeError:
            raise ModelError(
                Code.UNIMPLEMENTED,
                f"output {name!r} holds bytes that are no text: ask for it by gRPC or /v1/",
            ) from None
    return {"name": name, "datatype": datatype, "shape": [*value.shape], "data": data}
