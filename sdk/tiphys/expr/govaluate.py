"""govaluate as ``when`` uses it: every bare word is a string, numbers are float64, the result must be a bool."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from tiphys.expr.gofmt import v
from tiphys.expr.lexer import ExprError
from tiphys.expr.operators import equal
from tiphys.expr.regexp import regexp
from tiphys.lazy import regex

Value = Any

__all__ = ["WhenError", "evaluate_when", "govaluate"]

_HINT = '(hint: try wrapping the affected expression in quotes ("))'
_TOKEN = regex(
    r"""\s*(?:(?P<number>0x[0-9a-fA-F]*|[\d.]+)
        |(?P<string>["'](?:\\.|[^"'\\])*["'])
        |(?P<bracket>\[(?:\\.|[^\]\\])*\])
        |(?P<word>[^\W\d_](?:\w|\.(?=\w)|\\.)*)
        |(?P<op>[(),]|[^0-9A-Za-z\s()\[\]"']+))""",
    re.X,
)
_OPERATORS = frozenset(
    ["=~", "!~", "==", "!=", "<=", ">=", "&&", "||", "**", "<<", ">>", "??", *"-+*/%^&|~<>!?:(),"]
)
_DATES = (
    "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S",
)  # fmt: skip
_LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",), ("&&",), ("==", "!=", ">", "<", ">=", "<=", "=~", "!~", "in"), ("&", "|", "^"), ("<<", ">>"),
    ("+", "-"), ("*", "/", "%"), ("**",),
)  # fmt: skip


class WhenError(Exception):
    """A ``when`` cannot be evaluated; the text is Argo's."""


class _Bad(Exception):
    pass


class _Word(str):
    """A bare word: a variable to the parser, a string to the evaluator."""

    __slots__ = ()


def _tokens(text: str) -> list[tuple[str, Value]]:
    tokens: list[tuple[str, Value]] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].strip()
            if rest[:1] in "\"'":
                raise _Bad("Unclosed string literal")
            if rest[:1] == "[":
                raise _Bad("Unclosed parameter bracket")
            raise _Bad(f"Invalid token: '{rest[:1]}'")
        kind = match.lastgroup or ""
        body = match.group(kind)
        if kind == "number":
            try:
                tokens.append(("value", float(int(body, 16)) if body.startswith("0x") else float(body)))
            except (ValueError, OverflowError):
                if body.startswith("0x"):
                    raise _Bad(f"Unable to parse hex value '{body[2:]}' to uint64\n") from None
                raise _Bad(f"Unable to parse numeric value '{body}' to float64\n") from None
        elif kind == "string":
            tokens.append(("value", _literal(re.sub(r"\\(.)", r"\1", body[1:-1]))))
        elif kind == "bracket":
            tokens.append(("value", _Word(body[1:-1])))
        elif kind == "word":
            word = body.replace("\\", "")
            if word in ("true", "false"):
                tokens.append(("value", word == "true"))
            elif word.lower() == "in":
                tokens.append(("op", "in"))
            else:
                _accessor(word)
                tokens.append(("value", _Word(word)))
        else:
            operand_before = bool(tokens) and (tokens[-1][0] == "value" or tokens[-1][1] == ")")
            if body not in _OPERATORS or (body in ("!", "~") and operand_before):
                raise _Bad(f"Invalid token: '{body}'")
            tokens.append(("op", body))
        position = match.end()
    _check(tokens)
    for token, operand in itertools.pairwise(tokens):
        if token in (("op", "=~"), ("op", "!~")) and isinstance(operand[1], str):
            try:
                regexp(operand[1])
            except ExprError as error:
                raise _Bad(str(error)) from None
    return tokens


def _accessor(word: str) -> None:
    """Refuse ``a.b``: govaluate reads it as a field, and a field must be exported."""
    for field in word.split(".")[1:]:
        if field[:1].islower():
            raise _Bad(f"Unable to access unexported field '{field}' in token '{word}'")


def _literal(text: str) -> Value:
    for layout in _DATES:
        try:
            moment = datetime.strptime(text, layout)
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return text


_KINDS = {
    "&&": "LOGICALOP",
    "||": "LOGICALOP",
    "in": "COMPARATOR",
    "(": "CLAUSE",
    ")": "CLAUSE_CLOSE",
    ",": "SEPARATOR",
    "!": "PREFIX",
    "~": "PREFIX",
    "?": "TERNARY",
    ":": "TERNARY",
    "??": "TERNARY",
}


def _kind(token: tuple[str, Value] | None) -> str:
    if token is None:
        return "UNKNOWN"
    kind, value = token
    if kind == "op":
        if value in _KINDS:
            return _KINDS[value]
        return "COMPARATOR" if value in _LEVELS[2] else "MODIFIER"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, _Word):
        return "VARIABLE"
    return "NUMERIC" if isinstance(value, float) else "STRING"


def _check(tokens: list[tuple[str, Value]]) -> None:
    """Refuse the sequences that govaluate's state machine refuses."""
    previous: tuple[str, Value] | None = None
    depth, unary = 0, False
    for token in tokens:
        kind, value = token
        depth += (value == "(") - (value == ")") if kind == "op" else 0
        operand_before = previous is not None and (previous[0] == "value" or previous[1] == ")")
        starts = kind == "value" or value == "("
        if value == "(" and previous is not None and isinstance(previous[1], _Word):
            raise _Bad(f"Undefined function {previous[1]}")
        if (starts or (kind == "op" and value == "!")) and operand_before:
            name = {"NUMERIC": f"{v(value)}", "BOOLEAN": v(value)}.get(_kind(token), str(value))
            raise _Bad(_transition(previous, _kind(token), name))
        prefix = previous is not None and (_kind(previous) == "PREFIX" or (previous[1] == "-" and unary))
        if prefix and _kind(token) == "STRING":
            raise _Bad(_transition(previous, "STRING", str(value), unary=True))
        binary = kind == "op" and value not in ("(", ")", "!", "-", "~", ",")
        if binary and not operand_before:
            raise _Bad(_transition(previous, _kind(token), str(value)))
        unary = kind == "op" and value == "-" and not operand_before
        previous = token
    if depth:
        raise _Bad("Unbalanced parenthesis")
    if previous is None or (previous[0] == "op" and previous[1] != ")"):
        raise _Bad("Unexpected end of expression")


def _transition(previous: tuple[str, Value] | None, kind: str, name: str, *, unary: bool = False) -> str:
    before = "PREFIX" if unary else _kind(previous)
    return f"Cannot transition token types from {before} [{_show(previous)}] to {kind} [{name}]"


def _show(token: tuple[str, Value] | None) -> str:
    return "<nil>" if token is None else v(token[1])


class _Evaluator:
    def __init__(self, tokens: list[tuple[str, Value]]) -> None:
        self.tokens = tokens
        self.index = 0

    def peek(self) -> tuple[str, Value]:
        return self.tokens[self.index] if self.index < len(self.tokens) else ("end", "")

    def whole(self) -> Value:
        try:
            value = self.separated()
        except RecursionError:
            raise _Bad("it is nested too deeply") from None
        if self.peek()[0] != "end":
            raise _Bad(f"Unexpected token {self.peek()[1]}")
        return value

    def separated(self) -> Value:
        value = self.ternary()
        if self.peek() != ("op", ","):
            return value
        items = [value]
        while self.peek() == ("op", ","):
            self.index += 1
            items.append(self.ternary())
        return items

    def ternary(self) -> Value:
        """Left to right: ``a ? b`` is b or nil, ``a : b`` and ``a ?? b`` are b where a is nil."""
        value = self.level(0)
        while self.peek()[0] == "op" and self.peek()[1] in ("?", ":", "??"):
            operator = self.peek()[1]
            self.index += 1
            right = self.level(0)
            if operator == "?":
                value = right if value is True else None
            elif value is None:
                value = right
        return value

    def level(self, rank: int) -> Value:
        if rank == len(_LEVELS):
            return self.prefix()
        left = self.level(rank + 1)
        while self.peek()[0] == "op" and self.peek()[1] in _LEVELS[rank]:
            operator = self.peek()[1]
            self.index += 1
            right = self.level(rank + 1)
            left = _apply(operator, left, right)
        return left

    def prefix(self) -> Value:
        kind, value = self.peek()
        if kind == "op" and value in ("!", "-", "~"):
            self.index += 1
            operand = self.prefix()
            if value == "!":
                if not isinstance(operand, bool):
                    raise _Bad(
                        f"Value '{v(operand)}' cannot be used with the logical prefix '!', it is not a bool"
                    )
                return not operand
            if not isinstance(operand, float):
                raise _Bad(
                    f"Value '{v(operand)}' cannot be used with the numeric prefix '{value}', it is not a number"
                )
            return -operand if value == "-" else float(~_int64(operand))
        if kind == "op" and value == "(":
            self.index += 1
            if self.peek() == ("op", ")"):
                self.index += 1
                return []
            inner = self.separated()
            if self.peek() != ("op", ")"):
                raise _Bad("Unbalanced parenthesis")
            self.index += 1
            return inner
        if kind == "value":
            self.index += 1
            if isinstance(value, _Word) and "." in value:
                raise _Bad(f"No parameter '{value.partition('.')[0]}' found.")
            return value
        raise _Bad("Unexpected end of expression")


def _logical(operator: str, left: Value, right: Value) -> bool:
    for value in (left, right):
        if not isinstance(value, bool):
            raise _Bad(
                f"Value '{v(value)}' cannot be used with the logical operator '{operator}', it is not a bool"
            )
    return bool(left and right) if operator == "&&" else bool(left or right)


def _apply(operator: str, left: Value, right: Value) -> Value:
    if operator in ("&&", "||"):
        return _logical(operator, left, right)
    if operator == "==":
        return equal(left, right)
    if operator == "!=":
        return not equal(left, right)
    if operator == "in":
        if not isinstance(right, list):
            raise _Bad(f"Value '{v(right)}' cannot be used with the comparator 'in', it is not a number")
        return any(equal(left, item) for item in right)
    if operator in ("=~", "!~"):
        for value in (left, right):
            if not isinstance(value, str):
                raise _Bad(
                    f"Value '{v(value)}' cannot be used with the comparator '{operator}', it is not a number"
                )
        found = regexp(right).search(left) is not None
        return found if operator == "=~" else not found
    both_strings = isinstance(left, str) and isinstance(right, str)
    if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
        return v(left) + v(right)
    numbers = isinstance(left, float) and isinstance(right, float)
    if operator in ("<", ">", "<=", ">="):
        if not (numbers or both_strings):
            raise _Bad(
                f"Value '{v(left)}' cannot be used with the comparator '{operator}', it is not a number"
            )
        return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator]
    if not numbers:
        bad = left if not isinstance(left, float) else right
        raise _Bad(f"Value '{v(bad)}' cannot be used with the modifier '{operator}', it is not a number")
    return _arithmetic(operator, left, right)


def _arithmetic(operator: str, left: float, right: float) -> float:
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right if right else float("inf")
    if operator == "%":
        import math

        return math.fmod(left, right) if right and math.isfinite(left) else float("nan")
    if operator == "**":
        return _power(left, right)
    return _bits(operator, _int64(left), _int64(right))


def _power(base: float, exponent: float) -> float:
    """Go's math.Pow: what has no value is NaN, what is too large is infinite."""
    import math

    try:
        return math.pow(base, exponent)
    except ValueError:
        return float("nan") if base else float("inf")
    except OverflowError:
        return float("-inf") if base < 0 and exponent % 2 else float("inf")


def _int64(value: float) -> int:
    """Go's conversion to int64: what does not fit is the smallest."""
    return int(value) if -(2.0**63) <= value < 2.0**63 else -(2**63)


def _bits(operator: str, a: int, b: int) -> float:
    """As Go does on int64: bits that leave it are lost, a count of 64 or more leaves none."""
    if operator == "&":
        return float(a & b)
    if operator == "|":
        return float(a | b)
    if operator == "^":
        return float(a ^ b)
    if operator == ">>":
        return float(a >> b if 0 <= b < 64 else -(a < 0))
    shifted = (a << b) & (2**64 - 1) if 0 <= b < 64 else 0
    return float(shifted - 2**64 if shifted >= 2**63 else shifted)


@lru_cache(maxsize=8192)
def _parsed(text: str) -> tuple[tuple[str, Value], ...]:
    return tuple(_tokens(text))


def govaluate(text: str) -> Value:
    """Evaluate ``text``.

    Raises
    ------
    WhenError
        As Argo words it.
    """
    try:
        return _Evaluator(list(_parsed(text))).whole()
    except _Bad as error:
        raise WhenError(str(error)) from None


def evaluate_when(text: str) -> bool:
    """Evaluate a substituted ``when``; empty text is true.

    Raises
    ------
    WhenError
        ``Invalid 'when' expression …`` or ``Expected boolean evaluation …``.
    """
    if text == "":
        return True
    try:
        tokens = list(_parsed(text))
    except _Bad as error:
        hint = f" {_HINT}" if "Invalid token" in str(error) else ""
        raise WhenError(f"Invalid 'when' expression '{text}': {error}{hint}") from None
    try:
        _check(
            [("value", str(value)) if isinstance(value, _Word) else (kind, value) for kind, value in tokens]
        )
    except _Bad as error:  # words are texts from here on
        raise WhenError(f"Failed to parse 'when' expression '{text}': {error}") from None
    try:
        result = _Evaluator(tokens).whole()
    except _Bad as error:
        raise WhenError(f"Failed to evaluate 'when' expresion '{text}': {error}") from None
    if not isinstance(result, bool):
        raise WhenError(f"Expected boolean evaluation for '{text}'. Got {v(result)}")
    return result
