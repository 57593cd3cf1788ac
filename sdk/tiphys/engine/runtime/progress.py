"""How far a step is: what it says in the file that Argo's executor reads, or what the training it waits for tells."""

from __future__ import annotations

import json
from pathlib import Path

from tiphys.lazy import regex
from tiphys.reference import tail
from tiphys.step.report import told_by

__all__ = ["progress_of_pod"]

_PROGRESS = regex(r"[0-9]{1,18}/[0-9]{1,18}")
_LONGEST = 4096  # bytes of a file's end that are looked at


def progress_of_pod(pod: object) -> str:
    """``3/10``; empty: it says nothing. ``pod``: what carries out a leaf template."""
    path: Path | None = getattr(pod, "progress_file", None)
    if path is not None:
        text = _end(path).strip().rpartition("\n")[2].strip()
        return text if _is_progress(text) else ""
    told: tuple[Path, str] | None = getattr(pod, "told", None)
    if told is None:
        return ""
    return _told(Path(told_by(str(told[0]), told[1]))) or _told(told[0])


def _told(path: Path) -> str:
    """By the last line that says it in a file of what was told."""
    for line in reversed(_end(path).splitlines()):
        try:
            found = json.loads(line)
            text = f"{found['epoch']}/{found['of']}"
        except (ValueError, TypeError, LookupError, RecursionError):
            continue
        if _is_progress(text):
            return text
    return ""


def _end(path: Path) -> str:
    """Nothing of what is no file."""
    try:
        return tail(path, _LONGEST, follow=False)
    except OSError:
        return ""


def _is_progress(text: str) -> bool:
    return bool(_PROGRESS.fullmatch(text)) and int(text.partition("/")[0]) <= int(text.partition("/")[2])
