"""What a page is made of: parts with words, drawings and tables. One template draws them all.

Texts are texts: the template escapes them. A drawing is markup that :mod:`tiphys.pages` or
:mod:`tiphys.server.views.drawing` made, and has escaped what it took in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from tiphys.terminal import plain

__all__ = ["Cell", "Grid", "Part", "link"]

_LONGEST = 400  # characters of a cell


@dataclass(frozen=True, slots=True)
class Cell:
    """``link`` leads somewhere, ``mark`` is the CSS class of a phase (``ok``, ``bad``, ``run``, ``wait``, ``hit``),
    ``code``: it is an identity, and not words; ``drawing``: markup, with ``text`` as its words."""

    text: str
    link: str = ""
    mark: str = ""
    code: bool = False
    drawing: str = ""

    @property
    def shown(self) -> str:
        """The text, with nothing in it that a screen could take for something else."""
        return plain(self.text, _LONGEST)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its ``caption``, a header for each column, and of each row the first cell as its header. ``numbers``:
    the columns that are aligned to the right. ``folded``: shown when somebody opens it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A section. ``warnings`` are what somebody should look at."""

    title: str
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    drawings: Sequence[str] = ()
    grids: Sequence[Grid] = field(default=())


def link(*names: str, **query: str) -> str:
    """An address below ``/ui``, of names that anybody gave."""
    path = "/".join(quote(name, safe="") for name in names)
    asked = {name: value for name, value in query.items() if value}
    return f"/ui/{path}" + (f"?{urlencode(asked)}" if asked else "")
