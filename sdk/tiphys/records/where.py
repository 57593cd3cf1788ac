"""Conditions on runs, as people write them.

``metrics.accuracy >= 0.9 and params.model == 'cnn' and not (phase == 'Failed' or labels.team in ('a', 'b'))``

A name may have several values in a run (a metric of several steps): a test holds when it holds for any of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from tiphys.errors import RefusedError, did_you_mean
from tiphys.expr.durations import parse_go

__all__ = ["COLUMNS", "ORDERS", "ROOMS", "Comparison", "Junction", "Order", "order_of", "parsed"]

_TEXTS = ("key", "message", "name", "namespace", "phase", "pipeline", "source", "uid")
_TIMES = ("created", "finished", "started")
COLUMNS = (*_TEXTS, *_TIMES, "duration")
ROOMS = ("inputs", "labels", "made", "metrics", "params")
"""What comes before the dot of a name that runs give themselves."""
NAMES = ("cause", "image")
"""What runs have several of, without a room: why attempts ended, and images."""
ORDERS = ("duration", "key", "name", "phase", "pipeline", "started")
_LONGEST, _DEEPEST, _MOST, _PATTERN = 20_000, 50, 200, 1000  # characters, brackets, tests, characters

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
      |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
      |(?P<name>[^\W\d][\w./-]*(?:(?<=\.)(?:"[^"]+"|'[^']+'|`[^`]+`))?)
      |(?P<sign>==|!=|<>|<=|>=|[=<>(),])""",
    re.X | re.S,
)
_SIGNS = {"==": "=", "=": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_QUOTES = "`'\""
_WORDS = ("and", "or", "not", "in", "like")


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field sign values``; the sign is SQL's, ``in``, ``like``, or empty for "it has one"."""

    field: str
    sign: str
    values: tuple[str | float, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Junction:
    """``and``, ``or`` or ``not`` of what is inside."""

    word: str
    inside: tuple[Junction | Comparison, ...]


class Order(NamedTuple):
    """By what a list is sorted: a column, or a name that runs give themselves. Of several values the best counts: the
    highest when the highest come first."""

    field: str
    falling: bool


# -- reading -------------------------------------------------------------------------------------------------


def parsed(text: str) -> Junction | Comparison:
    """Raises RefusedError TIP255, with the place."""
    if len(text) > _LONGEST:
        raise _refused(text[:60] + "…", 0, f"it has {len(text)} characters; {_LONGEST} are read")
    for at, each in enumerate(text):
        if "\ud800" <= each <= "\udfff":
            raise _refused(text[:at], at, "half a character, which is no text")
    return _Reader(text).whole()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = list(_tokens(source))
        self.next = 0
        self.depth = self.tests = 0

    def whole(self) -> Junction | Comparison:
        found = self.either()
        if self.token.kind != "end":
            raise self.refuse("and, or, or the end, was expected")
        return found

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def refuse(self, why: str, token: _Token | None = None) -> RefusedError:
        return _refused(self.source, (token or self.token).at, why)

    def take(self, *words: str) -> str:
        """The next token, if it is one of these words or signs."""
        token = self.token
        if token.kind in ("word", "sign") and token.text in words:
            self.next += 1
            return token.text
        return ""

    def either(self) -> Junction | Comparison:
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Junction("or", tuple(parts))

    def both(self) -> Junction | Comparison:
        parts = [self.one()]
        while self.take("and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Junction("and", tuple(parts))

    def one(self) -> Junction | Comparison:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.refuse(f"more than {_DEEPEST} brackets in each other")
        try:
            if self.take("not"):
                return Junction("not", (self.one(),))
            if self.take("("):
                found = self.either()
                if not self.take(")"):
                    raise self.refuse("a closing bracket was expected")
                return found
            return self.test()
        finally:
            self.depth -= 1

    def test(self) -> Junction | Comparison:
        field, self.tests = self.token, self.tests + 1
        if field.kind != "name":
            raise self.refuse("a name was expected, such as metrics.accuracy or phase")
        if self.tests > _MOST:
            raise self.refuse(f"more than {_MOST} tests")
        self.next += 1
        name = _field(self.source, field)
        denied = bool(self.take("not"))
        if self.take("in"):
            made = Comparison(name, "in", self.values(), field.at)
        elif self.take("like"):
            made = Comparison(name, "like", (self.value(),), field.at)
        elif denied:
            raise self.refuse("in or like was expected after not")
        elif sign := self.take(*_SIGNS):
            made = Comparison(name, _SIGNS[sign], (self.value(),), field.at)
        elif "." in name or name == "image":
            made = Comparison(name, "", (), field.at)
        else:
            raise self.refuse("a comparison was expected: == != < <= > >= in like")
        found = _checked(self.source, made)
        return Junction("not", (found,)) if denied else found

    def values(self) -> tuple[str | float, ...]:
        if not self.take("("):
            raise self.refuse("an opening bracket was expected after in")
        found = [self.value()]
        while self.take(","):
            found.append(self.value())
        if not self.take(")"):
            raise self.refuse("a closing bracket was expected")
        return tuple(found)

    def value(self) -> str | float:
        token = self.token
        if token.kind not in ("text", "number"):
            near = f"; a text has quotes: '{token.text}'" if token.kind == "name" else ""
            raise self.refuse(f"a number or a text was expected{near}")
        self.next += 1
        if token.kind == "number":
            return float(token.text)
        quote, inside = token.text[0], token.text[1:-1]
        return re.sub(r"\\(.)|" + quote * 2, lambda match: match[1] or quote, inside, flags=re.S)


def _tokens(source: str) -> Iterator[_Token]:
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            what = (
                "a text that does not end" if source[at] in "'\"" else f"{source[at]!r} has no meaning here"
            )
            raise _refused(source, at, what)
        kind, text = match.lastgroup or "", match.group()
        if kind == "name" and text.lower() in _WORDS:
            yield _Token("word", text.lower(), at)
        elif kind != "space":
            yield _Token(kind, text, at)
        at = match.end()
    yield _Token("end", "", len(source))


def _field(source: str, token: _Token) -> str:
    """The name, as the index knows it. Raises RefusedError for one that there is not."""
    room, dot, rest = token.text.partition(".")
    if dot and room in ROOMS and rest:
        return f"{room}.{rest[1:-1] if rest[0] in _QUOTES else rest}"
    if not dot and (room in COLUMNS or room in NAMES):
        return room
    known = [*COLUMNS, *NAMES, *(f"{each}.NAME" for each in ROOMS)]
    near = did_you_mean(room, [*COLUMNS, *NAMES, *ROOMS])
    if room in ROOMS:
        near = f" Write {room}.NAME."
    raise _refused(source, token.at, f"there is no {token.text!r}.{near}", f"there are {', '.join(known)}")


def _checked(source: str, test: Comparison) -> Junction | Comparison:
    """The test with values of the field's kind: times in seconds. Raises RefusedError for others."""
    if test.field.startswith("metrics.") and any(isinstance(value, str) for value in test.values):
        raise _refused(source, test.at, "metrics are numbers: write them without quotes")
    if test.sign == "like" and not isinstance(test.values[0], str):
        raise _refused(source, test.at, "like wants a text, with % for anything and _ for one character")
    if test.sign == "like" and len(str(test.values[0])) > _PATTERN:
        raise _refused(source, test.at, f"the pattern is longer than {_PATTERN} characters")
    if test.field in _TEXTS and any(isinstance(value, float) for value in test.values):
        raise _refused(source, test.at, f"{test.field} is a text: write it in quotes")
    if test.field in (*_TIMES, "duration"):
        if test.sign == "like":
            raise _refused(source, test.at, f"{test.field} is no text")
        read = _seconds if test.field == "duration" else _moment
        try:
            return replace(test, values=tuple(read(value) for value in test.values))
        except ValueError as error:
            raise _refused(source, test.at, str(error)) from None
    texts = tuple(value for value in test.values if isinstance(value, str))
    numbers = tuple(value for value in test.values if not isinstance(value, str))
    if texts and numbers:  # two tests: each has its own index
        return Junction("or", (replace(test, values=texts), replace(test, values=numbers)))
    return test


def _moment(value: str | float) -> float:
    """A time in seconds since the epoch."""
    if isinstance(value, float):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is no time: write '2026-11-01' or '2026-11-01T12:00:00Z'") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _seconds(value: str | float) -> float:
    if isinstance(value, float):
        return value
    try:
        return parse_go(value)
    except ValueError:
        raise ValueError(f"{value!r} is no duration: write seconds, or '5m'") from None


def _refused(source: str, at: int, why: str, cause: str = "") -> RefusedError:
    """The place is drawn below the line."""
    start = max(0, source.rfind("\n", 0, at) + 1, at - 60)
    line = source[start:].split("\n", 1)[0][:120]
    return RefusedError(
        "TIP255",
        f"the condition cannot be read at {at + 1}: {why}\n    {line}\n    {' ' * (at - start)}^",
        cause=cause,
        fix="write for example: metrics.accuracy >= 0.9 and params.model == 'cnn'",
    )


def order_of(text: str) -> Order:
    """``-metrics.accuracy`` (the highest first), ``started``, ``name``. Raises RefusedError TIP255."""
    falling, name = text.startswith("-"), text.strip().lstrip("-+")
    if name in ORDERS:
        return Order(name, falling)
    room, _, rest = name.partition(".")
    if room in ROOMS and rest:
        return Order(f"{room}.{rest.strip(_QUOTES)}", falling)
    near = did_you_mean(room, [*ORDERS, *ROOMS])
    raise RefusedError(
        "TIP255",
        f"runs are not ordered by {name!r}.{near}",
        cause=f"there are {', '.join([*ORDERS, *(f'{each}.NAME' for each in ROOMS)])}, each also with a - before it",
        fix="write for example: --order-by=-metrics.accuracy",
    )
