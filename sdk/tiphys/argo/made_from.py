"""How annotations of a Workflow begin that say what its run was made from."""

from __future__ import annotations

__all__ = ["MADE_FROM"]

MADE_FROM = "tiphys.dev/from-"
"""``tiphys.dev/from-code``, ``-lock``, ``-git``, ``-environment``: written when a run begins, read in its record."""
