"""What an import says beside the Python that it writes: what is kept in other words than ours, and what is changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CannotSay", "Imported", "Notes", "Told"]

Kind = Literal["kept", "changed", "dropped", "spent"]
_WORDS: dict[Kind, str] = {
    "kept": "kept as it is",
    "changed": "said otherwise",
    "dropped": "left out",
    "spent": "left out",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing to know.

    ``kept``: it is in the Python in the words of the source, whole. ``changed``: it is said otherwise, and means the
    same to who does not depend on it. ``dropped``: it is not in the Python.
    ``spent``: nor is this, which is of the server or of a run that was.
    """

    kind: Kind
    line: int
    what: str
    why: str

    def text(self, file: str) -> str:
        """A line for a terminal: ``flow.yaml:12: kept as it is: the template 'x': it takes artifacts``."""
        return f"{file}:{self.line}: {_WORDS[self.kind]}: {self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Imported:
    """The Python of a first pipeline, and what to know of it."""

    source: str
    told: tuple[Told, ...]

    @property
    def whole(self) -> bool:
        """Whether all is said in words of ours: nothing is kept or left out."""
        return not any(each.kind in ("kept", "dropped") for each in self.told)


@dataclass(slots=True)
class Notes:
    """Things told so far, each once."""

    found: list[Told] = field(default_factory=list)

    def add(self, kind: Kind, line: int, what: str, why: str) -> None:
        told = Told(kind, line, what, why)
        if told not in self.found:
            self.found.append(told)


class CannotSay(Exception):
    """There is no word of ours for a part; says why."""
