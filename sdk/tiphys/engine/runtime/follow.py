"""Following the logs of a run: new lines of every file in ``logs/``, in the loop's thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tiphys.engine.base.loop import Loop
from tiphys.engine.base.observations import LogLine, NodeChanged, Observation

__all__ = ["LogFollower"]

_PERIOD = 0.2
_CHUNK = 1 << 16
_SUFFIX = ".log"


class LogFollower:
    """Looks at the files now and then and tells whole lines.

    Files of nodes that have ended are left alone until the run ends, so that a look costs what the running nodes
    cost, however many there have been.
    """

    def __init__(self, loop: Loop, folder: Path, tell: Callable[[Observation], None]) -> None:
        self._loop = loop
        self._folder = folder
        self._tell = tell
        self._read = {name: os.stat(folder / name).st_size for name in os.listdir(folder)}
        self._rest: dict[str, bytes] = {}
        self._live = set(self._read)
        self._known = set(self._read)
        self._timer = loop.call_later(_PERIOD, self._tick)

    def hear(self, seen: Observation) -> None:
        """Pass an observation on; before a node's end come the lines that it had left to tell."""
        if isinstance(seen, NodeChanged) and seen.change == "finished":
            own = f"{seen.node['id']}{_SUFFIX}"
            others = tuple(name for name in self._live if name.startswith(f"{seen.node['id']}."))
            if own not in self._known and os.path.exists(self._folder / own):
                others = (own, *others)
            for name in others:
                self._look(name)
                self._flush(name)
            self._known.update(others)
            self._live.difference_update(others)
        self._tell(seen)

    def close(self) -> None:
        """Tell what is left, unfinished lines too."""
        self._timer.cancel()
        for name in sorted(os.listdir(self._folder)):
            self._look(name)
            self._flush(name)

    def _tick(self) -> None:
        new = set(os.listdir(self._folder)) - self._known
        self._known |= new
        self._live |= new
        for name in sorted(self._live):
            self._look(name)
        self._timer = self._loop.call_later(_PERIOD, self._tick)

    def _look(self, name: str) -> None:
        if not name.endswith(_SUFFIX):
            return
        path = self._folder / name
        size, position = os.stat(path).st_size, self._read.get(name, 0)
        if size <= position:
            return
        with path.open("rb") as stream:
            stream.seek(position)
            while data := stream.read(_CHUNK):
                position += len(data)
                *lines, rest = (self._rest.get(name, b"") + data).split(b"\n")
                self._rest[name] = rest
                for line in lines:
                    self._line(name, line)
        self._read[name] = position

    def _flush(self, name: str) -> None:
        """Tell a last line that nothing ended."""
        if rest := self._rest.pop(name, b""):
            self._line(name, rest)

    def _line(self, name: str, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._tell(LogLine(self._loop.now(), name.removesuffix(_SUFFIX), text))
