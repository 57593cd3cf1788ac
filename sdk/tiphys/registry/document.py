"""The document of one model: its versions, which of them its aliases name, and each change of that.

It is a value: operations (:mod:`tiphys.registry.changes`) make a new one. As text it is JSON, on a cluster in a
ConfigMap, on this machine in a row of a table. The changes that are further back lie in pages
(:mod:`tiphys.registry.audit`), so that the document stays small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from tiphys.errors import RefusedError, StoreError, did_you_mean
from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.jsontypes import Json, JsonObject

__all__ = ["AliasState", "AuditRow", "ModelDocument", "ModelVersion", "as_text"]

_FORMAT = 1


@frozen
class ModelVersion:
    """One version; it never changes. ``report``: numbers and words of its training; ``at``: RFC 3339; ``who``: the
    user, or the workflow."""

    number: int
    uri: str
    digest: str
    run: str = ""
    report: Mapping[str, float | str] = field(default_factory=dict)
    at: str = ""
    who: str = ""

    def json(self) -> JsonObject:
        """As JSON."""
        return {
            "number": self.number, "uri": self.uri, "digest": self.digest, "run": self.run,
            "report": dict(self.report), "at": self.at, "who": self.who,
        }  # fmt: skip


@frozen
class AuditRow:
    """A row of the audit: ``what`` is ``alias``, ``rollback``, ``weights`` or ``default``.

    ``before`` and ``after`` are versions (None: no version), or of ``weights`` what each version has.
    """

    sequence: int
    at: str
    who: str
    what: str
    alias: str
    before: int | Mapping[str, int] | None
    after: int | Mapping[str, int] | None
    why: str = ""

    def json(self) -> JsonObject:
        """As JSON: ``from`` and ``to`` are what was and what is."""
        return {
            "sequence": self.sequence, "at": self.at, "who": self.who, "what": self.what, "alias": self.alias,
            "from": _plain(self.before), "to": _plain(self.after), "why": self.why,
        }  # fmt: skip

    @classmethod
    def of(cls, value: Mapping[str, Json]) -> AuditRow:
        """Of JSON. Raises KeyError, TypeError, ValueError."""
        return cls(
            int(str(value["sequence"])), str(value["at"]), str(value["who"]), str(value["what"]), str(value["alias"]),
            _state(value["from"]), _state(value["to"]), str(value["why"]),
        )  # fmt: skip


def _plain(state: int | Mapping[str, int] | None) -> Json:
    return dict(state) if isinstance(state, Mapping) else state


def _state(value: Json) -> int | Mapping[str, int] | None:
    if isinstance(value, dict):
        return {str(key): int(str(part)) for key, part in value.items()}
    return None if value is None else int(str(value))


@frozen
class AliasState:
    """Where an alias is (None: it was taken away), and its moves that a rollback can still undo, the last one at the
    end: where it was before each."""

    version: int | None
    undo: tuple[int | None, ...] = ()


@frozen
class ModelDocument:
    """All of one model. ``weights``: parts of a hundred of the requests, by version; ``default``: the version that
    answers when the one that is served cannot. ``sequence``: how many changes there were; the first ``archived`` of
    them are in pages, ``changes`` are the others."""

    name: str
    versions: tuple[ModelVersion, ...] = ()
    aliases: Mapping[str, AliasState] = field(default_factory=dict)
    weights: Mapping[int, int] = field(default_factory=dict)
    default: int | None = None
    sequence: int = 0
    archived: int = 0
    changes: tuple[AuditRow, ...] = ()

    def version(self, number: int) -> ModelVersion:
        """A version. Raises RefusedError TIP261."""
        if 1 <= number <= len(self.versions):
            return self.versions[number - 1]
        raise RefusedError(
            "TIP261",
            f"{self.name} has no version {number}",
            cause=f"it has 1 to {len(self.versions)}" if self.versions else "none is registered",
            fix=f"tiphys models versions {self.name}",
        )

    def alias(self, alias: str) -> ModelVersion:
        """The version that an alias names. Raises RefusedError TIP261."""
        state = self.aliases.get(alias)
        if state is None or state.version is None:
            named = [name for name, each in self.aliases.items() if each.version is not None]
            raise RefusedError(
                "TIP261",
                f"{self.name} has no alias {alias!r}.{did_you_mean(alias, named)}",
                fix=f"tiphys models alias {self.name} {alias} VERSION",
            )
        return self.version(state.version)

    def find(self, which: str) -> ModelVersion:
        """The version that ``3`` or ``champion`` means. Raises RefusedError TIP261."""
        return self.version(int(which)) if which.isdecimal() and which.isascii() else self.alias(which)

    def aliases_of(self, number: int) -> list[str]:
        """The aliases that name a version."""
        return sorted(name for name, state in self.aliases.items() if state.version == number)

    def text(self) -> str:
        """As JSON text, the same for the same document."""
        value: JsonObject = {
            "format": _FORMAT,
            "name": self.name,
            "versions": [each.json() for each in self.versions],
            "aliases": {
                name: {"version": state.version, "undo": list(state.undo)}
                for name, state in sorted(self.aliases.items())
            },
            "weights": {str(number): part for number, part in sorted(self.weights.items())},
            "default": self.default,
            "sequence": self.sequence,
            "archived": self.archived,
            "changes": [each.json() for each in self.changes],
        }
        return as_text(value)

    @classmethod
    def read(cls, text: str, name: str) -> ModelDocument:
        """Of its text; an empty text is a model of which nothing is registered. Raises StoreError TIP461."""
        if not text.strip():
            return cls(name)
        try:
            value = json.loads(text)
            if value["format"] != _FORMAT or value["name"] != name:
                raise ValueError(f"format {value['format']} of {value['name']!r}")
            made = cls(
                name,
                tuple(_version(each) for each in value["versions"]),
                {
                    alias: AliasState(_number(each["version"]), tuple(_number(was) for was in each["undo"]))
                    for alias, each in value["aliases"].items()
                },
                {int(number): int(part) for number, part in value["weights"].items()},
                _number(value["default"]),
                int(value["sequence"]),
                int(value["archived"]),
                tuple(AuditRow.of(each) for each in value["changes"]),
            )
            if [each.number for each in made.versions] != [*range(1, len(made.versions) + 1)]:
                raise ValueError("its versions are not numbered one after the other")
            if [each.sequence for each in made.changes] != [*range(made.archived + 1, made.sequence + 1)]:
                raise ValueError("its changes are not numbered one after the other")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(
                "TIP461",
                f"the registry's document of {name} cannot be read: {error}",
                cause="it was changed by hand, or by a later version of tiphys",
            ) from error
        return made


def as_text(value: Json) -> str:
    """JSON that goes through a workflow as it is: no two braces, which Argo takes for a tag, and no dollar sign, which
    the kubelet takes for a variable."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    # all of these are inside strings: two braces never meet elsewhere
    return text.replace("{{", "{\\u007b").replace("$", "\\u0024").replace("\u2060", "\\u2060")


def _number(value: Json) -> int | None:
    return None if value is None else int(str(value))


def _version(value: Mapping[str, Json]) -> ModelVersion:
    report = value["report"]
    if not isinstance(report, dict):
        raise TypeError("a report is no mapping")
    said = {key: part if isinstance(part, int | float) else str(part) for key, part in report.items()}
    number, uri, digest = int(str(value["number"])), str(value["uri"]), str(value["digest"])
    return ModelVersion(number, uri, digest, str(value["run"]), said, str(value["at"]), str(value["who"]))
