"""Real programs that tests ask, where they are present: ``argo`` and ``kubectl``."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["argo_lint", "find_program", "kubectl"]

_SHARED = Path(os.environ.get("TIPHYS_SHARED") or Path(__file__).resolve().parents[2] / "shared")


@functools.cache
def find_program(name: str) -> str | None:
    """The path of ``name``: on PATH, or unpacked by the shared cluster's script."""
    found = shutil.which(name)
    script = _SHARED / "cluster" / "cluster"
    if found or not script.is_file():
        return found
    answer = subprocess.run(
        [str(script), "bin"], capture_output=True, text=True, timeout=120, check=False, env=_environment()
    )
    folder = answer.stdout.strip().splitlines()[-1:] or [""]
    path = Path(folder[0]) / name
    return str(path) if answer.returncode == 0 and path.is_file() else None


def _environment() -> dict[str, str]:
    """Without root the programs are unpacked below the user's cache."""
    environment = dict(os.environ)
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        environment.setdefault("TC_ROOT", str(Path.home() / ".cache" / "tiphys" / "testcluster"))
    return environment


def argo_lint(text: str, folder: Path) -> str:
    """What ``argo lint --offline --strict`` says against ``text``, or an empty string when it accepts it."""
    program = find_program("argo")
    if program is None:
        pytest.skip("the argo program is not here (set TIPHYS_SHARED, or put it on PATH)")
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
        pytest.skip("the kubectl program is not here (set TIPHYS_SHARED, or put it on PATH)")
    answer = subprocess.run(
        [program, *arguments], input=stdin, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
