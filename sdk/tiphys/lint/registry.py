"""Rules: small functions with stable codes. ``L1`` reading, ``L2`` Argo, ``L3`` run time, ``L4`` use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tiphys.argo.reader import Document, Path
from tiphys.lint.finding import Severity

__all__ = ["Issue", "Rule", "catalogue", "rule"]


class Issue(NamedTuple):
    """What a rule yields: where (a path in the object), what, and how to fix it."""

    path: Path
    message: str
    fix: str = ""
    near: tuple[str, ...] = ()  # what may have been meant
    wrong: str = ""  # the word that is wrong, where the message does not quote it first
    key: bool = False  # point at the key of the path, not at its value
    severity: Severity | None = None  # instead of the rule's own
    document: Document | None = None  # instead of the subject's own
    at: tuple[int, int] | None = None  # line and column, where the path does not lead there


class Rule(NamedTuple):
    """A rule and its words for docs/rules.md. ``argo`` tells that ``argo lint`` rejects what it finds."""

    code: str
    name: str
    severity: Severity
    what: str
    why: str
    source: str
    scope: str
    argo: bool
    fixable: bool
    needs: str
    check: Callable[[Any], Iterator[Issue]]


catalogue: dict[str, Rule] = {}


def rule(
    code: str,
    name: str,
    severity: Severity,
    *,
    what: str,
    why: str,
    source: str,
    scope: str = "workflow",
    argo: bool | None = None,
    fixable: bool = False,
    needs: str = "",
) -> Callable[[Callable[[Any], Iterator[Issue]]], Callable[[Any], Iterator[Issue]]]:
    """Register a rule.

    ``scope`` is what the function is given: ``workflow`` (each Argo object), ``template`` (each of its
    templates), ``manifest`` (each object in a resource template), ``project``
    (all that was given at once). ``needs`` is a word without which a text cannot break the rule, or have others break
    it.
    """

    def register(check: Callable[[Any], Iterator[Issue]]) -> Callable[[Any], Iterator[Issue]]:
        if code in catalogue:
            raise ValueError(f"two rules have the code {code}")
        rejects = code.startswith(("L1", "L2")) and severity == "error" if argo is None else argo
        catalogue[code] = Rule(code, name, severity, what, why, source, scope, rejects, fixable, needs, check)
        return check

    return register
