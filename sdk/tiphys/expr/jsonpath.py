"""JSONPath as the expression function ``jsonpath(text, path)`` understands it.

``$``, ``.name``, ``['name']``, ``[0]``, ``[-1]``, ``[*]``, ``..``, slices, unions and filters ``[?(@.a == 'x')]``. A
path that can only mean one value returns it; any other returns a list.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from tiphys.expr.evaluate import evaluate
from tiphys.expr.gotext import bounded
from tiphys.expr.lexer import ExprError
from tiphys.expr.operators import go_kind
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

Argument: TypeAlias = "Json | slice | tuple[str | int, ...]"
Step: TypeAlias = "tuple[str, Argument]"

__all__ = ["query"]

_NAME = regex(r"[^.\[\]]+")
_STRING = regex(r"'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"")


def query(document: Json, path: str) -> Json:
    """Return what ``path`` selects.

    Raises
    ------
    ExprError
        The path is malformed, or a definite path leads nowhere.
    """
    return _select(_parse(path), document, document)


def _select(steps: tuple[Step, ...], value: Json, root: Json) -> Json:
    """What the steps lead to from ``value``. A step to many values gives a list with what the rest makes of each, or
    leaves it out; of ``..`` lists give their elements."""
    if not steps:
        return value
    (kind, argument), rest = steps[0], steps[1:]
    if kind == "script":
        key = _value(str(argument), value, root)
        kind, argument = ("name" if isinstance(key, str) else "index"), key
    if kind in ("name", "index"):
        found = _apply(kind, argument, value, root)
        if not found:
            raise ExprError(f"key: invalid token key '{argument}' not found")
        return _select(rest, found[0], root)
    if kind != "descend" and not isinstance(value, (dict, list)):
        raise ExprError(f"{kind}: invalid token target. expected [array map slice] got [{go_kind(value)}]")
    items: list[Json] = []
    for each in _apply(kind, argument, value, root):
        try:
            item = _select(rest, each, root)
        except ExprError:
            continue
        if kind == "descend" and isinstance(item, list):
            items.extend(item)
        else:
            items.append(item)
    return items


@lru_cache(maxsize=1024)
def _parse(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    text = path
    if text[:1] != "$" or text[1:2] not in ("", ".", "["):
        at = 1 if text.startswith("$") else 0
        raise ExprError(
            f"invalid JSONPath selector '{text}' unexpected token '{text[at : at + 1]}' at index {at}"
        )
    position = 1
    while position < len(text):
        if text.startswith("..", position):
            steps.append(("descend", None))
            position += 2
            if position < len(text) and text[position] not in "[":
                position = _name(text, position, steps)
        elif text[position] == ".":
            position = _name(text, position + 1, steps)
        elif text[position] == "[":
            end = _closing(text, position)
            steps.append(_bracket(text[position + 1 : end].strip(), path))
            position = end + 1
        else:
            position = _name(text, position, steps)
    return tuple(steps)


def _name(text: str, position: int, steps: list[Step]) -> int:
    match = _NAME.match(text, position)
    if match is None:
        raise ExprError(f"invalid JSONPath expression '{text}'")
    steps.append(("all", None) if match.group() == "*" else ("name", match.group()))
    return match.end()


def _closing(text: str, start: int) -> int:
    depth, quote, position = 0, "", start
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in "'\"":
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise ExprError(f"invalid JSONPath expression '{text}' unexpected end")


def _bracket(body: str, path: str) -> Step:
    if body == "*":
        return ("all", None)
    if body.startswith("(") and body.endswith(")"):
        return ("script", body[1:-1])
    if body.startswith("?"):
        return ("filter", body[1:].strip().removeprefix("(").removesuffix(")"))
    parts = [part.strip() for part in re.split(r",(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)", body)]
    keys: list[str | int] = []
    for part in parts:
        string = _STRING.fullmatch(part)
        if string:
            keys.append(re.sub(r"\\(.)", r"\1", string.group(1) or string.group(2) or ""))
        elif re.fullmatch(r"-?\d+", part):
            keys.append(bounded(part))
        elif re.fullmatch(r"(-?\d+)?:(-?\d+)?(:(-?\d+)?)?", part):
            bounds = tuple(bounded(item) if item else None for item in part.split(":"))
            if bounds[2:] == (0,):
                raise ExprError("range: invalid token out of range")
            return ("slice", slice(*bounds))
        else:
            raise ExprError(f"invalid JSONPath expression '{path}'")
    if len(keys) == 1:
        return ("name" if isinstance(keys[0], str) else "index", keys[0])
    return ("union", tuple(keys))


def _apply(kind: str, argument: Argument, value: Json, root: Json) -> list[Json]:
    if kind == "name":
        if isinstance(value, dict) and isinstance(argument, str) and argument in value:
            return [value[argument]]
        return [len(value)] if argument == "length" and isinstance(value, (dict, list, str)) else []
    if kind == "index":
        if isinstance(value, list) and isinstance(argument, int) and -len(value) <= argument < len(value):
            return [value[argument]]
        return []
    if kind == "all":
        if isinstance(value, dict):
            return [value[key] for key in sorted(value)]
        return list(value) if isinstance(value, list) else []
    if isinstance(argument, slice):
        return value[argument] if isinstance(value, list) else []
    if isinstance(argument, tuple):
        return [
            item
            for key in argument
            for item in _apply("name" if isinstance(key, str) else "index", key, value, root)
        ]
    if kind == "descend":
        return _descendants(value)
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [item for item in items if _holds(str(argument), item, root)]


def _descendants(value: Json) -> list[Json]:
    found = [value]
    children = (
        [value[key] for key in sorted(value)]
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else []
    )
    for child in children:
        found.extend(_descendants(child))
    return found


_OPERAND = regex(r"[@$](?:\.[\w-]+|\[[^\]]*\])*")


def _value(source: str, item: Json, root: Json) -> Json:
    values: dict[str, Json] = {}

    def operand(match: re.Match[str]) -> str:
        name = f"operand{len(values)}"
        base = item if match.group()[0] == "@" else root
        try:
            values[name] = query(base, "$" + match.group()[1:])
        except ExprError:
            values[name] = None
        return name

    source = re.sub(r"=~", " matches ", _OPERAND.sub(operand, source))
    found: Json = evaluate(source, values)
    return found


def _holds(source: str, item: Json, root: Json) -> bool:
    try:
        result = _value(source, item, root)
    except ExprError:
        return False
    return result if isinstance(result, bool) else result is not None
