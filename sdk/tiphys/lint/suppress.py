"""``# tiphys: ignore[CODE] reason``: silencing single findings where they stand."""

from __future__ import annotations

from typing import NamedTuple

from tiphys.lazy import regex
from tiphys.lint.finding import Finding

__all__ = ["Comment", "comments", "silenced"]

_COMMENT = regex(r"#\s*tiphys:\s*ignore(-file)?\[([^\]\n]*)\][ \t]*([^\n]*)")


class Comment(NamedTuple):
    """One comment: the line it acts on (0: the whole file), the codes, and the reason given."""

    line: int
    codes: frozenset[str]
    reason: str
    written: int


def comments(text: str) -> list[Comment]:
    """The ignore comments of a file. One alone on its line acts on the next line that is no comment."""
    if "tiphys:" not in text:
        return []
    found: list[Comment] = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        match = _COMMENT.search(line)
        if not match:
            continue
        target = number
        if match[1]:
            target = 0
        elif not line[: match.start()].strip():
            target = number + 1
            while target <= len(lines) and lines[target - 1].lstrip().startswith("#"):
                target += 1
        codes = frozenset(code.strip() for code in match[2].split(",") if code.strip())
        found.append(Comment(target, codes, match[3].strip(), number))
    return found


def silenced(finding: Finding, given: list[Comment]) -> bool:
    """Whether a comment silences the finding."""
    return any(finding.code in item.codes and item.line in (0, finding.line) for item in given)
