"""Tensors as JSON, byte for byte as TensorFlow Serving writes them.

RapidJSON's PrettyWriter: four spaces, and the row format's arrays on one line except for the outermost
closing bracket. Numbers: six significant digits where those are exact, otherwise nine (float) or seventeen
(double); whole ones get ``.0`` unless they are in scientific notation.
"""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence

from tiphys.serving.model.servable import Code, ModelError, Tensor, type_name

__all__ = ["classifications", "format_floats", "outputs", "predictions", "pretty", "regressions", "utf8"]

_INTS = frozenset(("DT_INT8", "DT_INT16", "DT_INT32", "DT_INT64", "DT_UINT8", "DT_UINT32", "DT_UINT64"))


def format_floats(values: Iterable[float], *, single: bool) -> list[str]:
    """Floating-point numbers as TensorFlow Serving prints them (``single``: they are float32)."""
    numbers = tuple(values)
    if not numbers:
        return []
    short = ("%g\n" * len(numbers) % numbers).split()
    back: Sequence[float] = array("f" if single else "d", map(float, short))
    digits = "%.9g" if single else "%.17g"
    result = []
    for text, number, same in zip(short, numbers, back, strict=True):
        if number != same:
            text = "NaN" if number != number else digits % number
        if "." not in text and "e" not in text and "N" not in text:
            text = {"inf": "Infinity", "-inf": "-Infinity"}.get(text) or text + ".0"
        result.append(text)
    return result


_ESCAPE = {i: f"\\u{i:04X}" for i in range(32)} | {
    8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\",
}  # fmt: skip


def _string(text: str) -> str:
    return f'"{text.translate(_ESCAPE)}"'


def _scalars(tensor: Tensor, name: str, depth: int) -> list[str]:
    """Each element as text. ``depth`` is the nesting in which they will stand."""
    values = tensor.values
    if tensor.dtype in ("DT_FLOAT", "DT_HALF"):
        return format_floats(values, single=True)
    if tensor.dtype == "DT_DOUBLE":
        return format_floats(values, single=False)
    if tensor.dtype in _INTS:
        return list(map(str, values))
    if tensor.dtype == "DT_BOOL":
        return ["true" if value else "false" for value in values]
    if tensor.dtype == "DT_STRING":
        if name.endswith("_bytes"):
            inner, outer = "    " * (depth + 1), "    " * depth
            return [f'{{\n{inner}"b64": "{base64.b64encode(value).decode()}"\n{outer}}}' for value in values]
        return [_string(value.decode("utf-8", "surrogateescape")) for value in values]
    raise ModelError(
        Code.INVALID_ARGUMENT, f"Failed to write JSON value for tensor type: {type_name(tensor.dtype)}"
    )


def _nest(items: list[str], shape: Sequence[int], depth: int, *, one_line: bool) -> list[str]:
    """Wrap elements into the arrays of ``shape``; ``depth`` is where the outermost of these stands."""
    for level in range(len(shape) - 1, -1, -1):
        size = shape[level]
        count = math.prod(shape[:level])
        if size == 0:
            items = ["[]"] * count
        elif one_line:
            items = ["[" + ", ".join(items[i * size : (i + 1) * size]) + "]" for i in range(count)]
        else:
            inner, outer = "    " * (depth + level + 1), "    " * (depth + level)
            glue = ",\n" + inner
            items = [
                f"[\n{inner}{glue.join(items[i * size : (i + 1) * size])}\n{outer}]" for i in range(count)
            ]
    return items


def _close(head: str, body: str) -> bytes:
    return f'{{\n    "{head}": {body}\n}}'.encode("utf-8", "surrogateescape")


def predictions(tensors: Mapping[str, Tensor]) -> bytes:
    """The row format."""
    if not tensors:
        raise ModelError(Code.INVALID_ARGUMENT, "Cannot convert empty tensor map to JSON")
    batch = -1
    for name, tensor in sorted(tensors.items()):
        if not tensor.shape:
            raise ModelError(Code.INVALID_ARGUMENT, f"Tensor name: {name} has no shape information ")
        if batch not in (-1, tensor.shape[0]):
            raise ModelError(
                Code.INVALID_ARGUMENT,
                f"Tensor name: {name} has inconsistent batch size: {tensor.shape[0]} expecting: {batch}",
            )
        batch = tensor.shape[0]
    named = len(tensors) > 1
    columns = []
    for name, tensor in sorted(tensors.items()):
        # inside the root object, the predictions array and, if named, the row's object
        depth = 2 + named + len(tensor.shape) - 1
        columns.append((name, _rows(_scalars(tensor, name, depth), tensor.shape)))
    if batch == 0:
        return _close("predictions", "[]")
    if not named:
        return _close("predictions", "[" + ", ".join(columns[0][1]) + "\n    ]")
    rows = []
    for index in range(batch):
        members = ",\n".join(f"            {_string(name)}: {column[index]}" for name, column in columns)
        rows.append(f"        {{\n{members}\n        }}")
    return _close("predictions", "[\n" + ",\n".join(rows) + "\n    ]")


def _rows(items: list[str], shape: Sequence[int]) -> list[str]:
    """One text for each row (the first dimension)."""
    batch, rest = shape[0], shape[1:]
    if not rest:
        return items
    for level in range(len(rest) - 1, -1, -1):
        size = rest[level]
        count = batch * math.prod(rest[:level])
        if size == 0:
            items = ["[]"] * count
        else:
            items = ["[" + ", ".join(items[i * size : (i + 1) * size]) + "]" for i in range(count)]
    return items


def outputs(tensors: Mapping[str, Tensor]) -> bytes:
    """The column format."""
    if not tensors:
        raise ModelError(Code.INVALID_ARGUMENT, "Cannot convert empty tensor map to JSON")
    named = len(tensors) > 1
    depth = 1 + named
    parts = []
    for name, tensor in sorted(tensors.items()):
        items = _scalars(tensor, name, depth + len(tensor.shape))
        parts.append((name, _nest(items, tensor.shape, depth, one_line=False)[0]))
    if not named:
        return _close("outputs", parts[0][1])
    members = ",\n".join(f"        {_string(name)}: {text}" for name, text in parts)
    return _close("outputs", "{\n" + members + "\n    }")


def classifications(rows: Sequence[Sequence[tuple[bytes, float]]]) -> bytes:
    """Results of classify: label and score of each class of each example."""
    if not rows:
        raise ModelError(Code.INVALID_ARGUMENT, "Cannot convert empty ClassificationResults to JSON")
    texts = []
    for row in rows:
        scores = format_floats((score for _, score in row), single=True)
        labels = (_string(label.decode("utf-8", "surrogateescape")) for label, _ in row)
        pairs = zip(labels, scores, strict=True)
        texts.append("[" + ", ".join(f"[{label}, {score}]" for label, score in pairs) + "]")
    return _close("results", "[" + ", ".join(texts) + "\n    ]")


def regressions(values: Sequence[float]) -> bytes:
    """Results of regress."""
    if not values:
        raise ModelError(Code.INVALID_ARGUMENT, "Cannot convert empty RegressionResults to JSON")
    return _close("results", "[" + ", ".join(format_floats(values, single=True)) + "]")


def utf8(text: str) -> bytes:
    """A request's text as its bytes, those too that are not UTF-8."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, of a body too large for the careful reader
        return text.encode("utf-8", "surrogatepass")


_SHOWN_BYTES = 256


def pretty(value: object) -> str:
    """A JSON value inside an error text: the tokens that begin within its first 256 bytes. A number that is not
    finite ends it, too: RapidJSON does not write it.
    """
    shown = _Shown()
    shown.value(value, 0, "")
    return "".join(shown.parts)


class _Shown:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.size = 0

    def put(self, text: str) -> bool:
        """Whether there was room for one more token."""
        if self.size >= _SHOWN_BYTES:
            return False
        self.parts.append(text)
        self.size += len(utf8(text))
        return True

    def value(self, value: object, depth: int, before: str) -> bool:
        """Whether all of it found room. ``before`` is what parts it from its neighbour; an array is one line."""
        if isinstance(value, dict):
            return self.put(before + "{") and self.members(value, depth + 1)
        if isinstance(value, list):
            items = (self.value(item, depth + 1, ", " if at else "") for at, item in enumerate(value))
            return self.put(before + "[") and all(items) and self.put("]")
        if isinstance(value, str):
            return self.put(before + _string(value))
        if type(value) is float or (type(value) is int and not -(2**63) <= value < 2**64):
            return self.put(before + _shortest(float(value))) and math.isfinite(value)
        return self.put(before + json.dumps(value))

    def members(self, value: dict[str, object], depth: int) -> bool:
        inner, outer = "    " * depth, "    " * (depth - 1)
        for at, (name, member) in enumerate(value.items()):
            if not self.put(f"{',' if at else ''}\n{inner}{_string(name)}"):
                return False
            if not self.value(member, depth, ": "):
                return False
        return self.put(f"\n{outer}}}" if value else "}")


def _shortest(number: float) -> str:
    """RapidJSON's own way with doubles (dtoa.h, Prettify): plain up to 1e21, scientific beyond 1e-7."""
    if not math.isfinite(number):
        return ""
    text = repr(number)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    power = int(exponent)
    if -7 < power < 21:
        digits = mantissa.replace("-", "").replace(".", "")
        sign = "-" if mantissa.startswith("-") else ""
        if power < 0:
            return f"{sign}0.{'0' * (-power - 1)}{digits}"
        return f"{sign}{digits}{'0' * (power + 1 - len(digits))}.0"
    return f"{mantissa.removesuffix('.0')}e{power}"
