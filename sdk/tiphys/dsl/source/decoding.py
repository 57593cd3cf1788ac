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
from typing import Any, Literal, get_args, get_origin

from tiphys.argo.parameters import json_text
from tiphys.dsl.types import Field, is_record
from tiphys.reference import Reference
from tiphys.step.kinds import TIMES, bare, field_names, form, has_places, is_model, members, quoted, unwrap

__all__ = [
    "OBJECTS",
    "READ",
    "choice",
    "classes_of",
    "converter",
    "converters",
    "is_rich",
    "plain",
    "writes_objects",
    "writes_rich",
]

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
_DECODED = "(json.loads(value) if isinstance(value, str) else value)"
_SLOTS = "{name: getattr(value, name) for name in value.__dataclass_fields__}"
OBJECTS = f"""\
def tiphys_objects(value):
    if hasattr(value, "_value_"):
        return value.value
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif hasattr(value, "__dataclass_fields__"):
        value = {_SLOTS}
    if isinstance(value, dict):
        return {{tiphys_name(name): tiphys_objects(each) for name, each in value.items()}}
    if isinstance(value, (set, frozenset)):
        return sorted(map(tiphys_objects, value), key=lambda each: repr(each) if isinstance(each, dict) else each)
    return [tiphys_objects(each) for each in value] if isinstance(value, (list, tuple)) else value

def tiphys_name(name):
    return name.isoformat() if hasattr(name, "isoformat") else tiphys_objects(name)"""
"""What makes JSON of what json writes otherwise, or not, wherever it is: NamedTuples, sets, names that are no text."""


def plain(outputs: Iterable[Field]) -> str:
    """What makes JSON of what has none, and is one of these or in it. (Without slots ``vars`` is as good, and what was
    compiled before stays as it is.)"""
    return _PLAIN.replace("vars(value)", _SLOTS) if any(_has_slots(f.type) for f in outputs) else _PLAIN


def _has_slots(kind: Any) -> bool:
    """Whether it is or holds a dataclass whose instances have no ``__dict__``."""
    return any(
        dataclasses.is_dataclass(each) and getattr(each, "__dictoffset__", 1) == 0 for each in _parts(kind)
    )


def _parts(kind: object, known: set[object] | None = None) -> Iterator[object]:
    """A type and what is in it at any depth, each record once: a record may hold itself, as a tree does."""
    kind, known = unwrap(kind), set() if known is None else known
    if not is_record(kind):
        yield kind
        for inner in get_args(kind):
            yield from _parts(inner, known)
    elif kind not in known:
        known.add(kind)
        yield kind
        for inner in _fields(kind).values():
            yield from _parts(inner, known)


def _fields(kind: Any) -> dict[str, object]:
    """The types of the fields of a record."""
    hints = typing.get_type_hints(kind)
    return {name: hints.get(name, Any) for name in field_names(kind)}


def _holds_itself(kind: Any) -> bool:
    """Whether a record is in its own fields."""
    return any(kind in _parts(inner) for inner in _fields(kind).values())


def is_rich(
    kind: Any, *, nested: bool = False, read: bool = True, within: frozenset[object] = frozenset()
) -> bool:
    """Whether a type is or holds a time, a model, a union, an enum inside another, or a record in a record;
    ``read``: or what a loop may have collected as text. ``within``: records that are being looked at."""
    kind = bare(kind)
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
        if nested or kind in within:
            return nested
        within |= {kind}
        return any(is_rich(each, nested=True, read=read, within=within) for each in _fields(kind).values())
    inner = get_args(kind)
    if get_origin(kind) in (list, tuple) and len(inner) == 1 and is_record(unwrap(inner[0])):
        return is_rich(inner[0], read=read, within=within)
    if read and (_is_set(kind) or has_places(kind) or _converts_names(kind)):
        return True
    return get_origin(kind) in (list, tuple, set, frozenset, dict) and any(
        is_rich(each, nested=True, read=read, within=within) for each in inner
    )


def _is_set(kind: Any) -> bool:
    return (get_origin(kind) or kind) in (set, frozenset)


def _converts_names(kind: Any) -> bool:
    """Whether the names of a JSON object are not the keys of the mapping by themselves."""
    return get_origin(kind) is dict and _key(get_args(kind)[0], "key") != "key"


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


def writes_objects(kind: Any) -> bool:
    """Whether an output is or holds a NamedTuple, a set, or a mapping whose keys json does not write."""
    return any(_is_object(each) for each in _parts(kind))


def _is_object(kind: Any) -> bool:
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin is dict and inner:
        key = unwrap(inner[0])
        return key in TIMES or (isinstance(key, type) and issubclass(key, enum.Enum))
    return _is_set(kind) or (is_record(kind) and issubclass(kind, tuple))


def classes_of(kind: Any) -> Iterator[str]:
    """The names of the classes that a converter calls."""
    for each in _parts(kind):
        if isinstance(each, type) and (is_model(each) or is_record(each) or issubclass(each, enum.Enum)):
            yield each.__name__


def converters(kind: Any) -> Iterator[str]:
    """The sources of the functions that a converter calls by name: one for each record that holds itself."""
    for each in _parts(kind):
        if is_record(each) and _holds_itself(each):
            yield f"def {_name(each)}(value):\n    return ({_record(each)})(value)"


def _name(kind: Any) -> str:
    return f"tiphys_as_{kind.__name__}"


def converter(kind: Any) -> str:
    """The source of a function of decoded JSON; empty where the JSON is the value."""
    kind = bare(kind)
    options = members(kind)
    if options is not None:
        return _union(kind, options)
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
    if is_model(kind):
        return f"lambda value: {kind.__name__}.model_validate({_DECODED})"
    if is_record(kind):
        return _name(kind) if _holds_itself(kind) else _record(kind)
    if has_places(kind):
        each = ", ".join(_call(k, f"value[{number}]") for number, k in enumerate(inner))
        return f"lambda value: (lambda value: ({each},))({_DECODED})"
    if origin in (list, tuple, set, frozenset):
        made = f"[{_call(inner[0], 'value')} for value in {_DECODED}]" if inner else _DECODED
        return f"lambda value: {made if origin is list else f'{origin.__name__}({made})'}"
    if origin is dict and len(inner) == 2:
        key = _key(inner[0], "key")
        return f"lambda value: {{{key}: {_call(inner[1], 'value')} for key, value in {_DECODED}.items()}}"
    return ""


def choice(kind: Any, text: str) -> str:
    """An expression for one of the values of a Literal whose types differ, by its text."""
    return f"{ {json_text(each): each for each in get_args(kind)}!r}[{text}]"


def _key(kind: Any, name: str) -> str:
    """An expression for a key of a mapping, by its name in JSON."""
    kind = unwrap(kind)
    if get_origin(kind) is Literal:
        kind = type(get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"{kind.__name__}({_key(type(next(iter(kind)).value), name)})"
    return name if kind in (str, Any, object) else _call(kind, name)


def _call(kind: Any, value: str) -> str:
    made = converter(kind)
    return value if not made else f"({made})({value})" if made.startswith("lambda") else f"{made}({value})"


def _record(kind: Any) -> str:
    made = {name: converter(each) for name, each in _fields(kind).items()}
    parts = ", ".join(f"{name!r}: {source}" for name, source in made.items() if source)
    if not parts:
        return f"lambda value: {kind.__name__}(**{_DECODED})"
    convert = f"{{{parts}}}"
    return (
        f"lambda value: {kind.__name__}(**{{name: {convert}.get(name, lambda value: value)(value) "
        f"for name, value in {_DECODED}.items()}})"
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
