"""Where Argo's own cases and its command line are, when they are there."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.tools import find_program

ROOT = Path(__file__).parents[2]


def shared() -> Path | None:
    """The folder with Argo's cases: ``$TIPHYS_SHARED`` or ``../shared`` beside the repository."""
    folder = Path(os.environ.get("TIPHYS_SHARED") or ROOT.parent / "shared")
    return folder if (folder / "argo" / "lint_cases.json").exists() else None


@functools.cache
def lint_cases() -> list[dict[str, Any]]:
    """Argo's lint cases, or a skip."""
    folder = shared()
    if folder is None:
        pytest.skip("Argo's lint cases are not here (set TIPHYS_SHARED)")
    cases: list[dict[str, Any]] = json.loads((folder / "argo" / "lint_cases.json").read_text())["cases"]
    return cases


@functools.cache
def argo_binary() -> str:
    """The ``argo`` program, or a skip."""
    found = find_program("argo")
    if not found:
        pytest.skip("the argo program is not here")
    return found
