"""Selectors: of labels (``-l``, conditions of resources) and of the fields of nodes (``--node-field-selector``).

Both are read as Kubernetes reads them (k8s.io/apimachinery, pkg/labels and pkg/fields), its oddities included: a field
selector knows no blanks, and a field that a node does not have is empty text. Which fields a node has is Argo's
(workflow/util, SelectorMatchesNode).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from tiphys.errors import RefusedError
from tiphys.expr.gotext import atoi
from tiphys.lazy import regex

if TYPE_CHECKING:
    from tiphys.argo.types import Node, TemplateRef

__all__ = [
    "FieldSelector",
    "Requirement",
    "SelectorError",
    "fields_of_node",
    "label_key_problem",
    "label_value_problem",
    "matches_labels",
    "matches_node",
    "parse_fields",
    "parse_labels",
]

_NAME = regex(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = regex(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME = 63
_LONGEST_PREFIX = 253

_BLANKS = " \t\r\n"
_SYMBOLS = ("==", "!=", "=", "!", "(", ")", ",", ">", "<")
_SPECIAL = "=!(),><"
_OPERATORS = {"in": "in", "notin": "notin", "=": "=", "==": "==", "!=": "!=", ">": "gt", "<": "lt"}
_END = ""


class SelectorError(RefusedError):
    """The text is no selector: TIP266."""

    def __init__(self, message: str, text: str, fix: str) -> None:
        super().__init__("TIP266", message, where=f"the selector {text!r}", fix=fix)
        self.text = text

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.text, self.fix)


# -- labels ----------------------------------------------------------------------------------------------------------


def label_key_problem(key: str) -> str:
    """Say why a text is no key of a label; empty when it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        if len(prefix) > _LONGEST_PREFIX:
            return f"the prefix of a key has at most {_LONGEST_PREFIX} characters: {key!r}"
        if not _PREFIX.fullmatch(prefix):
            return f"the prefix of the key {key!r} is no domain (lower case letters, digits, `-` and `.`)"
    return _name_problem(name, f"the key {key!r}")


def label_value_problem(value: str) -> str:
    """Say why a text is no value of a label; empty when it is one."""
    return _name_problem(value, f"the value {value!r}") if value else ""


def _name_problem(name: str, what: str) -> str:
    if len(name) > _LONGEST_NAME:
        return f"{what} has more than {_LONGEST_NAME} characters"
    if not _NAME.fullmatch(name):
        return f"{what} is not letters, digits, `-`, `_` and `.`, with a letter or digit at both ends"
    return ""


class Requirement(NamedTuple):
    """One condition: ``operator`` is ``=``, ``==``, ``!=``, ``in``, ``notin``, ``exists``, ``!``, ``gt``, ``lt``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As Go prints the struct in Argo's messages: ``{status.phase in [Error Failed]}``."""
        return "{" + f"{self.key} {self.operator} [{' '.join(self.values)}]" + "}"

    def matches(self, get: Callable[[str], str | None]) -> bool:
        """Whether it holds; ``get`` gives the value of a key, or None."""
        value = get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        left, right = atoi(value or ""), atoi(self.values[0])
        if left is None or right is None:
            return False
        return left > right if self.operator == "gt" else left < right


def parse_labels(text: str) -> list[Requirement]:
    """The requirements of a label selector, sorted by key; none of an empty text, which selects everything.

    Raises
    ------
    SelectorError
        TIP266: it is no label selector.
    """
    return sorted(_Labels(text).parse(), key=lambda requirement: requirement.key)


def matches_labels(requirements: Iterable[Requirement], labels: Mapping[str, str] | None) -> bool:
    """Whether an object's labels meet all requirements of a selector."""
    get = (labels or {}).get
    for each in requirements:  # noqa: SIM110  all() of a generator takes three times as long, and lists ask it often
        if not each.matches(get):
            return False
    return True


class _Labels:
    """A reader of label selectors: ``x in (a,,b),y,!z,w!=1,v>2``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [*_tokens(text), _END]
        self.place = 0

    def error(self, message: str) -> SelectorError:
        fix = "write for example app=web,tier!=db or 'app in (a,b)'"
        return SelectorError(message, self.text, fix)

    def unexpected(self, token: str, expected: str) -> SelectorError:
        return self.error(f"found '{token}', expected: {expected}")

    def next(self) -> str:
        self.place += 1
        return self.tokens[self.place - 1]

    def ahead(self) -> str:
        return self.tokens[self.place]

    def parse(self) -> Iterator[Requirement]:
        if self.ahead() == _END:
            return
        if not self.begins():
            raise self.unexpected(self.ahead(), "!, identifier, or 'end of string'")
        while True:
            try:
                found = self.requirement()
            except SelectorError as error:
                raise self.error(f"unable to parse requirement: {error.message}") from None
            yield found
            token = self.next()
            if token == _END:
                return
            if token != ",":
                raise self.unexpected(token, "',' or 'end of string'")
            if not self.begins():
                raise self.unexpected(self.ahead(), "identifier after ','")

    def begins(self) -> bool:
        return self.ahead() == "!" or _is_word(self.ahead())

    def requirement(self) -> Requirement:
        key = self.next()
        absent = key == "!"
        if absent:
            key = self.next()
        if not _is_word(key):
            raise self.unexpected(key, "identifier")
        self.refuse(label_key_problem(key))
        if absent:
            return Requirement(key, "!")
        if self.ahead() in (_END, ","):
            return Requirement(key, "exists")
        token = self.next()
        operator = _OPERATORS.get(token)
        if operator is None:
            raise self.unexpected(token, "in, notin, =, ==, !=, gt, lt")
        values = self.listed() if operator in ("in", "notin") else [self.exact()]
        if operator in ("gt", "lt") and atoi(values[0]) is None:
            raise self.error(f"{token} compares whole numbers, not {values[0]!r}")
        for value in values:
            self.refuse(label_value_problem(value))
        return Requirement(key, operator, tuple(values))

    def refuse(self, problem: str) -> None:
        if problem:
            raise self.error(problem)

    def exact(self) -> str:
        if self.ahead() in (_END, ","):
            return ""
        token = self.next()
        if not _is_word(token):
            raise self.unexpected(token, "identifier")
        return token

    def listed(self) -> list[str]:
        token = self.next()
        if token != "(":
            raise self.unexpected(token, "'('")
        if self.ahead() == ")":
            self.next()
            return [""]
        if self.ahead() != "," and not _is_word(self.ahead()):
            raise self.unexpected(self.ahead(), "',', ')' or identifier")
        found: set[str] = set()
        while True:
            token = self.next()
            if _is_word(token):
                found.add(token)
                if self.ahead() == ")":
                    break
                if self.ahead() != ",":
                    raise self.unexpected(self.ahead(), "',' or ')'")
            elif token == ",":
                if not found or self.ahead() in (",", ")"):
                    found.add("")
                if self.ahead() == ")":
                    break
                if self.ahead() == ",":  # two commas are one empty value, and no end: Go refuses (a,,)
                    self.next()
            else:
                raise self.unexpected(token, "',', or identifier")
        self.next()
        return sorted(found)


def _is_word(token: str) -> bool:
    return token != _END and token not in _SYMBOLS


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while True:
        while place < len(text) and text[place] in _BLANKS:
            place += 1
        if text[place : place + 1] in ("", "\0"):  # what Go's reader takes for the end
            return
        start = place
        symbol = next((each for each in _SYMBOLS if text.startswith(each, place)), "")
        place += len(symbol)
        while not symbol and place < len(text) and text[place] not in _BLANKS + _SPECIAL + "\0":
            place += 1
        yield text[start:place]
        place += text[place : place + 1] == "\0"


# -- fields ----------------------------------------------------------------------------------------------------------


class FieldSelector(NamedTuple):
    """What a field selector asks: (field, whether it must equal, value) each; nothing selects everything."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether all terms hold; a field that is not there is empty text."""
        return all((fields.get(field, "") == value) == equal for field, equal, value in self.terms)


def parse_fields(text: str) -> FieldSelector:
    r"""Read a field selector: ``displayName=a,phase!=Failed``; ``\,``, ``\=`` and ``\\`` stand for themselves.

    Raises
    ------
    SelectorError
        TIP266: it is no field selector.
    """
    terms = (_term(part, text) for part in sorted(_parts(text)) if part)
    return FieldSelector(tuple(term for term in terms if term[0] or term[2]))  # nothing asks nothing: ``!=``


def _parts(text: str) -> Iterator[str]:
    start = place = 0
    while place < len(text):
        if text[place] == ",":
            yield text[start:place]
            start = place + 1
        place += 2 if text[place] == "\\" else 1
    yield text[start:]


def _term(part: str, text: str) -> tuple[str, bool, str]:
    found = re.search("!=|==|=", part)
    fix = "write for example displayName=approve, or phase!=Failed"
    if not found:
        raise SelectorError(f"invalid selector: {text!r}; can't understand {part!r}", text, fix)
    value = part[found.end() :]
    odd = re.sub(r"\\[\\,=]", "", value)
    if "\\" in odd:
        raise SelectorError(f"invalid escape sequence in {value!r}", text, r"write \\ for a backslash")
    if "=" in odd:
        raise SelectorError(f"unescaped = in {value!r}", text, r"write \= for an equals sign in a value")
    return part[: found.start()], found[0] != "!=", re.sub(r"\\(.)", r"\1", value)


def fields_of_node(node: Node) -> dict[str, str]:
    """The fields of a node that Argo's selectors know."""
    reference: TemplateRef = node.get("templateRef") or {}
    fields = {
        "displayName": str(node.get("displayName") or ""),
        "templateName": str(reference.get("template") if reference else node.get("templateName") or ""),
        "phase": str(node.get("phase") or ""),
        "name": str(node.get("name") or ""),
        "id": str(node.get("id") or ""),
    }
    if reference:
        fields["templateRef.name"] = str(reference.get("name") or "")
        fields["templateRef.template"] = str(reference.get("template") or "")
    for item in (node.get("inputs") or {}).get("parameters") or ():
        value = item.get("value")
        fields[f"inputs.parameters.{item.get('name')}.value"] = "" if value is None else str(value)
    return fields


def matches_node(selector: FieldSelector, node: Node) -> bool:
    """Whether a node is selected."""
    return selector.matches(fields_of_node(node))
