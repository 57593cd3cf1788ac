"""Notebooks in a real kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["executed"]


def executed(notebook: Any, folder: Path) -> list[str]:
    """Run a notebook in ``folder``; what each of its code cells wrote and gave. Raises where a cell does."""
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return ["".join(map(_text, cell.outputs)) for cell in notebook.cells if cell.cell_type == "code"]


def _text(output: Any) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
