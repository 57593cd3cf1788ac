"""Strict decoding: what Argo's and Kubernetes' Go types refuse, and the same data with what they would keep.

Decoding never stops: each problem is noted with its path, the value that caused it is left out (of a bare number or
boolean where text belongs its text is kept), and later rules can trust the types of what remains.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, cast

from tiphys.argo.any_string import any_string
from tiphys.argo.quantity import quantity
from tiphys.argo.schema import Table, table
from tiphys.argo.spec import Path, written
from tiphys.argo.time import is_time
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

T = TypeVar("T", bound=Mapping[str, object])

__all__ = ["Decoder", "Misfit", "as_stored", "check_types", "decode"]

# unknown: no such field. type: wrong type. bare: a bare number or boolean where Go has a string.
# range: does not fit the Go type. shape: the type's own decoder refuses it.
Kind = Literal["unknown", "type", "bare", "range", "shape", "missing"]

_WORDS = {
    "s": "a string",
    "b": "a boolean",
    "i": "an integer",
    "l": "an integer",
    "n": "a number",
    "x": "an integer or a string",
    "q": "a quantity such as 500m or 2Gi",
    "t": "a time such as 2024-01-31T12:00:00Z",
    "v": "a string",
    "a": "a list",
    "m": "a mapping",
    "#": "a mapping",
}


class Misfit(NamedTuple):
    """One value that the type refuses."""

    kind: Kind
    path: Path
    message: str
    known: tuple[str, ...] = ()  # the fields that exist, for near misses
    lax: bool = False  # Argo drops it without a word: inside a step


def decode(data: Json, reference: str, *, required: bool = False) -> tuple[Json, list[Misfit]]:
    """Return (what the type ``reference`` keeps of ``data``, what it refuses)."""
    decoder = Decoder(table(), required)
    value = decoder.value(data, reference)
    return value, decoder.misfits


def check_types(data: object, kind: str) -> None:
    """Refuse what cannot be an object of Argo's ``kind`` (or a ConfigMap), since a part of it is of another type.

    Whoever reads a document that nobody has judged asks this first. Fields that do not exist, and bare numbers where
    text belongs, are no matter here. Raises RefusedError TIP298.
    """
    types = table()
    reference = types.objects["/v1/ConfigMap"] if kind == "ConfigMap" else types.roots[kind]
    plain: Json = json.loads(
        json.dumps(data, default=_plain, skipkeys=True)
    )  # of a list and a dict of any make
    for misfit in decode(plain, reference)[1]:
        if misfit.kind == "type":
            raise RefusedError(
                "TIP298",
                f"this cannot be read as a {kind}: {written(misfit.path) or 'it'}: {misfit.message}",
                fix="give it a value of that type; see `tiphys lint`",
            )


def as_stored(item: T) -> T:
    """An object of one of Argo's kinds with what Go has in place of null: nothing as a field, and in a list or a map
    the empty value of its type; and with the text of a bare number or boolean where Go has a string. Free JSON
    (``withItems``) keeps what it has, and so does the status, which nobody writes by hand."""
    reference = table().roots.get(str(item.get("kind")))
    written_by_hand = {name: each for name, each in item.items() if name != "status"}
    if reference is None:
        return item
    read = cast("JsonObject", _stored(written_by_hand, reference, table()))
    if read == written_by_hand:
        return item
    return cast(T, {**read, **({"status": item["status"]} if item.get("status") is not None else {})})


def _stored(value: object, reference: str, types: Table) -> object:
    head, inner = reference[0], reference[1:]
    if head == "#" and isinstance(value, dict):
        fields = types.fields(reference)
        kept = {name: each for name, each in value.items() if each is not None}
        return {name: _stored(each, fields.get(name, "*"), types) for name, each in kept.items()}
    if head == "a" and isinstance(value, list):
        return [_empty(inner) if each is None else _stored(each, inner, types) for each in value]
    if head == "m" and isinstance(value, dict):
        return {
            name: _empty(inner) if each is None else _stored(each, inner, types)
            for name, each in value.items()
        }
    if head == "s" and isinstance(value, bool | int | float):
        return any_string(value)
    return value


def _empty(reference: str) -> Json:
    empty: dict[str, Json] = {"#": {}, "m": {}, "a": [], "s": "", "b": False, "i": 0, "l": 0, "n": 0}
    return empty.get(reference[0])


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


class Decoder:
    """One pass over one object. ``required`` also reports required fields that are absent."""

    def __init__(self, types: Table, required: bool = False) -> None:
        self.types = types
        self.check_required = required
        self.misfits: list[Misfit] = []
        self.path: list[str | int] = []
        self.lax = False
        self.step = types.roots["WorkflowStep"]
        self.plain = types.roots["Workflow"]

    def value(self, data: Json, reference: str) -> Json:
        """Return what the type keeps of ``data``; None where nothing is left."""
        if data is None:
            return None
        kind = reference[0]
        if kind == "#":
            return self.struct(data, reference)
        if kind == "a":
            return self.sequence(data, reference[1:])
        if kind == "m":
            return self.mapping(data, reference[1:])
        return self.scalar(data, kind)

    def struct(self, data: Json, reference: str) -> JsonObject | None:
        if type(data) is not dict:
            self.wrong(data, "#")
            return None
        fields = self.types.structs[int(reference[1:])]
        kept: JsonObject = {}
        path = self.path
        was_lax = self.lax
        in_step = reference == self.step
        for name, value in data.items():
            wanted = fields.get(name)
            if wanted is None and was_lax and not in_step:  # the loose decoder ignores case
                name, wanted = self.folded(name, fields)
            if wanted is None:
                path.append(name)
                self.note("unknown", f"there is no field {name!r} here", tuple(fields), strict=in_step)
                path.pop()
            elif wanted == "s" and type(value) is str:
                kept[name] = value
            elif value is not None:
                path.append(name)
                if in_step:
                    self.lax = True  # a step has its own decoder, which looks at its first level only
                value = self.value(value, wanted)
                self.lax = was_lax
                if value is not None:
                    kept[name] = value
                path.pop()
        if self.check_required:
            self.absent(data, reference)
        return kept

    def folded(self, name: str, fields: dict[str, str]) -> tuple[str, str | None]:
        for field, wanted in fields.items():
            if field.lower() == name.lower():
                self.path.append(name)
                self.note("unknown", f"there is no field {name!r} here", (field,))
                self.path.pop()
                return field, wanted
        return name, None

    def absent(self, data: Mapping[str, object], reference: str) -> None:
        for name in self.types.required[int(reference[1:])]:
            if data.get(name) is None:
                self.note("missing", f"the field {name!r} is required here")

    def sequence(self, data: Json, item: str) -> list[Json] | None:
        if type(data) is not list:
            self.wrong(data, "a")
            return None
        kept: list[Json] = []
        for index, value in enumerate(data):
            self.path.append(index)
            kept.append(self.value(value, item))
            self.path.pop()
        if item[0] == "#":  # Go keeps a null item as a zero struct
            kept = [{} if value is None else value for value in kept]
        elif item == "s":
            kept = ["" if value is None else value for value in kept]
        elif item[0] == "a":
            kept = [[] if value is None else value for value in kept]
        return kept

    def mapping(self, data: Json, item: str) -> JsonObject | None:
        if type(data) is not dict:
            self.wrong(data, "m")
            return None
        kept: JsonObject = {}
        for name, value in data.items():
            self.path.append(name)
            inner = self.value(value, item)
            self.path.pop()
            if inner is None and value is None:
                inner = "" if item == "s" else {} if item[0] == "#" else None
            if inner is not None:
                kept[name] = inner
        return kept

    def scalar(self, data: Json, kind: str) -> Json:
        if kind == "*":
            return data
        if kind == "v":
            return any_string(data)
        sort = type(data)
        if kind == "s":
            if sort is str:
                return data
            if sort is dict or sort is list:
                return self.wrong(data, "s")
            words = "a boolean" if sort is bool else "a number"
            self.note("bare", f"{self.name()} is {words} ({any_string(data)}), but must be a string")
            return any_string(data)  # as it is stored (see as_stored): the other rules judge what runs
        if kind == "b":
            return data if sort is bool else self.wrong(data, "b")
        if kind in "ilx":
            if kind == "x" and sort is str:
                return data
            if type(data) is not int:
                return self.wrong(data, kind)
            bits = 63 if kind == "l" else 31
            if not -(2**bits) <= data < 2**bits:
                self.note("range", f"{self.name()} does not fit {bits + 1} bits")
                return None
            return data
        if kind == "n":
            return data if sort in (int, float) else self.wrong(data, "n")
        if kind == "q":
            return self.quantity(data)
        if kind == "t":
            if type(data) is str and is_time(data):
                return data
            return self.wrong(data, "t")
        return data

    def quantity(self, data: Json) -> Json:
        if type(data) in (int, float):
            return any_string(data)
        if type(data) is str:
            try:
                quantity(data)
            except ValueError:
                self.note("shape", f"{self.name()}: {data!r} is not a quantity such as 500m or 2Gi")
                return None
            return data
        return self.wrong(data, "q")

    def wrong(self, data: Json, kind: str) -> Json:
        """Note a value of the wrong type: nothing is kept of it."""
        found = (
            "a mapping"
            if isinstance(data, dict)
            else "a list"
            if isinstance(data, list)
            else "a boolean"
            if isinstance(data, bool)
            else "a number"
            if isinstance(data, int | float)
            else "a string"
        )
        self.note("type", f"{self.name()} is {found}, but must be {_WORDS[kind]}")
        return None

    def name(self) -> str:
        """The nearest field name on the path."""
        for step in reversed(self.path):
            if isinstance(step, str):
                return f"{step!r}"
        return "the value"

    def note(self, kind: Kind, message: str, known: tuple[str, ...] = (), *, strict: bool = False) -> None:
        lax = self.lax and kind == "unknown" and not strict
        self.misfits.append(Misfit(kind, tuple(self.path), message, known, lax))
