"""Values as text: how a step's inputs are decoded by their annotations and its outputs are written."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tiphys.errors import RefusedError, did_you_mean
from tiphys.reference import Reference
from tiphys.step.kinds import (
    TIMES,
    bare,
    field_names,
    file_library,
    form,
    has_places,
    is_model,
    members,
    named,
    optional,
    plain,
    quoted,
    time_of,
)

__all__ = ["decode", "encode", "files_of", "outputs_of"]


def decode(text: str, kind: Any, name: str = "value") -> Any:
    """``text`` as ``kind``: str, int, float, bool, Literal, Enum, Reference, a time, or JSON of a list, dict,
    dataclass or model; of a union the member whose kind of JSON it is.

    Raises RefusedError (TIP241) that says what was expected.
    """
    try:
        try:
            return _decode(text, kind)
        except RecursionError:
            raise _MismatchError("JSON that Python can read: it is nested too deeply") from None
    except _MismatchError as error:
        raise RefusedError(
            "TIP241",
            f"the input {name!r} is {text[:80]!r}, which is not {error}",
            cause="inputs arrive as text and are decoded by the annotation of the function",
            fix=f"pass {error}",
        ) from None


class _MismatchError(Exception):
    pass


def _decode(text: str, kind: Any) -> Any:
    kind = bare(kind)
    options = members(kind)
    if options is not None:
        if text == "null" and type(None) in options:
            return None
        if quoted(kind):
            return _convert(_json_or_text(text), kind)
        return _first_fit(text, [o for o in options if o is not type(None)], _decode)
    origin = get_origin(kind) or kind
    if kind in (str, Any, object):
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise _MismatchError("true or false")
        return text == "true"
    if kind in (int, float):
        return _number(text, kind)
    if origin is Literal:
        return _choice(text, get_args(kind))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        value = _choice(text, [member.value for member in kind])
        return kind(value)
    if kind is Reference:
        found = Reference.maybe(text)
        if found is None:
            raise _MismatchError(
                'a reference: {"uri":"pvc://CLAIM/PATH","digest":"sha256:…"} or a bare pvc:// URI'
            )
        return found
    if kind is type(None):
        return None
    if kind in TIMES:
        return _time(text, kind)
    try:
        value = json.loads(text)
    except ValueError:
        raise _MismatchError(f"JSON for {_name(kind)}") from None
    return _convert(value, kind)


def _convert(value: Any, kind: Any) -> Any:
    """Decoded JSON as ``kind``; text inside a list is decoded again, since Argo collects outputs as text."""
    kind = bare(kind)
    if kind in (Any, object):
        return value
    options = members(kind)
    if options is not None:
        if type(None) in options and (
            value is None or (value == "null" and "text" not in map(form, options))
        ):
            return None
        same = [o for o in options if quoted(kind) and isinstance(value, str) == (form(o) == "text")]
        return _first_fit(value, same or [o for o in options if o is not type(None)], _convert)
    if isinstance(value, str):
        return _decode(value, kind)
    origin = get_origin(kind) or kind
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str:
        raise _MismatchError("text")
    if kind in (int, float) and isinstance(value, (int, float)) and not isinstance(value, bool):
        if kind is int and isinstance(value, float) and not value.is_integer():
            raise _MismatchError("a whole number")
        try:
            return kind(value)
        except OverflowError:
            raise _MismatchError("a number that a float can hold") from None
    if kind is timedelta and isinstance(value, (int, float)):
        return _time(str(value), kind)
    if origin is Literal and value in get_args(kind):
        return value
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(_choice(json.dumps(value), [m.value for m in kind]))
    if kind is Reference and isinstance(value, Mapping) and isinstance(value.get("uri"), str):
        return Reference(value["uri"], str(value.get("digest", "")))
    if origin in (list, tuple, set, frozenset) and isinstance(value, list):
        return _collection(value, kind, origin)
    if origin is dict and isinstance(value, dict):
        inner = get_args(kind)
        return {_decode(k, inner[0]): _convert(v, inner[1]) for k, v in value.items()} if inner else value
    if isinstance(value, Mapping) and _is_record(kind):
        return _record(value, kind)
    if is_model(kind):
        return _model(value, kind)
    raise _MismatchError(_name(kind))


def _collection(value: list[object], kind: Any, origin: Any) -> Any:
    inner = get_args(kind)
    if has_places(kind):
        if len(inner) != len(value):
            raise _MismatchError(f"a list of {len(inner)}")
        return tuple(_convert(v, k) for v, k in zip(value, inner, strict=True))
    items = [_convert(v, inner[0]) for v in value] if inner else value
    return items if origin is list else origin(items)


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _time(text: str, kind: Any) -> Any:
    try:
        return time_of(text, kind)
    except (ValueError, OverflowError):
        raise _MismatchError("seconds" if kind is timedelta else f"a {kind.__name__} in ISO 8601") from None


def _model(value: object, kind: Any) -> Any:
    """A model of pydantic's, which says itself what is wrong."""
    try:
        return kind.model_validate(value)
    except ValueError as error:
        raise _MismatchError(f"{_name(kind)} ({' '.join(str(error).split())[:300]})") from None


def _record(value: Mapping[str, object], kind: Any) -> Any:
    """A dataclass or NamedTuple from a JSON object."""
    hints = typing.get_type_hints(kind)
    known = field_names(kind)
    for name in value:
        if name not in known:
            raise _MismatchError(f"{_name(kind)}: it has no field {name!r}.{did_you_mean(name, known)}")
    try:
        return kind(**{name: _convert(v, hints.get(name, Any)) for name, v in value.items()})
    except TypeError as error:
        raise _MismatchError(f"{_name(kind)} ({error})") from None


def _first_fit(value: Any, kinds: Sequence[object], convert: Callable[[Any, Any], Any]) -> Any:
    for kind in kinds:
        try:
            return convert(value, kind)
        except _MismatchError:
            continue
    raise _MismatchError(" or ".join(_name(k) for k in kinds))


def _number(text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except ValueError:
        if kind is int and text.endswith(".0") and text[:-2].lstrip("-").isdigit():
            return int(text[:-2])
        raise _MismatchError("a whole number" if kind is int else "a number") from None


def _choice(text: str, choices: Any) -> Any:
    for choice in choices:
        if text == (choice if isinstance(choice, str) else json.dumps(choice)):
            return choice
    names = [str(c) for c in choices]
    raise _MismatchError(f"one of {', '.join(names)}.{did_you_mean(text, names)}")


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"))


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)


def _has_fields(kind: Any) -> bool:
    """Whether it is a dataclass (no Reference), a NamedTuple or a model."""
    return kind is not Reference and (_is_record(kind) or is_model(kind))


def outputs_of(result: Any, declared: Any = None) -> dict[str, str]:
    """A result as texts by output name: a field each of a dataclass, NamedTuple or model, else ``result``; without the
    files among them.

    ``declared``: what the function says that it returns.
    """
    return {
        name: encode(value, name, kind)
        for name, (value, kind) in _values(result, declared).items()
        if file_library(kind) is None
    }


def files_of(result: Any, declared: Any = None) -> dict[str, tuple[Any, str, bool]]:
    """The files of a result, by output name: the value, the library that writes it (empty for a path), and whether it
    may be None."""
    return {
        name: (value, library, optional(kind))
        for name, (value, kind) in _values(result, declared).items()
        if (library := file_library(kind)) is not None
    }


def _values(result: Any, declared: Any) -> dict[str, tuple[Any, Any]]:
    """The outputs and what is declared of each."""
    if file_library(declared) is not None:
        return {named(declared, "result"): (result, bare(declared))}
    declared = bare(declared)
    options = [each for each in members(declared) or () if each is not type(None)]
    if result is None:  # the one output may be None; a record that is not there has none
        there = get_origin(declared) is Literal or (
            options and (len(options) > 1 or not _has_fields(options[0]))
        )
        return {"result": (None, declared)} if there else {}
    if len(options) > 1 or not _has_fields(type(result)):
        return {"result": (result, declared)}
    kinds = typing.get_type_hints(declared, include_extras=True) if isinstance(declared, type) else {}
    return {
        named(kinds.get(name), name.strip("_").replace("_", "-")): (getattr(result, name), kinds.get(name))
        for name in field_names(type(result))
    }


def encode(value: Any, name: str = "value", kind: Any = None) -> str:
    """A value as text: a string as it is (unless its ``kind`` is a union with more), a Reference in its JSON form, the
    rest as compact sorted JSON.

    Raises RefusedError (TIP242) for what has no text, such as a path of this machine.
    """
    if isinstance(value, Reference):
        return str(value)
    try:
        found = plain(value)
        if isinstance(found, str) and not quoted(kind):
            return str(found)
        return json.dumps(
            found, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_rest
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise RefusedError(
            "TIP242",
            f"the output {name!r} cannot be written: {error}",
            cause=f"it is a {type(value).__name__}"
            + (", a path of one machine" if isinstance(value, Path) else ""),
            fix="return str, int, a finite float, bool, list, dict, a dataclass or Reference"
            + (" (a pvc:// or file:// URI instead of a path)" if isinstance(value, Path) else ""),
        ) from None


def _rest(value: Any) -> Any:
    """What only a result may hold, beside what an argument may: a scalar of numpy."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return item()
    raise TypeError(f"{type(value).__name__} has no JSON form")
