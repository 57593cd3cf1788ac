"""Before and after a training that knows nothing of Tiphys: its data is looked at, its model is sealed."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import deque
from dataclasses import dataclass

from tiphys.errors import ComponentError
from tiphys.numbers import finite
from tiphys.reference import MANIFEST, Reference, file_digest, open_file, resolve, seal, verify
from tiphys.step.report import told_by

__all__ = ["TrainedModel", "ready", "trained"]

_MOST = 4096  # bytes of a summary: it goes into the Workflow's status
_LINES = 1000  # of a report that count: the last
_LARGEST = 1 << 20  # bytes of its end


@dataclass(frozen=True)
class TrainedModel:
    """``model``: the folder that was written and its digest, empty when nothing was. ``metrics``: JSON, the last value
    of each number that was told."""

    model: str
    metrics: str


def ready(dataset: str, digest: str, model: str, work: str, told: str) -> str:
    """Look at the data, and make the folders that the training writes to. Returns the digest of the data.

    ``dataset`` and ``digest`` are empty for none; ``model``, ``work`` and ``told`` (of the report) are the folders.
    What an earlier attempt left in ``model`` is taken away. Raises ComponentError TIP708 when the data is not there, or
    another than was asked for.
    """
    found = ""
    if dataset:
        folder = resolve(dataset)
        if not folder.exists():
            raise ComponentError("TIP708", f"the data set {dataset} is not there", where=str(folder))
        manifest = folder / MANIFEST
        found = file_digest(manifest) if manifest.is_file() else ""
        if digest and found != digest:
            raise ComponentError(
                "TIP708",
                f"the data set {dataset} has another version than was asked for",
                cause=f"asked for {digest}, there is {found or 'one that was never sealed'}",
                fix="ask for the version that is there, or ingest the other one again",
            )
        if digest and (problem := verify(Reference(dataset, digest))):
            raise ComponentError("TIP708", f"the data set {dataset} was changed since", cause=problem)
    if model:
        shutil.rmtree(resolve(model), ignore_errors=True)
    for uri in filter(None, (model, work, told)):
        os.makedirs(resolve(uri), exist_ok=True)
    return found


def trained(model: str, report: str) -> TrainedModel:
    """Seal what a training wrote into ``model``; ``report`` is the URI of its report."""
    reference = ""
    if model:
        folder = resolve(model)
        if folder.is_dir() and any(folder.iterdir()):
            reference = str(Reference(model, seal(folder)))
    return TrainedModel(reference, _last(report))


def _last(report: str) -> str:
    """The last value of each number that a training told (of a gang its first worker)."""
    values: dict[str, float] = {}
    for each in (report, told_by(report, "worker-0")):
        try:
            with open_file(resolve(each), follow=False) as stream:
                size = os.fstat(stream.fileno()).st_size
                stream.seek(max(0, size - _LARGEST))
                lines = deque(stream.read(_LARGEST).split(b"\n"), maxlen=_LINES)
        except OSError:
            continue
        for line in lines:
            try:
                told = json.loads(line)
                for key, value in told.items():
                    if key not in ("at", "worker") and not math.isnan(number := finite(value)):
                        values[str(key)[:64]] = number
            except (ValueError, AttributeError, RecursionError):
                continue  # a line that is none
    text = json.dumps(values)
    while len(text) > _MOST:
        values.popitem()
        text = json.dumps(values)
    return text
