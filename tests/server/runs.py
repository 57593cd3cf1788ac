"""Runs of a store, made by the engine in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.running import GATE, HELLO
from tiphys.engine import RunOptions, run
from tiphys.engine.runtime import Run


def ended(store: Path, name: str, **labels: str) -> dict[str, Any]:
    """A run that has ended; its Workflow."""
    workflow = {**HELLO, "metadata": {"name": name, "labels": labels}}
    found: Any = run(workflow, options=RunOptions(store=store, images={"*": "host"})).workflow
    return found


def laid_down(store: Path, name: str, **labels: str) -> str:
    """A run that is written down, and that no engine has taken up."""
    workflow: Any = {**GATE, "metadata": {"name": name, "labels": labels}}
    return Run(workflow, options=RunOptions(store=store, images={"*": "host"})).lay_down()
