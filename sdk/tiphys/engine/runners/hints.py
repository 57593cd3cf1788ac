"""Why a file may be missing: what the process runner cannot do, said where it is the likely cause."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tiphys.engine.runners.base import Container, absolute

__all__ = ["missing_file"]

_TAIL = 8192  # bytes of a log that are looked at
_MISSING = re.compile(
    r"No such file or directory: '(/[^']+)'|(?:^|[\s:'])(/[^\s:']+)'?: No such file or directory"
)
_WHY = (
    "plain processes get the paths that the command, the arguments, the environment and the script name moved to a "
    "folder of their own, not those that their code computes; --runner sandbox gives them a file system of their own"
)


def missing_file(container: Container, *, failed: bool) -> str:
    """A sentence about an output that is not there, or a file that a failed step did not find; else nothing."""
    for path in () if failed else container.outputs:
        place = container.on_host(path)
        if place.exists() or path in container.shown:
            continue
        found = Path(path)
        there = f"{path} is on this machine, not where the step's own files are" if found.exists() else ""
        return f"the output {path} was not found: {there or 'its path may be one that the code computes'}; {_WHY}"
    if failed and (path := _in_log(container)):
        return f"the step did not find {path}: {_WHY}"
    return ""


def _in_log(container: Container) -> str:
    """A path of the pod, not of this machine, that the log says is missing: one of its inputs, outputs or volumes."""
    try:
        with container.log.open("rb") as stream:
            stream.seek(max(0, container.log.stat().st_size - _TAIL))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    own = [absolute(path) for path in container.declared]
    own += [os.path.dirname(path) for path in own if os.path.dirname(path) not in ("/", "/tmp")]
    own += [mount.path for mount in container.mounts]
    for match in _MISSING.finditer(text):
        path = match[1] or match[2]
        if any(path == each or path.startswith(each.rstrip("/") + "/") for each in own):
            return path
    return ""
