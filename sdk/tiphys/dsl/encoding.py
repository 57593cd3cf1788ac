"""Values of Python as the text of an input, and whether they are of its type."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, get_args, get_origin

from tiphys.argo.parameters import json_text
from tiphys.dsl.types import is_record
from tiphys.reference import Reference
from tiphys.step.kinds import (
    TIMES,
    as_json,
    form,
    has_places,
    is_model,
    members,
    plain,
    quoted,
    time_of,
    unwrap,
)

__all__ = ["encode"]


def encode(value: Any, kind: Any) -> str | None:
    """``value`` as the text of an input of type ``kind``, or None when it does not fit."""
    if kind is str and type(value) is str:
        return value
    kind = unwrap(kind)
    origin = get_origin(kind) or kind
    if (options := members(kind)) is not None:
        return _member(value, options, in_quotes=quoted(kind))
    if isinstance(value, enum.Enum):
        value = value.value
    if kind in TIMES:
        return json_text(as_json(value)) if type(value) is kind else None
    if is_model(kind):
        return _model(value, kind)
    if origin is Literal:
        return json_text(value) if value in get_args(kind) else None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return json_text(value) if value in [member.value for member in kind] else None
    if kind is Reference:
        if isinstance(value, Reference):
            return str(value)
        return value if isinstance(value, str) and Reference.maybe(value) else None
    if kind is bool:
        return json_text(value) if isinstance(value, bool) else None
    if kind is int:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
    if kind is float:
        return repr(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if kind is str:
        return value if isinstance(value, str) else None
    try:
        found = plain(value)
        return json_text(found) if _conforms(found, kind) else None
    except (TypeError, ValueError):
        return None


def _member(value: Any, options: tuple[Any, ...], *, in_quotes: bool) -> str | None:
    """The text of a union's value by the member that it is."""
    if value is None:
        return "null" if type(None) in options else None
    for kind in options:
        text = encode(value, kind)
        if text is not None and not (kind is float and int in options and isinstance(value, int)):
            return json.dumps(text, ensure_ascii=False) if in_quotes and form(kind) == "text" else text
    return None


def _model(value: Any, kind: Any) -> str | None:
    """The text of a model, or of a mapping that it accepts."""
    if isinstance(value, Mapping):
        try:
            value = kind.model_validate(value)
        except ValueError:
            return None
    return json_text(as_json(value)) if isinstance(value, kind) else None


def _conforms(value: Any, kind: Any) -> bool:
    """Whether JSON data has the shape of ``kind``, all the way down."""
    if (options := members(kind)) is not None:
        return any(value is None if each is type(None) else _conforms(value, each) for each in options)
    kind = unwrap(kind)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return True
    if origin is Literal:
        return value in inner
    if origin in (list, tuple, set, frozenset):
        if not isinstance(value, list):
            return False
        if has_places(kind):
            return len(value) == len(inner) and all(map(_conforms, value, inner))
        return not inner or all(_conforms(v, inner[0]) for v in value)
    if origin is dict:
        return isinstance(value, dict) and (
            len(inner) < 2 or all(_conforms(k, inner[0]) and _conforms(v, inner[1]) for k, v in value.items())
        )
    if is_record(kind):
        return isinstance(value, dict) and _record_conforms(value, kind)
    if kind is Reference:
        return isinstance(value, dict) and isinstance(value.get("uri"), str)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in [member.value for member in kind]
    if kind in (float, timedelta):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind in (date, datetime) or is_model(kind):
        return _reads(value, kind)
    return (
        isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if isinstance(kind, type)
        else True
    )


def _reads(value: Any, kind: Any) -> bool:
    try:
        _ = kind.model_validate(value) if is_model(kind) else time_of(value, kind)
    except (TypeError, ValueError):
        return False
    return True


def _record_conforms(value: Mapping[str, object], kind: Any) -> bool:
    """Whether an object has the fields of a dataclass or NamedTuple."""
    hints = typing.get_type_hints(kind, include_extras=True)
    if dataclasses.is_dataclass(kind):
        needed = {
            f.name
            for f in dataclasses.fields(kind)
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        }
    else:
        needed = set(kind._fields) - set(kind._field_defaults)
    return needed <= set(value) <= set(hints) and all(_conforms(v, hints[k]) for k, v in value.items())
