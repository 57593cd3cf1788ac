"""The Open Inference Protocol, version 2 (KServe's V2), over REST: another way to write what the same models are asked.

Source: inference_rest.md of kserve/open-inference-protocol. What it shares with gRPC is in
:mod:`tiphys.serving.model.inference`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tiphys._version import __version__
from tiphys.serving.model.inference import (
    PLATFORM,
    SIGNATURE,
    InferenceInput,
    InferenceRequest,
    all_ready,
    is_ready,
    model_about,
)
from tiphys.serving.model.servable import Code, ModelError, Tensor, invalid
from tiphys.serving.rest.metadata import model_name
from tiphys.serving.rest.values import tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiphys.jsontypes import Json, JsonObject
    from tiphys.serving.model.inference import TensorAbout
    from tiphys.serving.model.manager import Manager
    from tiphys.serving.model.servable import Values

__all__ = ["about", "inference_answer", "inference_request", "is_inference", "model_of", "path_of"]

_PATH = re.compile(
    r"/v2(?:/(?P<what>health/live|health/ready|models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
    r"(?P<end>/ready|/infer)?))?"
)
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
        ready = all_ready(manager)
        return 200 if ready else 400, {"ready": ready}
    name, asked = model_of(found)
    if found["end"] == "/ready":
        ready = is_ready(manager, name, asked)
        return 200 if ready else 404, {"name": name, "ready": ready}
    told = model_about(manager, name, asked)
    return 200, {
        "name": name,
        "versions": [*told.versions],
        "platform": PLATFORM,
        "inputs": _listed(told.inputs),
        "outputs": _listed(told.outputs),
    }


def model_of(found: re.Match[str]) -> tuple[str, str]:
    """The model's name, and its version as it is named; empty: it is not."""
    return model_name(found["name"]), model_name(found["version"] or "")


def _listed(tensors: Iterable[TensorAbout]) -> list[Json]:
    return [{"name": each.name, "datatype": each.datatype, "shape": [*each.shape]} for each in tensors]


# ---- inference
def inference_request(document: JsonObject) -> InferenceRequest:
    """What is asked. Raises ModelError INVALID_ARGUMENT."""
    parameters = document.get("parameters")
    signature = parameters.get(SIGNATURE) if isinstance(parameters, dict) else None
    return InferenceRequest.of(
        str(document.get("id", "")),
        str(signature or ""),
        map(_given, _objects(document, "inputs")),
        (str(each.get("name")) for each in _objects(document, "outputs")),
    )


def _given(each: JsonObject) -> InferenceInput:
    name, datatype, shape = each.get("name"), each.get("datatype"), each.get("shape")
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    return _GivenAsJson(
        name if isinstance(name, str) else "",
        datatype if isinstance(datatype, str) else "",
        tuple(cast("list[int]", shape)) if whole else (-1,),  # which is refused
        each.get("data"),
    )


@dataclass(frozen=True, slots=True)
class _GivenAsJson(InferenceInput):
    """``data`` is flat or nested, row by row."""

    data: Json

    def __post_init__(self) -> None:
        InferenceInput.__post_init__(self)
        if not isinstance(self.data, list):
            raise self.wrong("its data is a list")

    def values(self, dtype: str) -> Values:
        try:
            found = tensor(self.data, _READ.get(dtype, dtype))
        except ModelError as error:
            raise self.wrong(error.message) from None
        flat = len(found.shape) == 1
        if len(found.values) != self.count or not (flat or found.shape == self.shape):
            raise self.misfit(len(found.values))
        return found.values


def _objects(document: JsonObject, key: str) -> list[JsonObject]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise invalid(f"{key!r} is a list of objects")
    return cast("list[JsonObject]", found)


def inference_answer(
    name: str, version: int, request: InferenceRequest, outputs: Mapping[str, Tensor]
) -> bytes:
    """The answer. Raises ModelError UNIMPLEMENTED for a type that the protocol does not have."""
    answer: JsonObject = {
        "model_name": name,
        "model_version": str(version),
        **({"id": request.identity} if request.identity else {}),
        "outputs": [_shown(*each) for each in request.answered(outputs)],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _shown(name: str, datatype: str, value: Tensor) -> Json:
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
