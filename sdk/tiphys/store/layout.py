"""Where things are in the store."""

from __future__ import annotations

import fcntl
import os
from functools import cached_property
from pathlib import Path

from tiphys.errors import StoreError
from tiphys.lazy import regex
from tiphys.reference import contents
from tiphys.store.artifacts import Artifacts
from tiphys.store.bucket import Bucket
from tiphys.store.files import clear

__all__ = ["Store"]

_BEGAN = "began"
_NAME = regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")


class Store:
    """The folder given with ``--store`` (default ``./.tiphys``); made when it is first written to."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    def volume(self, claim: str) -> Path:
        """The folder that stands for a persistent volume claim."""
        return self._folder("volumes", claim)

    def volumes(self) -> dict[str, str]:
        """Every claim that exists: ``{claim: folder}``, as :func:`tiphys.reference.resolve` takes it."""
        folder = self.root / "volumes"
        if not folder.is_dir():
            return {}
        return {path.name: str(path) for path in sorted(folder.iterdir()) if path.is_dir()}

    def run(self, name: str) -> Path:
        """The folder of a run: ``journal.db``, ``workflow.json``, ``logs/``. To ask makes none: whoever looks at a run
        that is deleted at that moment must not make it anew. Raises StoreError TIP413 for what is no name."""
        return self._path("runs", name)

    def new_run(self, name: str) -> Path:
        """The folder of a run, which is made where it is not there."""
        return self._folder("runs", name)

    def objects(self, resource: str) -> Path:
        """The folder of what a server keeps of a resource (``configmaps``), a file for each object, ``NAME.json``."""
        return self.root / "objects" / resource

    def has_run(self, name: str) -> bool:
        """Whether there is a run of that name; to ask makes no folder."""
        return _NAME.fullmatch(name) is not None and (self.root / "runs" / name).is_dir()

    def runs(self) -> list[str]:
        """The names of all runs, oldest first, by the time at which each was made."""
        folder = self.root / "runs"
        if not folder.is_dir():
            return []
        found = [path for path in folder.iterdir() if path.is_dir()]
        return [path.name for path in sorted(found, key=lambda path: (_beginning(path), path.name))]

    def note_beginning(self, name: str, moment: float) -> None:
        """Note when a run was made, for the order of :meth:`runs`: looking at a run changes its folder's own time."""
        path = self.new_run(name) / _BEGAN
        with clear(path):
            path.write_text(f"{moment!r}\n")

    def began(self, name: str) -> float:
        """When a run was made, in seconds since the epoch. Raises OSError when it is not there."""
        return _beginning(self.root / "runs" / name)

    def held(self, name: str) -> bool:
        """Whether a process goes on with a run: it holds a lock on its folder, which ends with the process. Nobody goes
        on with one that is not there."""
        try:
            descriptor = os.open(self.run(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def kept(self, source: str, namespace: str) -> Path:
        """The folder of what was kept of a cluster's Workflows."""
        return self._folder("records", source, namespace)

    @cached_property
    def artifacts(self) -> Artifacts:
        """The content-addressed artifacts."""
        return Artifacts(self._folder("artifacts"))

    @cached_property
    def bucket(self) -> Bucket:
        """The keys of artifacts; ``artifacts.collect(bucket.digests())`` deletes what no key names."""
        return Bucket(self.artifacts.folder / "keys", self.artifacts.incoming)

    @property
    def locks(self) -> Path:
        """The file of the lock table that all engines on this store share (:class:`tiphys.queue.Locks`)."""
        return self._folder() / "locks.db"

    @property
    def queue_rules(self) -> Path:
        """Users, groups and sizes of pools, if anybody wrote them down."""
        return self.root / "queue.toml"

    def _path(self, *parts: str) -> Path:
        for part in parts[1:]:
            if not _NAME.fullmatch(part):
                raise StoreError(
                    "TIP413",
                    f"{part!r} is not a name for the store",
                    fix="use letters, digits, '-', '_' and '.'",
                )
        return self.root.joinpath(*parts)

    def _folder(self, *parts: str) -> Path:
        folder = self._path(*parts)
        if not folder.is_dir():
            with clear(folder, "make"):
                folder.mkdir(parents=True, exist_ok=True)
        return folder


def _beginning(folder: Path) -> float:
    try:
        return float(contents(folder / _BEGAN))
    except (OSError, ValueError):
        return folder.stat().st_mtime  # it is being made at this moment
