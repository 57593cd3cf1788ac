"""Linting Argo objects: as strict as ``argo lint``, offline, and what Argo finds only at run time."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from tiphys.argo.version import ARGO_VERSIONS, NEWEST, Argo
from tiphys.lazy import asked_for
from tiphys.lint.finding import Finding, Severity
from tiphys.lint.linter import documents_of, lint_documents
from tiphys.lint.registry import Rule, catalogue

if TYPE_CHECKING:
    from tiphys.lint.command import cli_main
    from tiphys.lint.fixing import fix
    from tiphys.lint.formats import FORMATS, render
    from tiphys.lint.verdict import Verdict, judge

# each is slow to import, and few want all
_LATER = {
    "FORMATS": ".formats",
    "Verdict": ".verdict",
    "cli_main": ".command",
    "fix": ".fixing",
    "judge": ".verdict",
    "render": ".formats",
}

__all__ = [
    "ARGO_VERSIONS",
    "FORMATS",
    "NEWEST",
    "Argo",
    "Finding",
    "Rule",
    "Severity",
    "Verdict",
    "catalogue",
    "cli_main",
    "fix",
    "judge",
    "lint",
    "render",
]


def lint(source: Any, *, file: str = "", argo: Argo = NEWEST) -> list[Finding]:
    """Lint a path, a folder, YAML text, a mapping, a Hera workflow, or several of them together.

    ``argo`` is the version of Argo that it is written for, ``"4.0"`` or ``"4.1"``. Templates given in one file resolve
    references in another. Returns every finding, in the order of the
    text; nothing raises for what is wrong *inside* a document.

    Raises
    ------
    RefusedError
        TIP201 or TIP202 when a file cannot be read at all, TIP204 when it is too large, TIP214 when
        ``source`` is nothing that can be linted, TIP215 for a version of Argo that the linter does not know.
    """
    return lint_documents(documents_of(source, file), argo=argo)


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _LATER, name)


class _Callable(types.ModuleType):
    """The package is also the function: ``tiphys.lint(x)`` is ``tiphys.lint.lint(x)``."""

    def __call__(self, source: Any, *, file: str = "", argo: Argo = NEWEST) -> list[Finding]:
        return lint(source, file=file, argo=argo)


sys.modules[__name__].__class__ = _Callable
