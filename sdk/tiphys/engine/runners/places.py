"""Where a path of a container is on this machine, held so that no link which a step has made leads out of its files.

A step, or another one on the same volume, may have left links anywhere, and may change them meanwhile. So a path is
walked from folder to folder by descriptors, each link is followed as the container would follow it, and what is found
is used through the last descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tiphys.engine.runners.base import Mount, absolute

__all__ = ["held", "make_folders"]

_MOST_LINKS = 40  # as the kernel
_HELD = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def held(path: str, root: Path, mounts: Sequence[Mount] = ()) -> Iterator[Path]:
    """The place of a container's path; the folders above it are made, and it stays in the folder that was found.

    What is there already, a link included, is not looked at. Raises OSError.
    """
    path = absolute(path)
    if (source := _tops(mounts).get(path)) is not None:
        yield source
        return
    above, name = os.path.split(path)
    with _Walk(root, mounts) as walk:
        walk.go(above)
        yield Path(walk.here, name)


def make_folders(path: str, root: Path, mounts: Sequence[Mount] = ()) -> str:
    """Make the folders of a container's path; the same path without links. Raises OSError."""
    with _Walk(root, mounts) as walk:
        walk.go(absolute(path))
        return "/" + "/".join(walk.done)


def _tops(mounts: Sequence[Mount]) -> dict[str, Path]:
    return {mount.path.rstrip("/") or "/": mount.source for mount in mounts}


class _Walk:
    """A walk through a container's folders; ``done`` are the names on the way, none of them a link."""

    def __init__(self, root: Path, mounts: Sequence[Mount]) -> None:
        self._tops = _tops(mounts)
        self._open = [os.open(self._tops.get("/", root), _HELD & ~os.O_NOFOLLOW)]
        self.done: list[str] = []

    def __enter__(self) -> _Walk:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open:
            os.close(descriptor)

    @property
    def here(self) -> str:
        """The folder that was reached; other programs of this user can use it, too."""
        return f"/proc/{os.getpid()}/fd/{self._open[-1]}"

    def go(self, path: str) -> None:
        """Go on from the root, and make what is not there."""
        left = path.split("/")[::-1]
        links = 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if self.done:
                    self.done.pop()
                    os.close(self._open.pop())
                continue
            link = self._enter(part)
            if link is None:
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if link.startswith("/"):
                while self.done:
                    self.done.pop()
                    os.close(self._open.pop())
            left += link.split("/")[::-1]

    def _enter(self, part: str) -> str | None:
        """Go into one folder; of a link its target."""
        source = self._tops.get("/" + "/".join([*self.done, part]))
        if source is not None:
            self._open.append(os.open(source, _HELD & ~os.O_NOFOLLOW))
        else:
            try:
                found = self._folder(part)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                try:
                    return os.readlink(part, dir_fd=self._open[-1])
                except OSError:
                    raise error from None
            self._open.append(found)
        self.done.append(part)
        return None

    def _folder(self, part: str) -> int:
        try:
            return os.open(part, _HELD, dir_fd=self._open[-1])
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=self._open[-1])
            return os.open(part, _HELD, dir_fd=self._open[-1])
