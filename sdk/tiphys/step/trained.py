"""Before and after a training that knows nothing of Tiphys: its data is looked at, its model is sealed."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tiphys.errors import ComponentError
from tiphys.numbers import finite
from tiphys.reference import MANIFEST, Reference, file_digest, resolve, seal, tail, verify
from tiphys.step.report import told_by

__all__ = ["TrainedModel", "digest_of", "ready", "trained"]

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_MOST = 4096  # bytes of a summary: it goes into the Workflow's status
_LINES = 1000  # of a report that count: the last
_LARGEST = 1 << 20  # bytes of its end


@dataclass(frozen=True)
class TrainedModel:
    """``model``: the folder that was written and its digest, empty when nothing was. ``metrics``: JSON, the last value
    of each number that was told."""

    model: str
    metrics: str


def ready(dataset: str, version: str, model: str, folders: list[str]) -> str:
    """Look at the data, and make the folders that the training writes to. Returns the digest of the data.

    ``dataset`` is empty for none. A ``version`` that is a digest (``sha256:…``) is compared with the folder's, and
    every file of it is read. ``model`` and ``folders`` are what is to be there; what an earlier run of this step left
    in ``model`` is taken away. Raises ComponentError TIP708 when the data is not there, or another than was asked for.
    """
    found = ""
    if dataset:
        folder = resolve(dataset)
        if not folder.is_dir():
            raise _data(f"the data set {dataset} is not there", _beside(folder))
        manifest = folder / MANIFEST
        found = file_digest(manifest) if manifest.is_file() else ""
        if digest := digest_of(version):
            if found != digest:
                there = found or "no version: it was never sealed"
                raise _data(f"the data set {dataset} is not of version {digest}", f"it has {there}")
            if problem := verify(Reference(dataset, digest)):
                raise _data(f"the data set {dataset} is not what its version {digest} says", problem)
    shutil.rmtree(resolve(model), ignore_errors=True)
    for uri in (model, *folders):
        path = resolve(uri)
        path.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # the training may run as another user of the same group
            path.chmod(0o2775)
    return found


def digest_of(version: str) -> str:
    """The digest that a version of a data set is, empty where it is a name."""
    found = _DIGEST.fullmatch(version)
    return f"sha256:{found[1]}" if found else ""


def _beside(folder: Path) -> str:
    try:
        names = sorted(each.name for each in folder.parent.iterdir() if each.is_dir())[:10]
    except OSError:
        names = []
    return f"beside it are: {', '.join(names)}" if names else ""


def _data(what: str, more: str) -> ComponentError:
    text = f"{what}; {more}" if more else what
    return ComponentError(
        "TIP708", text, fix="ask for the version that is there, or ingest the other one again"
    )


def trained(model: str, report: str) -> TrainedModel:
    """Seal what a training wrote into ``model``; ``report`` is the URI of its report. A folder without a file is no
    model."""
    folder = resolve(model)
    written = folder.is_dir() and any(each.is_file() for each in folder.rglob("*"))
    reference = str(Reference(model, seal(folder))) if written else ""
    return TrainedModel(reference, _last(report))


def _last(report: str) -> str:
    """The last value of each number that a training told (of a gang its first worker)."""
    values: dict[str, float] = {}
    for each in (report, told_by(report, "worker-0"), told_by(report, "master-0")):
        try:
            lines = tail(resolve(each), _LARGEST, follow=False).split("\n")[-_LINES:]
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
