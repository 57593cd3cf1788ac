"""The functions that Argo adds to expr-lang: ``asInt``, ``asFloat``, ``toJson``, ``jsonpath``; and its own ``string``.

``string`` writes composed values as JSON-like Go text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tiphys.expr import gojson
from tiphys.expr.builtins import from_json, to_float, to_int
from tiphys.expr.gofmt import v
from tiphys.expr.jsonpath import query

__all__ = ["ARGO"]

Value = Any

ARGO: dict[str, Callable[..., Value]] = {
    "asInt": to_int,
    "asFloat": to_float,
    "string": v,
    "toJson": gojson.marshal,
    "jsonpath": lambda text, path: query(from_json(text), path),
}
