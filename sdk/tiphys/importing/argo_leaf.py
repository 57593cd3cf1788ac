"""What runs in a task in words of ours, where that is the same: an approval, a request, a container."""

from __future__ import annotations

from dataclasses import dataclass, field

from tiphys.importing.argo_python import Called
from tiphys.importing.told import CannotSay
from tiphys.jsontypes import JsonObject

__all__ = ["Leaf", "leaf"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A template in Python."""

    text: str
    called: Called
    words: set[str]
    changed: list[str] = field(default_factory=list)


def leaf(template: JsonObject, variable: str) -> Leaf:
    """The template in words of ours. Raises CannotSay with the reason."""
    raise CannotSay("")
