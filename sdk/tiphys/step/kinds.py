"""What the types of a component are as JSON: times, models of pydantic, and which member of a union a value is.

A time is ISO 8601, a duration its seconds, a model its JSON object. A union is told apart by the kind of its JSON, so
its members must differ in that; text in a union with other kinds travels in quotes, or ``"5"`` would come as 5.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections import abc
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tiphys.reference import Reference

__all__ = [
    "HERA_ARTIFACT",
    "INPUT_PREFIX",
    "LAST_WORDS_ENV",
    "TIMES",
    "as_json",
    "bare",
    "field_names",
    "file_format",
    "file_library",
    "form",
    "has_places",
    "input_variable",
    "is_model",
    "members",
    "named",
    "optional",
    "plain",
    "quoted",
    "time_of",
    "unwrap",
]

TIMES = (datetime, date, timedelta)
_PLAIN = frozenset({str, int, float, bool, type(None)})
_ABSTRACT: abc.Mapping[object, Any] = {
    abc.Collection: list,
    abc.Iterable: list,
    abc.Sequence: list,
    abc.MutableSequence: list,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
    abc.Set: set,
    abc.MutableSet: set,
}
_FORMS = {bool: "boolean", int: "number", float: "number", timedelta: "seconds", str: "text"}


INPUT_PREFIX = "TIPHYS_INPUT_"
LAST_WORDS_ENV = "TIPHYS_TERMINATION_LOG"  # names the file for why a step failed, its container's message
HERA_ARTIFACT = "hera.workflows.artifact"
"""The module of Hera's ``Artifact``, which is not imported."""
_FILES = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "Table", "numpy": "ndarray"}


def input_variable(name: str) -> str:
    """The variable of a step's environment that holds the input of that name in Python."""
    return INPUT_PREFIX + name.strip("_").upper()


def file_library(kind: Any) -> str | None:
    """The library of a table or an array, which travels as a file; empty for a ``Path``, None for what travels as text.
    No library is imported for that."""
    if kind is str or kind is int or kind is float or kind is bool:
        return None
    kind = unwrap(kind)
    kind = get_origin(kind) or kind
    if kind is Path:
        return ""
    if not isinstance(kind, type):
        return None
    library = kind.__module__.partition(".")[0]
    return library if kind.__qualname__ == _FILES.get(library) else None


def file_format(kind: Any) -> str | None:
    """What is in the file: ``parquet`` (a table), ``npy`` (an array), empty for a ``Path`` (whatever its author has put
    there); None for what travels as text."""
    library = file_library(kind)
    return ("npy" if library == "numpy" else "parquet") if library else library


def bare(kind: Any) -> Any:
    """Without ``Annotated``; of a ``NewType`` what it is made of, of an abstract collection the one that JSON has."""
    if get_origin(kind) is typing.Annotated:
        return bare(get_args(kind)[0])
    if isinstance(kind, typing.NewType):
        return bare(kind.__supertype__)
    origin = get_origin(kind) or kind
    concrete = _ABSTRACT.get(origin) if isinstance(origin, type) else None
    return kind if concrete is None else concrete[get_args(kind)] if get_args(kind) else concrete


def unwrap(kind: Any) -> Any:
    """As :func:`bare`, and without ``Optional``."""
    kind = bare(kind)
    rest = [each for each in members(kind) or () if each is not type(None)]
    return unwrap(rest[0]) if len(rest) == 1 else kind


def optional(kind: Any) -> bool:
    """Whether None is a value of it."""
    return type(None) in (members(bare(kind)) or ())


def members(kind: Any) -> tuple[Any, ...] | None:
    """The members of a union, or None."""
    return get_args(kind) if get_origin(kind) in (typing.Union, types.UnionType) else None


def has_places(kind: Any) -> bool:
    """Whether it is a tuple whose members have types of their own: ``tuple[int, str]``."""
    return get_origin(kind) is tuple and get_args(kind)[-1:] not in ((), (Ellipsis,))


def named(kind: Any, usual: str) -> str:
    """The name in the workflow of an input or output: of a file the one that Hera's ``Annotated[Path,
    Artifact(name="scores")]`` gives it, else the ``usual``."""
    if get_origin(kind) is typing.Annotated and file_library(kind) is not None:
        for said in kind.__metadata__:
            if type(said).__module__ == HERA_ARTIFACT and said.name:
                return str(said.name)
    return usual


def is_model(kind: Any) -> bool:
    """Whether it is a model of pydantic's, which is not imported for that."""
    return isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_fields")


def field_names(kind: Any) -> list[str]:
    """The names of the fields of a model, a dataclass or a NamedTuple, as its author writes them."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(kind.model_fields if is_model(kind) else kind._fields)


def form(kind: Any) -> str:
    """The kind of JSON that a value is: ``text``, ``number``, ``seconds``, ``boolean``, ``null``, ``list``,
    ``object``; empty when the type does not say."""
    kind = bare(kind)
    origin = get_origin(kind) or kind
    if origin is Literal:
        found = {form(type(choice)) for choice in get_args(kind)}
        return found.pop() if len(found) == 1 else ""
    if kind is type(None):
        return "null"
    if kind in _FORMS:
        return _FORMS[kind]
    if kind in (datetime, date):
        return "text"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        found = {form(type(member.value)) for member in kind}
        return found.pop() if len(found) == 1 else ""
    if origin in (list, set, frozenset, tuple):
        return "list"
    if kind is Any or kind is object or members(kind) is not None:
        return ""
    return (
        "list"
        if isinstance(kind, type) and issubclass(kind, tuple) and not hasattr(kind, "_fields")
        else "object"
    )


def quoted(kind: Any) -> bool:
    """Whether text of this type travels as JSON: in a union that has other kinds than text."""
    forms = {form(each) for each in members(kind) or ()} - {"null"}
    return "text" in forms and len(forms) > 1


def time_of(text: str, kind: Any) -> Any:
    """A time from its text. Raises ValueError."""
    return timedelta(seconds=float(text)) if kind is timedelta else kind.fromisoformat(text)


def as_json(value: Any) -> Any:
    """A time, a duration or a model as what JSON has; anything else as it is."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.model_dump(mode="json") if is_model(type(value)) else value


def plain(value: Any) -> Any:
    """Dataclasses, NamedTuples, enums, references, times and models, and lists, sets and mappings of them, as what JSON
    has; anything else as it is. (``json`` would write a NamedTuple as a list, which nobody reads as one.)

    A set is the list of its values in order, records by how they look. Raises TypeError where they have none.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Reference):
        return {"digest": value.digest, "uri": value.uri}
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=lambda each: repr(each) if isinstance(each, dict) else each)
    if isinstance(value, abc.Mapping):
        return {name if type(name) is str else plain(name): plain(each) for name, each in value.items()}
    return as_json(value)
