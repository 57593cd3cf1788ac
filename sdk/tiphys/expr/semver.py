"""Semantic versions and their constraints, as sprig offers them (``sprig.semver``, ``sprig.semverCompare``).

Source: github.com/Masterminds/semver v3.3.0, its README; held against answers of the library (tests/expr/methods.json).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from tiphys.expr.gotext import bounded
from tiphys.expr.lexer import ExprError
from tiphys.lazy import regex

Value = Any

__all__ = ["SemverVersion", "compare_constraint", "parse_version"]

_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = regex(rf"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-({_IDENTIFIERS}))?(?:\+({_IDENTIFIERS}))?", re.ASCII)
_OPERATORS = r"=>|=<|>=|<=|!=|~>|[=<>~^]"
_PART = (
    rf"v?([0-9]+|[xX*])(?:\.([0-9]+|[xX*])(?:\.([0-9]+|[xX*]))?)?(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?"
)
_CONSTRAINT = regex(rf"({_OPERATORS})?\s*{_PART}", re.ASCII)
# blanks are taken whole: tried in two ways each, a list of many would take for ever
_SEVERAL = regex(
    rf"\s*+(?:{_OPERATORS})?\s*+{_PART}(?:(?:\s++,?|,)\s*+(?:{_OPERATORS})?\s*+{_PART})*\s*", re.ASCII
)
_RANGE = regex(rf"\s*({_PART})\s+-\s+({_PART})\s*", re.ASCII)


class _Parts(NamedTuple):
    """Of a version. ``original`` is how it was written, empty for one that was made of another."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""
    metadata: str = ""
    original: str = ""


class SemverVersion:
    """A version: to expressions no list, as its parts would be.

    Go has the methods in ``_POINTER`` only for one that has its ``original``, which is a pointer there.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: _Parts) -> None:
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SemverVersion) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __str__(self) -> str:
        major, minor, patch, prerelease, metadata, _ = self.parts
        return f"{major}.{minor}.{patch}" + (prerelease and f"-{prerelease}") + (metadata and f"+{metadata}")

    @property
    def order(self) -> tuple[Any, ...]:
        """What versions are compared by: metadata counts for nothing, a prerelease comes before its release."""
        major, minor, patch, prerelease, *_ = self.parts
        numbers = ((p, p.lstrip("0")) for p in prerelease.split("."))  # of any length
        parts = tuple((0, len(n), n) if p.isdigit() else (1, 0, p) for p, n in numbers)
        return (major, minor, patch, (0, parts) if prerelease else (1, ()))

    def compare(self, other: SemverVersion) -> int:
        """Return -1, 0 or 1."""
        return (self.order > other.order) - (self.order < other.order)

    def changed(self, **parts: Any) -> SemverVersion:
        """Return a version made of this one."""
        return SemverVersion(self.parts._replace(original="", **parts))

    def method(self, name: str) -> Callable[..., Value] | None:
        """Return a method of Go's type of that name."""
        found = None if name in _POINTER and not self.parts.original else _METHODS.get(name)
        return None if found is None else lambda *arguments: found(self, *arguments)


def parse_version(text: str) -> SemverVersion:
    """Read a version; a minor or patch that is missing is 0.

    Raises
    ------
    ExprError
        It is none.
    """
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ExprError("Invalid Semantic Version")
    numbers = [_segment(part or "0") for part in match.group(1, 2, 3)]
    _no_leading_zero(match[4] or "")
    major, minor, patch = numbers
    return SemverVersion(_Parts(major, minor, patch, match[4] or "", match[5] or "", text))


def _segment(text: str) -> int:
    number = bounded(text)
    if number >= 2**64:
        raise ExprError("Error parsing version segment")
    return number


def _no_leading_zero(prerelease: str) -> None:
    if any(part.isdigit() and len(part) > 1 and part[0] == "0" for part in prerelease.split(".")):
        raise ExprError("Version Segment starts with 0")


def _identifiers(text: str) -> str:
    if text and not re.fullmatch(_IDENTIFIERS, text):
        raise ExprError("Invalid characters in version")
    return text


def _set_prerelease(version: SemverVersion, text: str) -> SemverVersion:
    _no_leading_zero(_identifiers(text))
    return version.changed(prerelease=text)


def _set_metadata(version: SemverVersion, text: str) -> SemverVersion:
    return version.changed(metadata=_identifiers(text))


def _ordered(test: Callable[[int], bool]) -> Callable[[SemverVersion, Value], bool]:
    def run(version: SemverVersion, other: Value) -> bool:
        return test(version.compare(_version(other)))

    return run


def _version(value: Value) -> SemverVersion:
    if not isinstance(value, SemverVersion) or not value.parts.original:
        raise ExprError(f"cannot use {type(value).__name__} as a version")
    return value


def _increased(version: SemverVersion) -> SemverVersion:
    patch = version.parts.patch if version.parts.prerelease else version.parts.patch + 1
    return version.changed(patch=patch, **_RELEASE)


_RELEASE = {"prerelease": "", "metadata": ""}
_POINTER = ("Original", "Compare", "LessThan", "LessThanEqual", "GreaterThan", "GreaterThanEqual", "Equal")


_METHODS: dict[str, Callable[..., Value]] = {
    "Major": lambda v: v.parts.major, "Minor": lambda v: v.parts.minor, "Patch": lambda v: v.parts.patch,
    "Prerelease": lambda v: v.parts.prerelease, "Metadata": lambda v: v.parts.metadata,
    "Original": lambda v: v.parts.original, "String": str, "Value": str,
    "IncMajor": lambda v: v.changed(major=v.parts.major + 1, minor=0, patch=0, **_RELEASE),
    "IncMinor": lambda v: v.changed(minor=v.parts.minor + 1, patch=0, **_RELEASE), "IncPatch": _increased,
    "SetPrerelease": _set_prerelease, "SetMetadata": _set_metadata, "Compare": lambda v, o: v.compare(_version(o)),
    "LessThan": _ordered(lambda c: c < 0), "LessThanEqual": _ordered(lambda c: c <= 0),
    "GreaterThan": _ordered(lambda c: c > 0), "GreaterThanEqual": _ordered(lambda c: c >= 0),
    "Equal": _ordered(lambda c: c == 0),
}  # fmt: skip


class _Constraint(NamedTuple):
    """One comparison; ``given`` is how many of its version's three numbers are written."""

    operator: str
    version: SemverVersion
    given: int

    def admits(self, version: SemverVersion) -> bool:
        if version.parts.prerelease and not self.version.parts.prerelease:
            return False
        return _CHECKS[self.operator](self, version)


def _not_equal(constraint: _Constraint, version: SemverVersion) -> bool:
    if constraint.given == 3:
        return version.compare(constraint.version) != 0
    numbers, wanted = _numbers(version), _numbers(constraint.version)
    return numbers[: constraint.given] != wanted[: constraint.given]


def _greater(constraint: _Constraint, version: SemverVersion) -> bool:
    if constraint.given == 3:
        return version.compare(constraint.version) > 0
    return _numbers(version)[: constraint.given] > _numbers(constraint.version)[: constraint.given]


def _not_greater(constraint: _Constraint, version: SemverVersion) -> bool:
    if constraint.given == 3:
        return version.compare(constraint.version) <= 0
    return _numbers(version)[: constraint.given] <= _numbers(constraint.version)[: constraint.given]


def _equal(constraint: _Constraint, version: SemverVersion) -> bool:
    return _tilde(constraint, version) if constraint.given < 3 else version.compare(constraint.version) == 0


def _tilde(constraint: _Constraint, version: SemverVersion) -> bool:
    if version.compare(constraint.version) < 0:
        return False
    same = min(constraint.given, 2)
    return _numbers(version)[:same] == _numbers(constraint.version)[:same]


def _caret(constraint: _Constraint, version: SemverVersion) -> bool:
    if version.compare(constraint.version) < 0:
        return False
    wanted = _numbers(constraint.version)
    first = next((at for at, number in enumerate(wanted[: constraint.given]) if number), constraint.given - 1)
    return _numbers(version)[: first + 1] == wanted[: first + 1]


def _numbers(version: SemverVersion) -> tuple[int, int, int]:
    return (version.parts.major, version.parts.minor, version.parts.patch)


_CHECKS: dict[str, Callable[[_Constraint, SemverVersion], bool]] = {
    "": _equal, "=": _equal, "!=": _not_equal, ">": _greater, "<": lambda c, v: v.compare(c.version) < 0,
    ">=": lambda c, v: v.compare(c.version) >= 0, "=>": lambda c, v: v.compare(c.version) >= 0,
    "<=": _not_greater, "=<": _not_greater, "~": _tilde, "~>": _tilde, "^": _caret,
}  # fmt: skip


@lru_cache(maxsize=256)
def _constraints(text: str) -> tuple[tuple[_Constraint, ...], ...]:
    found = []
    for several in text.split("||"):
        ends = _RANGE.fullmatch(several)
        if ends:
            several = f">={ends[1]} <={ends[6]}"
        if not _SEVERAL.fullmatch(several):
            raise ExprError(f"improper constraint: {text}")
        found.append(tuple(_constraint(match) for match in _CONSTRAINT.finditer(several)))
    return tuple(found)


def _constraint(match: re.Match[str]) -> _Constraint:
    operator, *parts, prerelease = match.groups()
    given = next((at for at, part in enumerate(parts) if part is None or part in "xX*"), 3)
    major, minor, patch = [_segment(part) for part in parts[:given]] + [0] * (3 - given)
    return _Constraint(operator or "", SemverVersion(_Parts(major, minor, patch, prerelease or "")), given)


def compare_constraint(constraint: str, version: str) -> bool:
    """Return whether a version is one that a constraint admits.

    Raises
    ------
    ExprError
        One of them cannot be read.
    """
    several = _constraints(constraint)
    have = parse_version(version)
    return any(all(each.admits(have) for each in one) for one in several)
