"""The conditions of resource templates: label selectors whose keys are paths into the object."""

from __future__ import annotations

from tiphys.argo.schema import table
from tiphys.argo.selectors import Requirement, SelectorError, parse_labels
from tiphys.lazy import regex

__all__ = ["fault", "requirements", "unknown_part"]

_TAG = regex(r"\{\{[^}]*\}\}")


def requirements(text: str) -> list[Requirement]:
    """The requirements of a legal condition, by their paths; none of what cannot be read."""
    try:
        return parse_labels(_TAG.sub("1", text))
    except SelectorError:
        return []


def fault(text: str) -> str:
    """Say what is wrong with a condition; empty when it can be read."""
    try:
        parse_labels(_TAG.sub("1", text))
    except SelectorError as error:
        return error.message
    return ""


def unknown_part(path: str, reference: str) -> tuple[str, tuple[str, ...]]:
    """The first part of a path that the object type does not have, with the fields it does have there."""
    types = table()
    for part in path.split("."):
        if reference[0] == "#":
            fields = types.fields(reference)
            if part not in fields:
                return part, tuple(fields)
            reference = fields[part]
        elif reference[0] == "a" and len(reference) > 1:
            if part != "#" and not part.isdigit():
                return part, ("0", "1")
            reference = reference[1:]
        elif reference[0] == "m" and len(reference) > 1:
            reference = reference[1:]
        else:
            return "", ()
    return "", ()
