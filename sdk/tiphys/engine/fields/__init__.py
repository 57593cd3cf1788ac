"""What the local engine makes of every field of a Workflow: done, without effect, or refused.

The table is ``table.txt`` beside this file; a test holds it against the schema of Argo 4.1.2, so that a field nobody
thought of fails the test. docs/fields.md is made of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tiphys.argo.schema import Table, table
from tiphys.frozen import frozen
from tiphys.lazy import regex

__all__ = ["Entry", "Kind", "Type", "Use", "page", "types", "unclassified", "uses"]

Kind = Literal["done", "none", "refused"]
# the words of the table's "refused" lines
CODES = {"volume": "TIP223", "plugin": "TIP231", "kubelet": "TIP272"}
_STRUCT = regex(r"#\d+")


@frozen
class Entry:
    """One field: what is made of it, and why."""

    kind: Kind
    note: str = ""
    code: str = ""


@dataclass(slots=True)
class Type:
    """The fields of one type of the schema. ``struct`` is its reference there, ``path`` one place where it stands."""

    name: str
    path: str
    struct: str
    fields: dict[str, Entry] = field(default_factory=dict)


@frozen
class Use:
    """A field that a workflow uses."""

    path: str
    entry: Entry


@functools.cache
def types() -> dict[str, Type]:
    """Every type of the table, by its reference in the schema."""
    schema = table()
    found: dict[str, Type] = {}
    current: Type | None = None
    for line in Path(__file__).with_name("table.txt").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            name, _, path = line[1:].partition("] ")
            current = Type(name, path, _resolve(schema, path))
            if current.struct in found:
                raise ValueError(f"{path}: is the same type as {found[current.struct].path}")
            found[current.struct] = current
            continue
        assert current is not None
        words, _, note = line.partition(" | ")
        kind, *names = words.split()
        code = CODES[names.pop(0)] if kind == "refused" else ""
        for name in names:
            if name in current.fields:
                raise ValueError(f"{current.path}.{name} stands twice")
            current.fields[name] = Entry(kind, note, code)  # type: ignore[arg-type]
    return found


def unclassified() -> list[str]:
    """What is wrong with the table: fields and types of the schema that it does not have, and what it has too much."""
    schema, known, problems = table(), types(), []
    for each in known.values():
        have = set(schema.fields(each.struct))
        problems += [f"{each.path}.{name} is not classified" for name in sorted(have - set(each.fields))]
        problems += [f"{each.path}.{name} is no field of Argo" for name in sorted(set(each.fields) - have)]
        for name, reference in schema.fields(each.struct).items():
            entry = each.fields.get(name)
            inner = _STRUCT.search(reference)
            if entry is not None and entry.kind == "done" and inner and inner[0] not in known:
                problems.append(f"the type of {each.path}.{name} is not in the table")
    return problems


def uses(spec: Mapping[str, object], where: str = "spec", *, kind: Kind | None = None) -> Iterator[Use]:
    """The fields that a workflow's spec uses and that are refused or without effect (or only those of one kind), in
    the order of the spec."""
    schema = table()
    kinds = frozenset({kind} if kind else {"refused", "none"})
    yield from _walk(spec, schema.fields(schema.roots["Workflow"])["spec"], where, kinds)


def _walk(value: object, reference: str, where: str, kinds: frozenset[str]) -> Iterator[Use]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, reference, f"{where}[{index}]", kinds)
        return
    if not isinstance(value, Mapping):
        return
    struct = reference[reference.index("#") :]
    if reference.startswith("m"):
        for key, item in value.items():
            yield from _walk(item, struct, f"{where}.{key}", kinds)
        return
    telling = _telling(kinds)[struct]
    for name, inner in value.items():
        found = telling.get(name)
        if found is None or inner in (None, False, "", [], {}):
            continue
        entry, below = found
        if entry.kind in kinds:
            yield Use(f"{where}.{name}", entry)
        else:
            yield from _walk(inner, below, f"{where}.{name}", kinds)


@functools.cache
def _telling(kinds: frozenset[str]) -> dict[str, dict[str, tuple[Entry, str]]]:
    """Of each type the fields that are of such a kind, or below which there is one; with the field's reference."""
    schema, known = table(), types()
    result: dict[str, dict[str, tuple[Entry, str]]] = {struct: {} for struct in known}
    grown = True
    while grown:
        grown = False
        for struct, each in known.items():
            for name, entry in each.fields.items():
                if name in result[struct]:
                    continue
                below = schema.fields(struct)[name]
                inner = _STRUCT.search(below)
                if entry.kind in kinds or (entry.kind == "done" and inner and result[inner[0]]):
                    result[struct][name] = (entry, below)
                    grown = True
    return result


def page() -> str:
    """The table as a page for people, in Markdown."""
    lines = [
        "# What has an effect on this machine",
        "",
        "<!-- generated by `python -m tiphys.engine.fields`; do not edit -->",
        "",
        "`tiphys run` does what a Workflow says, or refuses it before anything runs. What can mean nothing on one",
        "machine is listed here. The list is complete: a test holds it against the schema of Argo 4.1.2, field by",
        "field, and below fields without effect nothing is looked at.",
        "",
        "A field that Argo does not have (misspelt, or gone since version 3, as `mutex` and `semaphore`) is refused",
        "with TIP288, as by `argo submit`; `--lenient` drops it, as `kubectl apply` does.",
        "",
        "## Refused",
        "",
        "| where | fields | code | why |",
        "|---|---|---|---|",
        *_rows("refused"),
        "",
        "## Without effect",
        "",
        "| where | fields | why |",
        "|---|---|---|",
        *_rows("none"),
        "",
        "## Done",
        "",
        "All other fields mean what they mean on a cluster. With these there is something to know:",
        "",
        "| where | fields | note |",
        "|---|---|---|",
        *_rows("done"),
        "",
    ]
    return "\n".join(lines)


def _rows(kind: Kind) -> list[str]:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in types().values():
        fields: dict[tuple[str, str], list[str]] = {}
        for name, entry in each.fields.items():
            if entry.kind == kind and (entry.note or kind != "done"):
                fields.setdefault((entry.code, entry.note), []).append(f"`{name}`")
        for (code, note), names in fields.items():
            rows.setdefault((" ".join(names), code, note), []).append(each.name.lower())
    return [
        f"| {', '.join(places)} | {names} | {code + ' | ' if kind == 'refused' else ''}{note} |"
        for (names, code, note), places in rows.items()
    ]


def _resolve(schema: Table, path: str) -> str:
    """The reference of the type that stands at a path of the Workflow's schema."""
    reference = schema.roots["Workflow"]
    for part in path.split("."):
        found = _STRUCT.search(schema.fields(reference)[part])
        if found is None:
            raise ValueError(f"{path}: {part} is no object")
        reference = found[0]
    return reference
