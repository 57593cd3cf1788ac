"""The versions of a model: folders that are named by numbers."""

from __future__ import annotations

from pathlib import Path

__all__ = ["version_folders"]


def version_folders(base: Path) -> dict[int, Path]:
    """The folder of each version below ``base``. Raises OSError where it cannot be read."""
    return {
        int(entry.name): entry
        for entry in base.iterdir()
        if entry.name.isascii() and entry.name.isdigit() and len(entry.name) < 19 and entry.is_dir()
    }
