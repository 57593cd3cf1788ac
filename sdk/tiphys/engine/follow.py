"""Following the logs of a run: new lines of every file in ``logs/``, in the loop's thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tiphys.engine.loop import Loop
from tiphys.engine.observe import LogLine, Observation

__all__ = ["LogFollower"]

_PERIOD = 0.2
_CHUNK = 1 << 16


class LogFollower:
    """Looks at the files now and then and tells whole lines."""

    def __init__(self, loop: Loop, folder: Path, tell: Callable[[Observation], None]) -> None:
        self._loop = loop
        self._folder = folder
        self._tell = tell
        self._read: dict[Path, int] = {path: path.stat().st_size for path in folder.glob("*.log")}
        self._rest: dict[Path, bytes] = {}
        self._timer = loop.call_later(_PERIOD, self._tick)

    def close(self) -> None:
        """Tell what is left, unfinished lines too."""
        self._timer.cancel()
        self._look()
        for path, rest in self._rest.items():
            if rest:
                self._line(path, rest)

    def _tick(self) -> None:
        self._look()
        self._timer = self._loop.call_later(_PERIOD, self._tick)

    def _look(self) -> None:
        for path in sorted(self._folder.glob("*.log")):
            size, position = path.stat().st_size, self._read.get(path, 0)
            if size <= position:
                continue
            with path.open("rb") as stream:
                stream.seek(position)
                while data := stream.read(_CHUNK):
                    position += len(data)
                    *lines, rest = (self._rest.get(path, b"") + data).split(b"\n")
                    self._rest[path] = rest
                    for line in lines:
                        self._line(path, line)
            self._read[path] = position

    def _line(self, path: Path, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self._tell(LogLine(self._loop.now(), path.name.removesuffix(".log"), text))
