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
_LINE = 1 << 16  # bytes of a line that are told at once; more come as another line
_TURN = 1 << 20  # bytes that are read before the loop has its turn
_SUFFIX = ".log"


class LogFollower:
    """Looks at the files now and then and tells whole lines.

    Files of nodes that have ended are left alone until the run ends, so that a look costs what the running nodes
    cost, however many there have been. ``latest``: of what came since the last look only the end is told, so that it
    costs little, however much they write.
    """

    def __init__(
        self, loop: Loop, folder: Path, tell: Callable[[Observation], None], *, latest: bool = False
    ) -> None:
        self._loop = loop
        self._folder = folder
        self._tell = tell
        self._latest = latest
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
        more = [name for name in sorted(self._live) if not self._look(name, _TURN)]
        self._timer = self._loop.call_later(0.0 if more else _PERIOD, self._tick)

    def _look(self, name: str, most: int | None = None) -> bool:
        """Tell what is new, up to so many bytes; whether that was all."""
        if not name.endswith(_SUFFIX):
            return True
        path = self._folder / name
        size, position = os.stat(path).st_size, self._read.get(name, 0)
        if size <= position:
            return True
        cut = self._latest and size - position > _CHUNK
        if cut:
            position = size - _CHUNK
            self._rest.pop(name, None)
        last = size if most is None else min(size, position + most)
        with path.open("rb") as stream:
            stream.seek(position)
            while position < last and (data := stream.read(_CHUNK)):
                position += len(data)
                if cut:  # begin with a whole line
                    cut, data = False, data.partition(b"\n")[2]
                *lines, rest = (self._rest.get(name, b"") + data).split(b"\n")
                if len(rest) >= _LINE:
                    lines, rest = [*lines, rest], b""
                self._rest[name] = rest
                for line in lines:
                    self._line(name, line)
        self._read[name] = position
        return position >= size

    def _flush(self, name: str) -> None:
        """Tell a last line that nothing ended."""
        if rest := self._rest.pop(name, b""):
            self._line(name, rest)

    def _line(self, name: str, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._tell(LogLine(self._loop.now(), name.removesuffix(_SUFFIX), text))
