"""The runs that have ended, in one file: who lists a store need not read what each of them wrote.

The file is a help, and not what is true: a line counts only for the very ``workflow.json`` it was written for, and a
run without a line is read. A line that is damaged is none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.frozen import frozen
from tiphys.reference import contents
from tiphys.store.files import clear
from tiphys.store.layout import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["Ended", "Line", "brief"]

_FILE = "ended.jsonl"
_SPEC = ("shutdown", "suspend", "ttlStrategy")


@frozen
class Line:
    """One run: which ``workflow.json`` it is about, when the run began, the Workflow without nodes and templates."""

    stamp: tuple[int, int]
    began: float
    workflow: Workflow


def brief(workflow: Workflow) -> Workflow:
    """What a list shows of a Workflow: all but its nodes and its templates, as the Argo Server's lists have it."""
    spec, status = workflow.get("spec") or {}, workflow.get("status") or {}
    stored = (status.get("storedWorkflowTemplateSpec") or {}).get("ttlStrategy")
    if stored and "ttlStrategy" not in spec:
        spec = {**spec, "ttlStrategy": stored}
    kept = {"phase", "message", "startedAt", "finishedAt", "progress", "conditions"}
    return {
        "apiVersion": workflow.get("apiVersion", "argoproj.io/v1alpha1"),
        "kind": "Workflow",
        "metadata": workflow["metadata"],
        "spec": {key: spec[key] for key in _SPEC if key in spec},  # type: ignore[typeddict-item,literal-required]
        "status": {key: value for key, value in status.items() if key in kept},  # type: ignore[typeddict-item]
    }


class Ended:
    """The file of a store. It is read once."""

    def __init__(self, store: Store) -> None:
        self._path = store.root / _FILE

    def note(self, name: str, state: os.stat_result, began: float, workflow: Workflow) -> None:
        """Add a run, whose ``workflow.json`` has that state. Raises StoreError."""
        line = json.dumps(
            [name, state.st_mtime_ns, state.st_size, began, brief(workflow)], ensure_ascii=False
        )
        data = f"{zlib.crc32(line.encode()):08x} {line}\n".encode()
        with clear(self._path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)

    def lines(self) -> Mapping[str, Line]:
        """The last line of each run; of a file that cannot be read none."""
        found: dict[str, Line] = {}
        try:
            data = contents(self._path)
        except (OSError, ValueError):
            return found
        for each in data.split(b"\n"):
            total, _, line = each.partition(b" ")
            if b"%08x" % zlib.crc32(line) != total:
                continue
            name, changed, size, began, workflow = json.loads(line)
            found[name] = Line((changed, size), began, workflow)
        return found
