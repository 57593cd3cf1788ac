"""``kubectl``'s jsonpath templates: ``{.a.b[0]}``, ``{..name}``, filters, ranges and plain text around them."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping

from tiphys.frozen import frozen
from tiphys.lazy import regex

__all__ = ["JsonPathError", "jsonpath"]

_STEP = regex(
    r"""\.\.(?P<deep>(?:\\.|[\w\-/])+|\*)|\.(?P<name>(?:\\.|[\w\-/])+|\*)?|\[(?P<index>-?\d+)\]"""
    r"""|\[\?\((?P<filter>.+?)\)\]|\[(?P<slice>-?\d*:-?\d*(?::\d+)?)\]|\[(?P<star>\*)\]"""
    r"""|\[(?P<quoted>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]|\[(?P<union>[-\d,\s]+)\]"""
)
_COMPARE = regex(r"""^\s*@(?P<path>.*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.+?))?\s*$""")


_OPERATORS: dict[str, Callable[..., object]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip


class JsonPathError(ValueError):
    """The template is wrong, or names what is not there; the text is kubectl's."""


def jsonpath(value: object, template: str) -> str:
    """The text that ``kubectl get -o jsonpath=TEMPLATE`` prints. Raises JsonPathError."""
    output: list[str] = []
    _render(value, value, _parse(template), output)
    return "".join(output)


@frozen
class _Path:
    """``{.a.b}``: what is found, or with a ``body`` that for each of it (``{range .a}…{end}``)."""

    expression: str
    body: list[str | _Path] | None = None


def _parse(template: str) -> list[str | _Path]:
    """Texts, and what stands between them."""
    stack: list[list[str | _Path]] = [[]]
    position = 0
    for match in _ACTION.finditer(template):
        if match.start() > position:
            stack[-1].append(_plain(template[position : match.start()]))
        position = match.end()
        inner = match[1].strip()
        if inner.startswith("range"):
            body: list[str | _Path] = []
            stack[-1].append(_Path(inner[5:].strip(), body))
            stack.append(body)
        elif inner == "end":
            if len(stack) == 1:
                raise JsonPathError("not in range, nothing to end")
            stack.pop()
        elif inner[:1] in ('"', "'"):
            stack[-1].append(_unquoted(inner))
        else:
            stack[-1].append(_Path(inner))
    if position < len(template):
        stack[-1].append(_plain(template[position:]))
    if len(stack) != 1:
        raise JsonPathError("unclosed range")
    return stack[0]


def _render(root: object, here: object, nodes: list[str | _Path], output: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            output.append(node)
            continue
        found = _find(root, here, node.expression)
        if node.body is None:
            output.append(" ".join(_text(each) for each in found))
            continue
        for item in found:
            for each in item if isinstance(item, list) and not node.expression.endswith("]") else [item]:
                _render(root, each, node.body, output)


def _find(root: object, here: object, path: str) -> list[object]:
    if path.startswith("$"):
        here, path = root, path[1:]
    path = path.removeprefix("@")
    if path and path[0] not in ".[":
        path = "." + path
    current = [here]
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise JsonPathError(f"unrecognized character in action: {path[position:]!r}")
        position = match.end()
        current = [found for value in current for found in _step(root, value, match)]
    return current


def _step(root: object, value: object, match: re.Match[str]) -> Iterator[object]:
    groups = match.groupdict()
    name = groups["name"] or (_unquoted(groups["quoted"]) if groups["quoted"] else None)
    if groups["deep"]:
        yield from _deep(value, groups["deep"].replace("\\", ""))
    elif name is not None and name != "*":
        name = name.replace("\\", "")
        if isinstance(value, Mapping):
            if name not in value:
                raise JsonPathError(f"{name} is not found")
            yield value[name]
        elif value is not None:
            raise JsonPathError(f"{name} is not found")
    elif name == "*" or groups["star"]:
        yield from value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    elif groups["index"] or groups["union"] or groups["slice"]:
        if not isinstance(value, list):
            raise JsonPathError(f"{json.dumps(value)[:80]} is not array or slice")
        if groups["slice"]:
            parts = [_index(part) if part else None for part in groups["slice"].split(":")]
            yield from value[slice(*parts)]
            return
        for word in (groups["index"] or groups["union"]).split(","):
            index = _index(word)
            if not -len(value) <= index < len(value):
                raise JsonPathError(f"array index out of bounds: index {index}, length {len(value)}")
            yield value[index]
    elif groups["filter"]:
        yield from _filter(root, value, groups["filter"])
    else:
        yield value


def _filter(root: object, value: object, text: str) -> Iterator[object]:
    match = _COMPARE.match(text)
    if match is None:
        raise JsonPathError(f"unrecognized filter {text!r}")
    for item in value if isinstance(value, list) else []:
        try:
            found = _find(root, item, match["path"])
        except JsonPathError:
            continue
        if match["op"] is None:
            if found:
                yield item
            continue
        wanted = match["value"].strip()
        right: object = wanted[1:-1] if wanted[:1] in ("'", '"') else _literal(wanted)
        if found and _compare(found[0], match["op"], right):
            yield item


_ACTION = regex(r"""\{((?:[^{}"']|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')*)\}""", re.DOTALL)


def _plain(text: str) -> str:
    """A text between actions."""
    if "{" in text:
        raise JsonPathError("unclosed action")
    return text


_ESCAPE = regex(r"\\.|\"", re.DOTALL)


def _unquoted(text: str) -> str:
    """What stands between quotes of either kind."""
    body = text[1:-1] if text[:1] == text[-1:] and len(text) > 1 else "\\"
    if text[:1] == "'":
        body = _ESCAPE.sub(lambda match: {"\\'": "'", '"': '\\"'}.get(match[0], match[0]), body)
    try:
        return str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        raise JsonPathError(f"unquote string {text} error invalid syntax") from None


def _literal(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found


def _compare(left: object, word: str, right: object) -> bool:
    try:
        return bool(_OPERATORS[word](left, right))
    except TypeError:
        return False


def _deep(value: object, name: str) -> Iterator[object]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if name in (key, "*"):
                yield inner
            yield from _deep(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _deep(inner, name)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(word: str) -> int:
    try:
        return int(word[:20])  # more digits are out of bounds, too
    except ValueError:
        raise JsonPathError(f"invalid array index {word}") from None
