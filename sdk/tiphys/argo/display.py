"""The name that a node is shown with: an annotation of its template.

Source: argo-workflows v4.0.5, workflow/controller/operator.go (displayNameRegex). ``argo lint`` says nothing.
"""

from __future__ import annotations

from tiphys.lazy import regex

__all__ = ["DISPLAY_NAME", "PATTERN", "legal_display_name"]

DISPLAY_NAME = "workflows.argoproj.io/display-name"
PATTERN = "[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]"
_LEGAL = regex(PATTERN)


def legal_display_name(name: str) -> bool:
    """Whether Argo takes ``name``; with another the node ends in Error."""
    return _LEGAL.fullmatch(name) is not None
