"""The project that a pipeline's file belongs to: its root folder, and the file's real name as a module there.

What a pod runs by name (`python -m hera.workflows.runner -e MODULE:FUNCTION`, a training worker's `python -m MODULE`)
must be the name under which the project's image can import it, not one that exists only while the file is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FLAG", "import_folders", "module_name", "project_of"]

FLAG = "__tiphys_pipeline__"
"""A name in a module that was loaded from a pipeline's file: its functions are embedded, not referenced."""
_MARKS = ("pyproject.toml", ".git", "setup.py")


def project_of(file: Path) -> Path:
    """The nearest folder upwards that looks like a project's root, else the file's own folder."""
    folder = file.resolve().parent
    for candidate in (folder, *folder.parents):
        if any((candidate / mark).exists() for mark in _MARKS):
            return candidate
    return folder


def import_folders(project: Path) -> Iterator[Path]:
    """The folders of a project that its modules are imported from: its root, and ``src`` where it has one."""
    yield project
    source = project / "src"
    if source.is_dir() and not (source / "__init__.py").exists():
        yield source


def module_name(file: Path) -> str:
    """The name under which the project imports ``file``, or nothing when it has none that can be used.

    The project's root decides (``pipelines/train.py`` is ``pipelines.train``), or its ``src``. A name of the standard
    library, or one that stands for another file already, is none.
    """
    file = file.resolve()
    folders = [folder for folder in import_folders(project_of(file)) if file.is_relative_to(folder)]
    base = max(folders, key=lambda folder: len(folder.parts))
    parts = list(file.relative_to(base).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    if not parts or any("." in part for part in parts) or parts[0] in sys.stdlib_module_names:
        return ""
    name = ".".join(parts)
    loaded = sys.modules.get(name)
    other = getattr(loaded, "__file__", None)
    return "" if loaded is not None and (other is None or Path(other).resolve() != file) else name
