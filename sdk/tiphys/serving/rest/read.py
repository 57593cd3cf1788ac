"""Predict requests in TensorFlow Serving's JSON, in rows or in columns, and what it says about wrong ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.serving.model.servable import DEFAULT_SIGNATURE, ModelError, Tensor, TensorInfo, invalid
from tiphys.serving.rest import rapid
from tiphys.serving.rest.values import fast_tensor, fill, is_b64, shape_of, show_shape, tensor
from tiphys.serving.rest.write import pretty

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = [
    "ROW",
    "no_signature",
    "parse",
    "parse_fast",
    "parse_with_care",
    "predict_inputs",
    "signature_name",
    "whole",
]

ROW = "row"
COLUMN = "column"

# beyond this, a text that Python refuses is not read a second time to find RapidJSON's words for it
_CAREFUL_BYTES = 1024 * 1024
_SPACE = re.compile(r"[ \t\r\n]*")
# half of a surrogate pair without the other one; a whole pair is the same to both
_LONE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)


def parse(body: bytes) -> JsonObject:
    """The request's document; what follows it is ignored. Raises ModelError INVALID_ARGUMENT."""
    found = parse_fast(body)
    return parse_with_care(body) if found is None else found


def whole(
    body: bytes, signatures: Mapping[str, Mapping[str, TensorInfo]]
) -> tuple[str, str, dict[str, Tensor]]:
    """Of a predict request the signature that it asks for, its format, and its tensors; ``signatures``: what each
    wants. Raises ModelError."""
    document = parse(body)
    asked = signature_name(document)
    if (asked or DEFAULT_SIGNATURE) not in signatures:
        raise no_signature(asked or DEFAULT_SIGNATURE)
    layout, inputs = predict_inputs(document, signatures[asked or DEFAULT_SIGNATURE], asked)
    return asked, layout, inputs


def no_signature(name: str) -> ModelError:
    """That a model has no such signature."""
    return invalid(f'Serving signature name: "{name}" not found in signature def')


def parse_fast(body: bytes) -> JsonObject | None:
    """As :func:`parse`; None: what Python says of it is not what RapidJSON says, or it may not be."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if b"\\u" in body and len(body) <= _CAREFUL_BYTES and _LONE.search(body):
        return None
    try:
        return _fast(body)
    except rapid.ParseError as error:
        raise _wrong(error) from None


def parse_with_care(body: bytes) -> JsonObject:
    """The same in RapidJSON's way, in thirty times the time, all of it with the interpreter's lock."""
    try:
        document = rapid.parse(body)
    except rapid.ParseError as error:
        raise _wrong(error) from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {pretty(document)} Is not object")
    return document


def _wrong(error: rapid.ParseError) -> ModelError:
    return invalid(f"JSON Parse error: {error.message} at offset: {error.offset}")


def _fast(body: bytes) -> JsonObject | None:
    text = body.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    start = _SPACE.match(text)
    assert start is not None
    decoder = _WATCHFUL if rapid.may_be_too_big(body) else _PLAIN
    try:
        document, _ = decoder.raw_decode(text, start.end())
    except rapid.TooBigError:
        raise rapid.ParseError(rapid.TOO_BIG, rapid.first_too_big(body)) from None
    except (ValueError, RecursionError) as error:
        if len(body) > _CAREFUL_BYTES:
            raise rapid.ParseError(rapid.INVALID_VALUE, getattr(error, "pos", 0)) from None
        return None
    if isinstance(document, dict):
        return document
    if len(body) > _CAREFUL_BYTES:
        raise invalid(f"JSON Value: {pretty(document)} Is not object")
    return None  # of a number by itself Python takes the part that it understands


def _first_wins(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        result = {}
        for name, value in pairs:
            result.setdefault(name, value)
    return result


_PLAIN = json.JSONDecoder(object_pairs_hook=_first_wins)
_WATCHFUL = json.JSONDecoder(object_pairs_hook=_first_wins, parse_float=rapid.number, parse_int=rapid.number)


def signature_name(document: Mapping[str, Json]) -> str:
    """The signature that a request asks for; empty: the default."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {pretty(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name


def predict_inputs(
    document: Mapping[str, Json], infos: Mapping[str, TensorInfo], signature: str = ""
) -> tuple[str, dict[str, Tensor]]:
    """The format of a predict request and its tensors."""
    if not infos:
        raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in document:
        if "inputs" in document:
            raise invalid(
                f"JSON Value: {pretty(document)} Not formatted correctly expecting only "
                "one of 'inputs' or 'instances' keys to exist "
            )
        instances = document["instances"]
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {pretty(document)} Expecting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {pretty(document)} No values in 'instances' array")
        return ROW, _row(instances, infos)
    if "inputs" in document:
        return COLUMN, _column(document["inputs"], infos)
    raise invalid("Missing 'inputs' or 'instances' key")


# ---- the two formats
def _row(instances: list[Json], infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    first = instances[0]
    if not isinstance(first, dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if isinstance(first, dict) and not is_b64(first):
        fast = _fast_objects(instances, infos)
        return fast if fast is not None else _slow_objects(instances, infos)
    name = min(infos)
    info = infos[name]
    found = fast_tensor(instances, info.dtype)
    return {name: found if found is not None else _slow_values(instances, info.dtype)}


def _fast_objects(instances: list[Json], infos: Mapping[str, TensorInfo]) -> dict[str, Tensor] | None:
    names = infos.keys()
    rows: list[JsonObject] = []
    for item in instances:
        if type(item) is not dict or item.keys() != names:
            return None
        rows.append(item)
    result = {}
    for name, info in infos.items():
        found = fast_tensor([row[name] for row in rows], info.dtype)
        if found is None:
            return None
        result[name] = found
    return result


def _slow_objects(instances: list[Json], infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    columns: dict[str, _Column] = {}
    for index, item in enumerate(instances):
        if not isinstance(item, dict) or is_b64(item):
            raise invalid(f"Expecting object but got list at item {index} of input list")
        for name, value in item.items():
            try:
                if name not in infos:
                    raise invalid(f"JSON object: does not have named input: {name}")
                columns.setdefault(name, _Column(infos[name].dtype)).add(value)
            except ModelError as error:
                raise invalid(
                    f"Failed to process element: {index} key: {name} of 'instances' list. Error: {error}"
                ) from None
        if item.keys() != infos.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {pretty(item)} "
                f"keys must be equal to: {','.join(sorted(infos))}"
            )
    return {name: column.tensor(len(instances)) for name, column in columns.items()}


def _slow_values(instances: list[Json], dtype: str) -> Tensor:
    column = _Column(dtype)
    for index, item in enumerate(instances):
        if isinstance(item, dict) and not is_b64(item):
            raise invalid(f"Expecting value/list but got object at item {index} of input list")
        try:
            column.add(item)
        except ModelError as error:
            raise invalid(f"Failed to process element: {index} of 'instances' list. Error: {error}") from None
    return column.tensor(len(instances))


class _Column:
    """One named input of the row format, an instance at a time."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.shape: list[int] | None = None
        self.size = 0
        self.values: list[bytes | float] = []

    def add(self, value: Json) -> None:
        shape = shape_of(value)
        before = len(self.values)
        fill(value, 0, shape, self.dtype, self.values)
        size = len(self.values) - before
        if self.shape is None:
            self.shape, self.size = shape, size
        elif size != self.size:
            raise invalid(f"Expecting tensor size: {self.size} but got: {size}")
        elif shape != self.shape:
            raise invalid(f"Expecting shape {show_shape(self.shape)} but got: {show_shape(shape)}")

    def tensor(self, count: int) -> Tensor:
        return Tensor(self.dtype, (count, *(self.shape or ())), self.values)


def _column(value: Json, infos: Mapping[str, TensorInfo]) -> dict[str, Tensor]:
    if not isinstance(value, dict) or is_b64(value):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name = min(infos)
        return {name: tensor(value, infos[name].dtype)}
    result = {}
    for name in sorted(infos):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        result[name] = tensor(value[name], infos[name].dtype)
    return result
