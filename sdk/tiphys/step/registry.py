"""Steps on the registry of models: they compute; a resource template reads the document before, and writes it after."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiphys.argo.time import rfc3339
from tiphys.errors import RefusedError, TiphysError
from tiphys.numbers import finite
from tiphys.reference import MANIFEST, Reference, file_digest, resolve, verify
from tiphys.registry import changes
from tiphys.registry.audit import check_size, full_page
from tiphys.registry.changes import By
from tiphys.registry.document import ModelDocument, ModelVersion
from tiphys.registry.names import page_map

__all__ = ["Baseline", "Written", "baseline", "promote", "refuse", "register"]


@dataclass(frozen=True)
class Written:
    """What is to be written: ``document`` in the place of ``resource_version``, if ``changed``; before it ``page`` as
    ``page_name``, if that is not empty. ``version``: which one was registered, or is named now; ``model``: its folder.
    ``problem``: why nothing is written; to try again would be of no use.
    """

    changed: bool
    document: str
    resource_version: str
    page_name: str
    page: str
    version: int
    model: Reference
    problem: str = ""


@dataclass(frozen=True)
class Baseline:
    """What an alias names: ``found`` is false, and the rest empty, where it names nothing. ``report``: JSON."""

    found: bool
    version: int
    uri: str
    digest: str
    report: str


def baseline(name: str, state: str, alias: str) -> Baseline:
    """What ``alias`` names, of the ``state`` that a resource template has read."""
    document, _ = _read(name, state)
    named = document.aliases.get(alias)
    if named is None or named.version is None:
        return Baseline(False, 0, "", "", "{}")
    found = document.version(named.version)
    return Baseline(
        True, found.number, found.uri, found.digest, json.dumps(dict(found.report), sort_keys=True)
    )


def register(
    name: str, state: str, model: Reference, report: str, alias: str, why: str, run: str, who: str
) -> Written:
    """The document with ``model`` as a version, and with ``alias`` (if it is not empty) at it.

    ``report``: JSON; its numbers and short words are kept. What is refused is told as a ``problem``: TIP263 when the
    folder is not what its digest says.
    """

    def change(before: ModelDocument) -> tuple[ModelDocument, ModelVersion]:
        digest = model.digest
        if not digest:
            with contextlib.suppress(OSError):  # verify says what is wrong
                digest = file_digest(resolve(model.uri) / MANIFEST)
        if problem := verify(Reference(model.uri, digest)):
            raise RefusedError("TIP263", f"{model.uri} cannot be a version of {name}", cause=problem)
        by = By(who, rfc3339(time.time()), why)
        after, made = changes.register(before, model.uri, digest, by, run=run, report=_said(report))
        return changes.to_alias(after, alias, made.number, by) if alias else after, made

    return _written(name, state, change)


def promote(name: str, state: str, alias: str, version: int, why: str, who: str) -> Written:
    """The document with ``alias`` at ``version``; 0: where it was before its last move (a rollback)."""

    def change(before: ModelDocument) -> tuple[ModelDocument, ModelVersion]:
        by = By(who, rfc3339(time.time()), why)
        if version:
            after = changes.to_alias(before, alias, version, by, problem=_problem)
        else:
            after = changes.rollback(before, alias, by, problem=_problem)
        return after, after.alias(alias)

    return _written(name, state, change)


def refuse(problem: str) -> None:
    """Fail with what the step before was refused for."""
    raise SystemExit(problem)


def _problem(version: ModelVersion) -> str:
    return verify(Reference(version.uri, version.digest))


def _read(name: str, state: str) -> tuple[ModelDocument, str]:
    """``state``: the resourceVersion, a blank, and the document's text."""
    version, _, text = state.partition(" ")
    return ModelDocument.read(text, name), version


def _written(
    name: str, state: str, change: Callable[[ModelDocument], tuple[ModelDocument, ModelVersion]]
) -> Written:
    version = state.partition(" ")[0]
    try:
        before, _ = _read(name, state)
        after, made = change(before)
        changed = after != before
        page, after = full_page(after) if changed else (None, after)
        text = after.text()
        check_size(after, text)
    except TiphysError as error:
        return Written(False, "", version, "", "", 0, Reference("pvc://none"), str(error))
    kept = ("", "") if page is None else (page_map(after.name, page.number), page.text)
    return Written(changed, text, version, *kept, made.number, Reference(made.uri, made.digest))


def _said(report: str) -> dict[str, float | str]:
    """The numbers of a report, and its short words; lists and tables are in the records of the run."""
    value: Any = json.loads(report or "{}")
    if not isinstance(value, Mapping):
        return {}
    return {
        str(key): each
        for key, each in value.items()
        if not math.isnan(finite(each)) or (isinstance(each, str) and len(each) <= 100)
    }
