"""How an embedded step makes a value of its JSON where that is no simple call: times, models, unions, nested types.

Each converter is Python source of one that takes decoded JSON. What Argo collects of a loop is a list of texts, so an
object or a list inside one may be text once more.
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any, get_args, get_origin

from tiphys.dsl.types import Field, is_record
from tiphys.reference import Reference
from tiphys.step.kinds import TIMES, field_names, form, is_model, members, quoted, unwrap

__all__ = ["READ", "classes_of", "converter", "is_rich", "plain", "writes_rich"]

_TIME = "tiphys_datetime"
READ = """\
def tiphys_read(text):
    try:
        return json.loads(text)
    except ValueError:
        return text"""
"""What reads a text that is JSON, or not."""
_PLAIN = f"""\
def tiphys_plain(value):
    if isinstance(value, {_TIME}.date):
        return value.isoformat()
    if isinstance(value, {_TIME}.timedelta):
        return value.total_seconds()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return value.value if hasattr(value, "_value_") else vars(value)"""
_SLOTS = "{name: getattr(value, name) for name in value.__dataclass_fields__}"


def plain(outputs: Iterable[Field]) -> str:
    """What makes JSON of what has none, and is one of these or in it. (Without slots ``vars`` is as good, and what was
    compiled before stays as it is.)"""
    return _PLAIN.replace("vars(value)", _SLOTS) if any(_has_slots(f.type) for f in outputs) else _PLAIN


def _has_slots(kind: Any) -> bool:
    """Whether it is or holds a dataclass whose instances have no ``__dict__``."""
    kind = unwrap(kind)
    if is_record(kind):
        own = dataclasses.is_dataclass(kind) and getattr(kind, "__dictoffset__", 1) == 0
        return own or any(map(_has_slots, typing.get_type_hints(kind).values()))
    return any(map(_has_slots, get_args(kind)))


def is_rich(kind: Any, *, nested: bool = False, read: bool = True) -> bool:
    """Whether a type is or holds a time, a model, a union, an enum inside another, or a record in a record;
    ``read``: or what a loop may have collected as text."""
    if (
        read
        and nested
        and (members(kind) is not None or get_origin(kind) in (list, tuple))
        and _converts(kind)
    ):
        return True
    kind = unwrap(kind)
    if kind in TIMES or is_model(kind) or members(kind) is not None:
        return True
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return nested
    if is_record(kind):
        hints = typing.get_type_hints(kind)
        return nested or any(is_rich(hints.get(f, Any), nested=True, read=read) for f in field_names(kind))
    inner = get_args(kind)
    if get_origin(kind) in (list, tuple) and len(inner) == 1 and is_record(unwrap(inner[0])):
        return is_rich(inner[0], read=read)
    return get_origin(kind) in (list, tuple, dict) and any(
        is_rich(each, nested=True, read=read) for each in inner
    )


def _converts(kind: Any) -> bool:
    """Whether JSON inside an optional type, or inside a list, is not the value by itself."""
    inside = get_args(kind) if get_origin(kind) in (list, tuple) else (unwrap(kind),)
    return any(converter(each) for each in inside if each is not Ellipsis)


def writes_rich(kind: Any) -> bool:
    """Whether an output is or holds what JSON has no form for by itself."""
    kind = unwrap(kind)
    return (
        is_rich(kind, read=False)
        or _has_slots(kind)
        or (isinstance(kind, type) and issubclass(kind, enum.Enum))
    )


def classes_of(kind: Any) -> Iterator[str]:
    """The names of the classes that a converter calls."""
    kind = unwrap(kind)
    if is_model(kind) or is_record(kind) or (isinstance(kind, type) and issubclass(kind, enum.Enum)):
        yield kind.__name__
    if is_record(kind):
        hints = typing.get_type_hints(kind)
        for name in field_names(kind):
            yield from classes_of(hints.get(name, Any))
    for inner in get_args(kind):
        yield from classes_of(inner)


def converter(kind: Any) -> str:
    """The source of a function of decoded JSON; empty where the JSON is the value."""
    options = members(kind)
    if options is not None:
        return _union(kind, options)
    kind = unwrap(kind)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if kind in (int, float):
        return str(kind.__name__)
    if kind is bool:
        return "lambda value: value in (True, 'true')"
    if kind in (datetime, date):
        return f"{_TIME}.{kind.__name__}.fromisoformat"
    if kind is timedelta:
        return f"lambda value: {_TIME}.timedelta(seconds=float(value))"
    if kind is Reference:
        return "lambda value: Reference.parse(value if isinstance(value, str) else json.dumps(value))"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind.__name__
    read = "(json.loads(value) if isinstance(value, str) else value)"
    if is_model(kind):
        return f"lambda value: {kind.__name__}.model_validate({read})"
    if is_record(kind):
        return _record(kind, read)
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        each = ", ".join(_call(k, f"value[{number}]") for number, k in enumerate(inner))
        return f"lambda value: (lambda value: ({each},))({read})"
    if origin in (list, tuple, set, frozenset):
        made = f"[{_call(inner[0], 'value')} for value in {read}]" if inner else read
        return f"lambda value: {made if origin is list else f'{origin.__name__}({made})'}"
    if origin is dict and len(inner) == 2:
        return f"lambda value: {{key: {_call(inner[1], 'value')} for key, value in {read}.items()}}"
    return ""


def _call(kind: Any, value: str) -> str:
    made = converter(kind)
    return value if not made else f"({made})({value})" if made.startswith("lambda") else f"{made}({value})"


def _record(kind: Any, read: str) -> str:
    hints = typing.get_type_hints(kind)
    made = {name: converter(hints.get(name, Any)) for name in field_names(kind)}
    parts = ", ".join(f"{name!r}: {source}" for name, source in made.items() if source)
    if not parts:
        return f"lambda value: {kind.__name__}(**{read})"
    convert = f"{{{parts}}}"
    return (
        f"lambda value: {kind.__name__}(**{{name: {convert}.get(name, lambda value: value)(value) "
        f"for name, value in {read}.items()}})"
    )


_TESTS = {
    "text": "isinstance(value, str)",
    "boolean": "isinstance(value, bool)",
    "list": "isinstance(value, list)",
    "object": "isinstance(value, dict)",
}


def _union(kind: Any, options: tuple[Any, ...]) -> str:
    """By the kind of JSON: what has a test of its own, and then the one member that has none, if any."""
    numbers = {int, float} <= set(options)  # JSON has told them apart
    rest = [each for each in options if each is not type(None) and not (numbers and each is float)]
    *tested, last = sorted(rest, key=lambda each: form(each) not in _TESTS)
    text = _call(last, "value")
    if numbers and last is int:
        text = "value" if quoted(kind) else "(json.loads(value) if isinstance(value, str) else value)"
    for each in reversed(tested):
        text = f"{_call(each, 'value')} if {_TESTS[form(each)]} else {text}"
    # a loop collects texts, and of None that is ``null``
    nothing = "value is None" if "text" in map(form, rest) else "value in (None, 'null')"
    return f"lambda value: None if {nothing} else {text}"
