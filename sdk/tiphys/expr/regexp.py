"""Regular expressions as Go's ``regexp`` has them: the syntax of RE2, and a time that grows with the text alone.

The library is RE2 itself (``google-re2``), loaded with the first pattern. Python's own ``re`` tries one way after the
other: for ``(a+)+$`` and 40 letters, longer than anybody waits. What is told of a pattern that is none are Go's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from tiphys.expr import budget
from tiphys.expr.gotext import visible
from tiphys.expr.lexer import ExprError
from tiphys.lazy import regex

__all__ = ["Match", "Regexp", "regexp"]

# the messages of RE2's C++ library to those of Go's
_WORDS = {
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "invalid repetition size": "invalid repeat count",
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "trailing \\": "trailing backslash at end of expression",
}
_LOOKBEHIND = regex(r"\(\?<[=!]")
# what is quoted, escaped and in a set is passed over
_PARTS = regex(
    r"\\Q.*?(?:\\E|$)|\\(C)|\\[xpP]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|"
    r"\(\?P?<(\w+)>|\{((?:0|[1-9][0-9]*)(?:,(?:[1-9][0-9]*)?)?)\}",
    re.DOTALL,
)
_REFERENCE = regex(r"\$(?:(\$)|\{(\w+)\}|(\w+))")
_NUMBER = regex(r"0|[1-9][0-9]{0,7}")


class Match(NamedTuple):
    """Where a pattern matches: ``texts`` are the whole and its groups, None for one that had no part in it."""

    start: int
    end: int
    texts: tuple[str | None, ...]
    names: dict[str, int]

    def expand(self, template: str) -> str:
        """Put groups in the place of ``$1``, ``$name`` and ``${name}``; one that does not exist is empty."""

        def group(at: re.Match[str]) -> str:
            if at[1]:
                return "$"
            name = at[2] or at[3]
            index = int(name) if _NUMBER.fullmatch(name) else self.names.get(name, -1)
            return (self.texts[index] or "") if 0 <= index < len(self.texts) else ""

        return _REFERENCE.sub(group, template)


class Regexp:
    """A compiled pattern.

    Raises
    ------
    ExprError
        In Go's words, for a pattern that is none.
    """

    def __init__(self, pattern: str) -> None:
        import re2

        _refuse(pattern)
        options = re2.Options()
        options.log_errors = False
        self.pattern = pattern
        try:
            self._compiled = re2.compile(pattern, options)
        except UnicodeEncodeError:
            raise ExprError(f"error parsing regexp: invalid UTF-8: `{pattern}`") from None
        except re2.error as error:
            told = error.args[0].decode(errors="replace")
            raise ExprError(f"error parsing regexp: {_problem(told, pattern)}") from None
        self._names: dict[str, int] = self._compiled.groupindex

    def search(self, text: str) -> Match | None:
        """The first match."""
        return next(self.matches(text), None)

    def matches(self, text: str) -> Iterator[Match]:
        """All matches; an empty one does not touch the end of the one before."""
        previous = -1
        # a byte that is no UTF-8 is one character here, and one U+FFFD to Go
        for found in self._compiled.finditer(visible(text)):
            start, end = found.span()
            if start < end or start != previous:
                spans = map(found.span, range(self._compiled.groups + 1))
                texts = tuple(None if first < 0 else text[first:last] for first, last in spans)
                yield Match(start, end, texts, self._names)
            previous = end

    def replace(self, text: str, replacement: Callable[[Match], str]) -> str:
        """Replace all matches by what ``replacement`` makes of each."""
        out: list[str] = []
        end = made = 0
        for match in self.matches(text):
            out += [text[end : match.start], replacement(match)]
            end = match.end
            made += len(out[-1])
            budget.text(made)
        return "".join((*out, text[end:]))

    def split(self, text: str, count: int) -> list[str] | None:
        """Split at matches into at most ``count`` parts; negative: all."""
        if count == 0:
            return None
        if self.pattern and not text:
            return [""]
        parts: list[str] = []
        begin = end = 0
        for number, match in enumerate(self.matches(text)):
            if 0 < count <= number or (count > 0 and len(parts) == count - 1):
                break
            end = match.start
            if match.end != 0:
                parts.append(text[begin:end])
            begin = match.end
        if end != len(text):
            parts.append(text[begin:])
        return parts


@lru_cache(maxsize=1024)
def regexp(pattern: str) -> Regexp:
    """Compile a pattern, once."""
    return Regexp(pattern)


def _problem(told: str, pattern: str) -> str:
    """Go's words for what RE2's library tells of a pattern."""
    what, _, where = told.partition(": ")
    if (look := _LOOKBEHIND.search(where)) and what == "invalid perl operator":  # Go takes it for a name
        what, where = "invalid named capture group", pattern[pattern.find(look[0]) :]
        where = where[: where.find(">") + 1] or where
    if what == "trailing \\":
        where = ""
    elif what == "invalid UTF-8":  # the pattern is UTF-8: an escape without an end
        what, where = "invalid escape sequence", r"\x{"
    return f"{_WORDS.get(what, what)}: `{where}`"


def _refuse(pattern: str) -> None:
    """What RE2's library takes and Go's does not: single bytes, names of groups that are not ASCII, and counts that are
    too long for a number, which it takes for plain text."""
    for found in _PARTS.finditer(pattern):
        byte, name, count = found.groups()
        if byte:
            problem = "invalid escape sequence"
        elif name and not name.isascii():
            problem = "invalid named capture"
        elif count and max(map(len, count.split(","))) > 4:
            problem = "invalid repeat count"
        else:
            continue
        raise ExprError(f"error parsing regexp: {problem}: `{found[0]}`")
