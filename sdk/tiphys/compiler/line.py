"""Where in the user's Python file something was written."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path
from types import FrameType, TracebackType

from tiphys.compiler.cells import shown_cell
from tiphys.frozen import frozen

__all__ = ["Site", "caller", "is_users", "raised_at"]

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep
_SKIP = (f"{os.sep}hera{os.sep}workflows{os.sep}", f"{os.sep}contextlib.py", "<frozen", "<string>")
_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STANDARD = os.path.dirname(os.__file__) + os.sep


@frozen
class Site:
    """A line of a Python file; ``str`` gives ``file:line``, relative to the working folder when below it, and
    ``cell 3:line`` in a notebook."""

    file: str
    line: int

    def __str__(self) -> str:
        if not self.file:
            return ""
        if cell := shown_cell(self.file, self.line):
            return cell
        name = self.file
        if os.path.isabs(name):
            relative = os.path.relpath(name)
            name = name if relative.startswith("..") else relative
        return f"{name}:{self.line}"


def caller() -> Site:
    """The innermost frame that is neither Tiphys' nor Hera's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not _is_skipped(file):
            return Site(file, frame.f_lineno)
        frame = frame.f_back
    return Site("", 0)


@lru_cache(4096)
def _is_skipped(file: str) -> bool:
    return file.startswith(_OURS) or any(part in file for part in _SKIP)


def raised_at(trace: TracebackType | None) -> Site:
    """The last line of the user's own code in a traceback."""
    found = Site("", 0)
    while trace is not None:
        if is_users(trace.tb_frame.f_code.co_filename):
            found = Site(trace.tb_frame.f_code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return found


def is_users(file: str) -> bool:
    """Whether a file is the user's own, and neither ours nor of an installed package or the standard library."""
    return not (
        file.startswith((_OURS, _STANDARD, "<")) or any(part in file for part in (*_PACKAGES, *_SKIP))
    )
