"""Private root folders for containers, used again once they are empty: making and removing folders costs."""

from __future__ import annotations

import os
from pathlib import Path

from tiphys.store.files import remove

__all__ = ["Folders"]


class Folders:
    """Folders ``SLOT/tmp`` below one place. A step that leaves nothing behind costs two looks, not four calls that
    wait for the file system's journal."""

    def __init__(self, place: Path, *, reuse: bool = True) -> None:
        self._place = place
        self._reuse = reuse
        self._free: list[Path] = []
        self._made = 0

    def take(self, name: str) -> Path:
        """An empty root folder with ``tmp`` in it. ``name`` is its name when folders are not used again."""
        if self._free:
            return self._free.pop()
        self._made += 1
        folder = self._place / (str(self._made) if self._reuse else name)
        number = 1
        while True:
            try:
                os.mkdir(folder)
                break
            except FileExistsError:
                number += 1
                folder = folder.with_name(f"{name}-{number}")
        os.mkdir(folder / "tmp", 0o1777)
        return folder

    def give_back(self, folder: Path) -> None:
        """Empty a folder for the next one."""
        if not self._reuse:
            remove(folder)
            return
        try:
            _empty(folder, keep="tmp")
            _empty(f"{folder}/tmp")
        except OSError:
            # something in it cannot be removed: leave it, and never use it again
            remove(folder)
            return
        self._free.append(folder)


def _empty(folder: Path | str, keep: str = "") -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != keep:
                    remove(entry.path, strict=True)
            elif entry.name == keep:
                raise NotADirectoryError(entry.path)
            else:
                os.unlink(entry.path)
