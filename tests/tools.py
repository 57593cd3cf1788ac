"""Real programs that tests ask, where they are present: ``argo`` and ``kubectl``."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["argo_lint", "find_program", "kubectl"]

_HERE = "put it on PATH, or build it: ../shared/cluster/cluster bin"


@functools.cache
def find_program(name: str) -> str | None:
    """The path of ``name``: on PATH, or where the throw-away cluster's script builds it (too long for a test)."""
    built = Path(os.environ.get("TC_ROOT") or "/var/lib/testcluster") / "bin" / name
    return shutil.which(name) or (str(built) if os.access(built, os.X_OK) else None)


def argo_lint(text: str, folder: Path) -> str:
    """What ``argo lint --offline --strict`` says against ``text``, or an empty string when it accepts it."""
    program = find_program("argo")
    if program is None:
        pytest.skip(f"the argo program is not here ({_HERE})")
    path = folder / "workflow.yaml"
    path.write_text(text, encoding="utf-8")
    answer = subprocess.run(
        [program, "lint", "--offline", "--strict", "--no-color", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


def kubectl(*arguments: str, stdin: str) -> str:
    """The output of ``kubectl`` (used only where it needs no cluster)."""
    program = find_program("kubectl")
    if program is None:
        pytest.skip(f"the kubectl program is not here ({_HERE})")
    answer = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
