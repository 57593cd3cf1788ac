"""Where in a run's folder is what its steps told, and what they were seen to use.

``samples.jsonl`` is the engine's; ``reports/NODE.jsonl``, or ``NODE.worker-1.jsonl`` of a replica of its gang, are the
steps' own: whatever is there, a step may have written. Of one with files of its own it is
``reports/NODE/report.jsonl``: that folder is all that it sees of these. Where a step's volume is meant for what it
tells, it is in ``records/WORKFLOW/POD.jsonl`` of that volume instead.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import islice
from pathlib import Path

from tiphys.lazy import regex

__all__ = ["REPORT_FILE", "SAMPLES", "parted", "report_files", "reports_of"]

SAMPLES = "samples.jsonl"
REPORT_FILE = "report.jsonl"
_REPORTS = "reports"
_WORKER = regex(r"\.([a-z]{1,30}-\d{1,9})\Z")
_MOST = 100_000  # files that are looked at: a step may make as many as it likes


def reports_of(run: Path, node: str, worker: str = "") -> str:
    """The folder of what a step tells, or one replica of its gang, or, with ``.jsonl``, the file; ``run`` is the folder
    of the run. Text, since each step's is asked for, and few have one."""
    return f"{run}/{_REPORTS}/{node}.{worker}" if worker else f"{run}/{_REPORTS}/{node}"


def report_files(run: Path) -> Iterator[tuple[Path, str]]:
    """The files of what the steps of a run told, each with what it is called: NODE, or NODE.worker-1."""
    for entry in _entries(run / _REPORTS):
        if entry.name.endswith(".jsonl"):
            yield entry, entry.name.removesuffix(".jsonl")
        elif entry.is_dir() and not entry.is_symlink():
            for file in _entries(entry):
                if file.name.endswith(".jsonl"):
                    yield file, entry.name


def parted(name: str, known: Container[str]) -> tuple[str, str]:
    """What a file or folder of reports is called, as (pod or node, worker): ``known`` are the pods or nodes."""
    worker = ""
    while name not in known and (found := _WORKER.search(name)):
        name, worker = name[: found.start()], found[1]
    return name, worker


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), _MOST))
    except OSError:
        return []
