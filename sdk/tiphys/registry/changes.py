"""What can be done to the document of a model: each gives a new document, or the same one where nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tiphys.errors import RefusedError
from tiphys.frozen import frozen
from tiphys.registry.document import AliasState, AuditRow, ModelDocument, ModelVersion
from tiphys.registry.names import check_alias

__all__ = ["MOST_UNDONE", "By", "Problem", "put_default", "put_weights", "register", "rollback", "to_alias"]

MOST_UNDONE = 100  # moves of an alias that can be taken back
_LONGEST_WHY = 300
_MOST_SAID = 1000  # bytes of a report

Problem = Callable[[ModelVersion], str]
"""Why a version's folder cannot be served (it is gone, or was changed), or an empty string."""


@frozen
class By:
    """Who changes something, when (RFC 3339), and why."""

    who: str
    at: str
    why: str = ""


def register(
    document: ModelDocument,
    uri: str,
    digest: str,
    by: By,
    *,
    run: str = "",
    report: Mapping[str, float | str] | None = None,
) -> tuple[ModelDocument, ModelVersion]:
    """A new version, or the one that has this URI and digest already. Raises RefusedError TIP268 for a long report."""
    for each in document.versions:
        if (each.uri, each.digest) == (uri, digest):
            return document, each
    said = dict(report or {})
    if sum(len(f"{key}{value}".encode()) for key, value in said.items()) > _MOST_SAID:
        raise RefusedError(
            "TIP268",
            f"the report of {uri} is longer than {_MOST_SAID} bytes",
            fix="give what models are compared by; the rest is in the records of the run",
        )
    made = ModelVersion(len(document.versions) + 1, uri, digest, run, said, by.at, by.who)
    return replace(document, versions=(*document.versions, made)), made


def to_alias(
    document: ModelDocument, alias: str, version: int | None, by: By, *, problem: Problem = lambda version: ""
) -> ModelDocument:
    """The alias names another version; None takes it away.

    Raises RefusedError: TIP260 for its name, TIP261 for a version that there is not, TIP263 for one whose folder is
    gone or was changed.
    """
    check_alias(alias)
    state = document.aliases.get(alias) or AliasState(None)
    if version is not None:
        _whole(document, version, problem)
    if state.version == version:
        if version is None:
            document.alias(alias)
        return document
    undo = (*state.undo, state.version)[-MOST_UNDONE:]
    return _moved(document, alias, AliasState(version, undo), "alias", by)


def rollback(
    document: ModelDocument, alias: str, by: By, *, problem: Problem = lambda version: ""
) -> ModelDocument:
    """The alias is where it was before its last move that was not taken back already.

    Raises RefusedError: TIP261 for an alias that there is not, TIP262 where it was nowhere before, TIP263 when the
    folder of the version that it was at is gone or was changed.
    """
    state = document.aliases.get(alias)
    if state is None:
        document.alias(alias)
        raise AssertionError("unreachable")
    if not state.undo or state.undo[-1] is None:
        raise RefusedError(
            "TIP262",
            f"there is nothing to roll {document.name}@{alias} back to",
            cause="before its last move it was nowhere"
            if state.undo
            else f"each of its last {MOST_UNDONE} moves was taken back already",
            fix=f"name the version: tiphys models alias {document.name} {alias} VERSION",
        )
    _whole(document, state.undo[-1], problem)
    return _moved(document, alias, AliasState(state.undo[-1], state.undo[:-1]), "rollback", by)


def put_weights(document: ModelDocument, weights: Mapping[int, int], by: By) -> ModelDocument:
    """So many of a hundred requests go to each of these versions; none: all go to the champion.

    Raises RefusedError: TIP261 for a version that there is not, TIP264 when they do not make a hundred.
    """
    for number, part in weights.items():
        document.version(number)
        if part < 1:
            raise RefusedError(
                "TIP264", f"version {number} would get {part} of 100", fix="leave out what is to get nothing"
            )
    if weights and sum(weights.values()) != 100:
        told = " + ".join(str(part) for part in weights.values())
        raise RefusedError(
            "TIP264",
            f"the weights make {sum(weights.values())}, not 100",
            cause=f"{told} = {sum(weights.values())}",
            fix=f"for example: tiphys models weights {document.name} 3=90 4=10",
        )
    if dict(weights) == dict(document.weights):
        return document
    before = {str(number): part for number, part in sorted(document.weights.items())}
    after = {str(number): part for number, part in sorted(weights.items())}
    return _told(replace(document, weights=dict(weights)), "weights", "", before, after, by)


def put_default(document: ModelDocument, version: int | None, by: By) -> ModelDocument:
    """The version that answers when what is served cannot; None: the one that was served before it.

    Raises RefusedError TIP261.
    """
    if version is not None:
        document.version(version)
    if version == document.default:
        return document
    return _told(replace(document, default=version), "default", "", document.default, version, by)


def _moved(document: ModelDocument, alias: str, state: AliasState, what: str, by: By) -> ModelDocument:
    before = document.aliases[alias].version if alias in document.aliases else None
    fresh = replace(document, aliases={**document.aliases, alias: state})
    return _told(fresh, what, alias, before, state.version, by)


def _told(
    document: ModelDocument,
    what: str,
    alias: str,
    before: int | Mapping[str, int] | None,
    after: int | Mapping[str, int] | None,
    by: By,
) -> ModelDocument:
    number = document.sequence + 1
    row = AuditRow(number, by.at, by.who, what, alias, before, after, by.why[:_LONGEST_WHY])
    return replace(document, sequence=number, changes=(*document.changes, row))


def _whole(document: ModelDocument, version: int, problem: Problem) -> None:
    found = problem(document.version(version))
    if found:
        raise RefusedError(
            "TIP263",
            f"version {version} of {document.name} cannot be served",
            cause=found,
            fix="make it again: register what comes out, or name another version "
            f"(tiphys models versions {document.name})",
        )
