"""The results of benchmarks as files: what was measured, on which machine, when, and of which commit.

``scripts/reliability.py`` and ``scripts/performance.py`` make pages of docs of the files in ``benchmarks/results``.
``rows`` is a table: mappings with the same keys, which are its head.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["about", "results", "show", "table", "write", "write_page"]

ROOT = Path(__file__).resolve().parent.parent


def about() -> dict[str, str]:
    """``machine``, ``date`` and ``commit`` of what is measured now."""
    cpu = ""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.machine()
    python = f"Python {platform.python_version()}"
    machine = f"{os.cpu_count()} x {cpu}, Linux {platform.release().partition('-')[0]}, {python}"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"machine": machine, "date": today, "commit": _commit()}


def show(value: Mapping[str, Any]) -> None:
    """Print what was found, a line each; faults are the caller's to show."""
    for name, each in value.items():
        if name != "faults":
            print(f"{name.replace('_', ' '):32} {json.dumps(each) if isinstance(each, dict) else each}")


def write(path: Path, value: Mapping[str, Any]) -> None:
    """Write results to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def results() -> dict[str, dict[str, Any]]:
    """What there is in ``benchmarks/results``, by the name of the benchmark."""
    files = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def table(head: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """A table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_page(path: Path, text: str) -> int:
    """Write a page of docs; with ``--check`` only tell whether it is there. The exit code."""
    if "--check" in sys.argv:
        return 0 if path.exists() and path.read_text(encoding="utf-8") == text else 1
    path.write_text(text, encoding="utf-8")
    return 0


def _commit() -> str:
    """The commit, with a ``+`` where the tree is another."""
    git = ["git", "-C", str(ROOT)]
    try:
        name = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "sdk"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.stdout.strip() + ("+" if changed.stdout.strip() else "")
