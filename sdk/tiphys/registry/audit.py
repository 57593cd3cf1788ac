"""The audit in pages: what does not fit into a document lies beside it, and a document is written only after it.

A page is made of changes that are in the document already, so whoever makes it makes the same one: that it is there
says that another has made it, or this one before it was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from tiphys.errors import RefusedError, StoreError
from tiphys.frozen import frozen
from tiphys.registry.document import AuditRow, ModelDocument, as_text

__all__ = ["LIMIT", "PAGE", "AuditPage", "check_size", "full_page", "linear", "read_page"]

PAGE = 64  # changes of one page
LIMIT = 900_000  # bytes of a document; a ConfigMap holds 1 MiB


@frozen
class AuditPage:
    """``number`` counts from 1; ``text`` is JSON."""

    number: int
    text: str


def full_page(document: ModelDocument) -> tuple[AuditPage | None, ModelDocument]:
    """The page that must be kept before a document with so many changes is written, and that document without them.

    Nothing is left out: all changes of a page were in the document as it was written before.
    """
    if len(document.changes) <= 2 * PAGE:
        return None, document
    rows, rest = document.changes[:PAGE], document.changes[PAGE:]
    page = AuditPage(document.archived // PAGE + 1, as_text([row.json() for row in rows]))
    return page, replace(document, archived=document.archived + PAGE, changes=rest)


def read_page(text: str, number: int, name: str) -> list[AuditRow]:
    """The changes of a page. Raises StoreError TIP461 for what is not the page of this number."""
    try:
        rows = [AuditRow.of(each) for each in json.loads(text)]
        first = (number - 1) * PAGE + 1
        if [row.sequence for row in rows] != [*range(first, first + PAGE)]:
            raise ValueError("it holds other changes")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(
            "TIP461",
            f"page {number} of the audit of {name} cannot be read: {error}",
            cause="it was changed or taken away by hand",
        ) from error
    return rows


def check_size(document: ModelDocument, text: str) -> None:
    """Raise RefusedError TIP267 for a document that a ConfigMap cannot hold: nothing of it is left out silently."""
    if len(text.encode()) > LIMIT:
        raise RefusedError(
            "TIP267",
            f"the document of {document.name} would be longer than {LIMIT} bytes",
            cause=f"it has {len(document.versions)} versions, and a ConfigMap holds 1 MiB",
            fix="go on under another name, with shorter reports",
        )


def linear(rows: Iterable[AuditRow]) -> str:
    """Why rows are no audit of one history, or an empty string: each has the next number, and begins where the one
    before it of the same alias ended."""
    places: dict[tuple[str, str], object] = {}
    last = 0
    for row in rows:
        if row.sequence != last + 1:
            return f"{row.sequence} comes after {last}"
        last = row.sequence
        kind = "" if row.alias else row.what
        place = places.get((kind, row.alias), {} if row.what == "weights" else None)
        if row.before != place:
            return f"change {row.sequence} begins at {row.before}, and the one before it ended at {place}"
        places[kind, row.alias] = row.after
    return ""
