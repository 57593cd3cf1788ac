"""The logs of a run: what its steps, training workers and servers wrote into the files below ``logs/``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from tiphys.argo.nodes import origin
from tiphys.engine import runtime
from tiphys.errors import RefusedError, StoreError
from tiphys.reference import open_file
from tiphys.runs.backend import WorkflowLogLine
from tiphys.store import Store

__all__ = ["GrowingLog", "log_lines"]

_PERIOD = 0.1


class GrowingLog:
    """A log, read on from where it was left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told = 0  # bytes of the lines that were given out, with their ends
        self._position = 0
        self._rest = b""

    def lines(self, *, last: bool) -> Iterator[bytes]:
        """Whole lines that are new, without their ends; with ``last`` also one that has none. Raises OSError."""
        with open_file(self.path) as stream:
            stream.seek(self._position)
            while data := stream.read(1 << 16):
                self._position += len(data)
                *whole, self._rest = (self._rest + data).split(b"\n")
                for line in whole:
                    self.told += len(line) + 1
                    yield line.rstrip(b"\r")
        if last and self._rest:
            self.told += len(self._rest)
            yield self._rest
            self._rest = b""


class _File:
    """The log of a pod."""

    def __init__(self, path: Path, record: runtime.Record | None) -> None:
        self.pod = path.name.removesuffix(".log")
        self.source = _source(record, self.pod)
        self._log = GrowingLog(path)
        self._problem = ""  # why it could not be read, once that is told

    def lines(self, *, last: bool) -> Iterator[str]:
        """As :meth:`GrowingLog.lines`. Of one that cannot be read a line says why: the others can be."""
        try:
            for line in self._log.lines(last=last):
                yield line.decode(errors="replace")
        except OSError as error:
            if not self._problem:
                self._problem = error.strerror or str(error)
                yield f"tiphys: TIP412: cannot read {self._log.path}: {self._problem}"


def _source(record: runtime.Record | None, pod: str) -> str:
    """A name for people: the path of the step below the workflow's name; the pod's where the journal cannot be read."""
    if record is None:
        return pod
    try:
        node, name = record.machine().nodes.get(pod), record.begun().name
    except (RefusedError, StoreError):
        return pod
    return pod.removeprefix(f"{name}-") if node is None else origin(node, name)


def log_lines(
    store: Store, name: str, record: runtime.Record | None, *, follow: bool, pod: str = "", tail: int = 0
) -> Iterator[WorkflowLogLine]:
    """The lines of all logs, or of those of the step or pod called ``pod``; ``follow`` goes on until the engine ends.

    ``tail``: only the last so many lines of each log that is there already.
    """
    files: dict[Path, _File] = {}
    first = True
    while True:
        live = follow and store.held(name)  # asked before the last look: nothing is missed
        for path in sorted((store.run(name) / "logs").glob("*.log"), key=lambda path: path.lstat().st_mtime):
            file = files.get(path)
            if file is None:
                file = files[path] = _File(path, record)
            if pod and pod not in (file.pod, file.source):
                continue
            lines = file.lines(last=not live)
            for text in deque(lines, tail) if tail and first else lines:
                yield WorkflowLogLine(file.pod, "main", file.source, text)
        first = False
        if not live:
            return
        time.sleep(_PERIOD)
