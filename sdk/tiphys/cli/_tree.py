"""A workflow on a cluster as text: the tree of `argo get`, and a picture of it that stays in place."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TextIO

from tiphys.cli._common import Style, seconds
from tiphys.runs import Result, Row, rows
from tiphys.terminal import plain

__all__ = ["Picture", "age", "picture"]

_SYMBOLS = {
    "Pending": ("◷", 33),
    "Running": ("●", 36),
    "Succeeded": ("✔", 32),
    "Skipped": ("○", 2),
    "Omitted": ("○", 2),
    "Failed": ("✖", 31),
    "Error": ("⚠", 31),
}


def age(moment: datetime | None) -> str:
    return seconds((datetime.now(UTC) - moment).total_seconds()) if moment else ""


def _lasted(row: Row) -> str:
    if row.started is None or row.phase in ("Skipped", "Omitted"):
        return ""
    return seconds(((row.finished or datetime.now(UTC)) - row.started).total_seconds())


def picture(state: Result, style: Style, *, width: int = 0) -> list[str]:
    """The lines to print for a state; ``width`` cuts them to a terminal's."""
    symbol, colour = _SYMBOLS.get(state.phase, ("?", 0))
    head = f"{style(symbol, colour)} {style.bold(state.name)}  {state.phase}"
    facts = [state.namespace, state.progress, seconds(state.seconds) if state.started else ""]
    lines = [head + "  " + style.dim("  ".join(item for item in facts if item))]
    if state.message:
        lines.append("  " + plain(state.message))
    tree = rows(state.workflow)
    cells = [(f"{row.guide}{_mark(row)} {plain(row.name)}", _lasted(row), _remark(row)) for row in tree]
    column = min(max((len(cell[0]) for cell in cells), default=0), 60)
    for row, (name, lasted, remark) in zip(tree, cells, strict=True):
        line = f"{name.ljust(column)}  {lasted:>7}  {remark}".rstrip()
        if width:
            line = line[: width - 1]
        symbol, colour = _SYMBOLS.get(row.phase, ("?", 0))
        mark = _mark(row)
        lines.append(line.replace(mark, style(mark, colour), 1))
    return lines


def _mark(row: Row) -> str:
    return "↺" if row.hit else _SYMBOLS.get(row.phase, ("?", 0))[0]


def _remark(row: Row) -> str:
    return "hit" if row.hit else plain(row.message).replace("\n", " ")


class Picture:
    """Draws state after state in one place on a terminal; elsewhere a line for each node that changed."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.style = Style(self.stream)
        self._height = 0
        self._seen: dict[str, str] = {}

    def show(self, state: Result) -> None:
        if self.style.terminal:
            self._draw(state)
        else:
            self._tell(state)
        self.stream.flush()

    def _draw(self, state: Result) -> None:
        size = shutil.get_terminal_size()
        lines = picture(state, self.style, width=size.columns)
        if (
            not state.ended and len(lines) > size.lines - 1
        ):  # keep the end in sight: that is where things happen
            lines = lines[:1] + lines[len(lines) - size.lines + 3 :]
        up = f"\033[{self._height}A" if self._height else ""
        self.stream.write(up + "".join(f"\033[2K{line}\n" for line in lines) + "\033[J")
        self._height = len(lines)

    def _tell(self, state: Result) -> None:
        for identity, text in self._changes(state):
            if self._seen.get(identity) != text:
                self._seen[identity] = text
                self.stream.write(text + "\n")

    def _changes(self, state: Result) -> Sequence[tuple[str, str]]:
        told = [
            (
                row.guide + row.name + row.template,
                f"{_mark(row)} {plain(row.name)}  {row.phase}  {_remark(row)}".rstrip(),
            )
            for row in rows(state.workflow)
            if row.phase
        ]
        return [*told[1:], ("", f"{state.name}  {state.phase}  {plain(state.message)}".rstrip())]
