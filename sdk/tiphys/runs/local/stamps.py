"""What each run of a store is now, told apart without reading it: who follows a store looks at what has changed."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tiphys.errors import StoreError
from tiphys.store import Store
from tiphys.store.ended import Line
from tiphys.store.files import clear

__all__ = ["RunStamp", "file_stamp", "names_of", "stamp", "stamps"]


@dataclass(frozen=True)
class RunStamp:
    """``stamp`` is another text when the run has changed; ``began``: when it was last written, in seconds since the
    epoch. ``ended``: its end is written. ``file``: of one that was kept of a cluster."""

    stamp: str
    began: float
    file: str = ""
    ended: bool = False

    @property
    def size(self) -> int:
        """Of the file that says how it ended, in bytes."""
        return int(self.stamp.split(".")[1]) if self.ended else 0

    def is_of(self, line: Line) -> bool:
        """Whether what is noted of a run that has ended was noted of this very end."""
        changed, size = line.stamp
        return self.ended and self.stamp.startswith(f"{changed}.{size}.")


def stamps(store: Store) -> dict[str, RunStamp]:
    """The runs of this machine. Raises StoreError TIP412 where the store cannot be read."""
    return {name: stamp(store, name) for name in names_of(store)}


def names_of(store: Store) -> set[str]:
    """The names of the runs of this machine. Raises StoreError TIP412 where the store cannot be read."""
    folder = store.root / "runs"
    with clear(folder, "read"):
        return {each.name for each in os.scandir(folder) if each.is_dir()} if folder.is_dir() else set()


def stamp(store: Store, name: str) -> RunStamp:
    """A run that has ended: the file that says how. Any other: as far as its journal goes, and whether an engine goes
    on with it."""
    folder = f"{store.root}/runs/{name}"
    end = file_stamp(f"{folder}/workflow.json")
    if end is not None:
        return RunStamp(*end, ended=True)
    parts = [file_stamp(f"{folder}/journal.db"), file_stamp(f"{folder}/journal.db-wal")]
    try:
        held = store.held(name)
    except (OSError, StoreError):
        held = False
    latest = max((part[1] for part in parts if part is not None), default=0.0)
    return RunStamp(" ".join([*(part[0] if part else "-" for part in parts), "held" * held]), latest)


def file_stamp(path: str) -> tuple[str, float] | None:
    """A file as it is, and when it was written; None for none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return f"{state.st_mtime_ns}.{state.st_size}.{state.st_ino}", state.st_mtime
