"""What the steps of a run told and were seen to use, read from the files that they and the engine wrote.

The files are in the run's folder (:mod:`tiphys.store.reports`), and in ``records/WORKFLOW`` of the volumes. Steps write
them, and may be killed while they do, or write anything: of a line that is none, only that line is lost; of a file that
is too long its end is read; what is no file is not opened.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.names import pod_name
from tiphys.argo.nodes import template_name
from tiphys.numbers import finite
from tiphys.records.fold import when
from tiphys.records.record import SAMPLED, EventRecord, Point
from tiphys.reference import open_file
from tiphys.store.layout import Store
from tiphys.store.reports import SAMPLES, parted, report_files

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Workflow

__all__ = ["log_sizes", "points"]

_LARGEST = 32 << 20  # bytes of a file that are read: its end
_LONGEST = 8192  # bytes of a line
_MOST = 100_000  # lines of a file that count: the last
_CLOCKS = 1.0  # seconds by which two clocks may differ, and Argo's times are whole
_WORDS = 64  # values of a line, and characters of a name


def points(store: Store, workflow: Workflow, name: str = "") -> Iterator[Point | EventRecord]:
    """Every point and event of a run of the store, in no order. ``name``: the run's, where a later one has taken its
    own."""
    metadata = workflow.get("metadata") or {}
    run = name or metadata.get("name", "")
    nodes = _nodes(workflow)
    if store.has_run(run):
        folder = store.root / "runs" / run
        yield from _sampled(folder / SAMPLES, nodes)
        for file, called in report_files(folder):
            node, worker = parted(called, nodes)
            worker = worker or parted(file.name.removesuffix(".jsonl"), ())[1]
            if node in nodes:
                yield from _told(file, node, worker)
    pods = _pods(workflow)
    begun = (
        when(metadata.get("creationTimestamp")) - _CLOCKS
    )  # another run may have had the name before, or after
    ended = (when((workflow.get("status") or {}).get("finishedAt")) or math.inf) + _CLOCKS
    for root in store.volumes().values():
        for file in _files(Path(root) / "records" / metadata.get("name", "")):
            pod, worker = parted(file.name.removesuffix(".jsonl"), pods)
            attempts = pods.get(pod, ())
            for point in _told(file, "", worker) if attempts else ():
                if begun <= point.at <= ended:
                    yield replace(point, node=_attempt(attempts, point.at))


def log_sizes(run: Path) -> dict[str, list[tuple[int, float]]]:
    """How many bytes the log of each step had, and when (seconds since the epoch), in the order of both; ``run``: the
    folder of the run. Those at which nobody looked are not among them."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in _lines(run / SAMPLES)[1]:
        node, size, at = line.get("node"), line.get("log"), finite(line.get("at"))
        if isinstance(node, str) and isinstance(size, int) and not math.isnan(at) and not line.get("worker"):
            known = found.setdefault(node, [])
            if not known or (size, at) > known[-1]:
                known.append((size, at))
    return found


def _nodes(workflow: Workflow) -> dict[str, Node]:
    """Those that are nodes."""
    found = (workflow.get("status") or {}).get("nodes") or {}
    return {identity: node for identity, node in found.items() if isinstance(node, dict)}


def _pods(workflow: Workflow) -> dict[str, list[tuple[float, str]]]:
    """The nodes of a run, and when each started, by what a file of theirs is called: the name of the pod, or the key of
    a training, whose attempts tell in one file."""
    name = (workflow.get("metadata") or {}).get("name", "")
    found: dict[str, list[tuple[float, str]]] = {}
    for identity, node in _nodes(workflow).items():
        if node.get("type") != "Pod":
            continue
        started = when(node.get("startedAt"))
        found[pod_name(name, identity, template_name(node))] = [(started, identity)]
        for item in (node.get("inputs") or {}).get("parameters") or ():
            if item.get("name") == "key" and item.get("value"):
                found.setdefault(str(item["value"]), []).append((started, identity))
    return found


def _attempt(attempts: Sequence[tuple[float, str]], at: float) -> str:
    """The last that had started by then."""
    begun = [each for each in attempts if each[0] <= at + _CLOCKS] or [min(attempts)]
    return max(begun)[1]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.name.endswith(".jsonl"))
    except OSError:
        return []


def _told(file: Path, node: str, worker: str) -> Iterator[Point]:
    """What a step itself wrote. A line without a time has that of the one before, or the file's own."""
    at, lines = _lines(file)
    for line in lines:
        at = finite(line.get("at"), at)
        epoch = int(finite(line.get("epoch"), 0.0))
        named = line.get("worker")
        who = worker or (named if isinstance(named, str) and parted(f".{named}", ())[1] == named else "")
        for key, value in list(line.items())[:_WORDS]:
            if key in SAMPLED or key in ("at", "worker") or len(key) > _WORDS:
                continue
            number = finite(value)
            if not math.isnan(number):
                yield Point(node, at, key, number, epoch if 0 <= epoch < 1 << 31 else 0, who)


def _sampled(file: Path, nodes: Mapping[str, object]) -> Iterator[Point | EventRecord]:
    """What the engine wrote."""
    _, lines = _lines(file)
    for line in lines:
        node, worker, at = line.get("node"), line.get("worker", ""), finite(line.get("at"))
        if not isinstance(node, str) or node not in nodes or not isinstance(worker, str) or math.isnan(at):
            continue
        event, code = line.get("event"), line.get("exit_code")
        if isinstance(event, str):
            text = str(line.get("message", ""))
            yield EventRecord(node, at, event, text, worker, code if isinstance(code, int) else None)
            continue
        for key in SAMPLED:
            number = finite(line.get(key))
            if not math.isnan(number):
                yield Point(node, at, key, number, 0, worker)


def _lines(file: Path) -> tuple[float, deque[dict[str, object]]]:
    """When a file was last written, and the objects that its last lines are."""
    found: deque[dict[str, object]] = deque(maxlen=_MOST)
    try:
        with open_file(file, follow=False) as stream:
            state = os.fstat(stream.fileno())
            start = max(state.st_size - _LARGEST, 0)
            stream.seek(start)
            data = stream.read(_LARGEST)
    except OSError:
        return 0.0, found
    for text in data.split(b"\n")[1 if start else 0 :]:
        if 2 < len(text) <= _LONGEST:
            try:
                line = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(line, dict):
                found.append(line)
    return state.st_mtime, found
