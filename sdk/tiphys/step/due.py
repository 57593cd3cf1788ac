"""The step that says whether a model is to be trained again, on which the training hangs.

What was measured of a version is kept in its claim, ``measured/NAME/vN/RUN.json``, one file for each run: the registry
keeps what a version was when it was registered, and that never changes.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tiphys.errors import ComponentError
from tiphys.numbers import finite, number
from tiphys.reference import MANIFEST, Reference, file_digest, resolve
from tiphys.registry.document import ModelDocument, ModelVersion
from tiphys.registry.due import DueRules, why_due

__all__ = ["Due", "due"]


@dataclass(frozen=True)
class Due:
    """``due``: whether to train; ``reasons``: one sentence each; ``summary``: one line for a person. ``model``: what is
    served, which a training may begin with; None where nothing is."""

    due: bool
    reasons: list[str]
    summary: str
    model: Reference | None


def due(
    name: str,
    state: str,
    alias: str,
    rules: DueRules,
    run: str,
    data: Reference | None = None,
    measured: str = "",
) -> Due:
    """Whether what ``alias`` names is to be trained again, of the ``state`` that a resource template has read.

    ``data``: today's. ``measured``: what was measured in this run of what is served (empty: nothing); it is kept, and
    what earlier runs measured counts. Raises ComponentError TIP707 when it cannot be kept.
    """
    document = ModelDocument.read(state.partition(" ")[2], name)
    named = document.aliases.get(alias)
    served = None if named is None or named.version is None else document.version(named.version)
    reasons = why_due(
        document,
        alias,
        rules,
        datetime.datetime.now(datetime.UTC),
        data=_digest(data),
        measured=[] if served is None else _measured(name, served, run, number(measured)),
    )
    summary = f"{name}: " + ("to be trained: " + "; ".join(reasons) if reasons else "not now")
    sys.stdout.write(summary + "\n")
    begun = None if served is None else Reference(served.uri, served.digest)
    return Due(bool(reasons), reasons, summary, begun)


def _digest(data: Reference | None) -> str:
    if data is None or data.digest:
        return data.digest if data else ""
    return file_digest(resolve(data.uri) / MANIFEST)


def _measured(name: str, served: ModelVersion, run: str, now: float | None) -> list[float]:
    """What was measured of a version, the oldest first; ``now`` is added to it, once for each run."""
    parts = urlsplit(served.uri)
    if parts.scheme != "pvc":
        return [] if now is None else [now]
    folder = resolve(f"pvc://{parts.netloc}/measured/{name}/v{served.number}")
    mine = folder / f"{run}.json"
    if now is not None and not mine.exists():
        _keep(mine, now)
    found = []
    for file in folder.glob("*.json"):
        try:
            told = json.loads(file.read_bytes())
            at, value = finite(told.get("at")), finite(told.get("value"))
        except (OSError, ValueError, AttributeError, RecursionError):
            continue
        if not math.isnan(at + value):
            found.append((at, value))
    return [value for _, value in sorted(found)]


def _keep(file: Path, value: float) -> None:
    draft = file.with_name(f".{file.stem}-{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"at": round(time.time(), 6), "value": value}))
        draft.replace(file)
    except OSError as error:
        raise ComponentError(
            "TIP707",
            f"{file} cannot be written",
            cause=str(error),
            fix="the volume of the models must be one that this step may write",
        ) from error
