"""The steps of ``enough``: a candidate is handed in when it has ended, and a watcher ends when the result is certain.

Everything is in one folder of the run: ``NAME.json`` of each that was handed in, ``decision.json`` once there is one,
and ``NAME.dropped`` for a training that is not wanted any more, which :func:`dropped` tells it when it begins late.
Those who know the run alone find the folder in ``runs/RUN`` of the claim, or its URI there, in a file ``*.watched``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tiphys.errors import ComponentError, TiphysError
from tiphys.numbers import finite
from tiphys.reference import resolve, volumes_from_env
from tiphys.step.straggler import MARGIN, Curve, curve, lift, verdict

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["Dropped", "Enough", "decided", "dropped", "enough", "hand_in", "judged"]

FOREVER = -1.0
_DECISION = "decision.json"
_WATCHED = "watched.json"
_ELSEWHERE = ".watched"
_PAUSE = 0.2  # seconds at most; a tenth of the time that it has waited
_MOST = 32 << 20  # bytes of a training's file


@dataclass(frozen=True)
class Dropped:
    """A candidate that no selection will see. ``why``: ``failed``, ``behind`` (it could not enter the top) or
    ``patience``."""

    name: str
    why: str
    reason: str


@dataclass(frozen=True)
class Enough:
    """``reports`` of those that were judged, ``dropped`` the others, ``stop`` those of them that still run."""

    reports: list[object]
    dropped: list[Dropped]
    stop: list[str]


def judged(name: str, report: Mapping[str, object], environ: Mapping[str, str] | None = None) -> None:
    """Hand in the report of the candidate ``name`` from the step that makes it, some seconds before the step that does
    so in any case (a cached judgement makes none). Does nothing where no watcher has begun in this run."""
    environ = os.environ if environ is None else environ
    entry = {"name": name, "at": round(time.time(), 3), "status": "Running", "report": dict(report)}
    for place in _places(environ):
        with contextlib.suppress(ComponentError):  # it is handed in again
            _write(place / f"{name}.json", entry)


def hand_in(name: str, task: str, output: str, folder: str) -> None:
    """Write what became of the candidate ``name``, unless it was judged before. ``task`` is what the workflow knows of
    it, a JSON object: its ``status``, and the report among its ``outputs.parameters`` as ``output``."""
    known = json.loads(task)
    status = str(known.get("status"))
    entry: JsonObject = {"name": name, "at": round(time.time(), 3), "status": status}
    if status == "Succeeded":
        text = ((known.get("outputs") or {}).get("parameters") or {}).get(output)
        entry["report"] = None if text is None else json.loads(text)
    path = resolve(folder) / f"{name}.json"
    before = _read(path)
    _write(path, {**before, "status": status} if before.get("report") is not None else entry)
    sys.stdout.write(f"{name}: {status}\n")


def enough(
    names: list[str],
    top: int,
    min_accuracy: float,
    folder: str,
    records: str,
    by: str = "validation_accuracy",
    patience: float = FOREVER,
    margin: float = MARGIN,
    ended: bool = False,
) -> Enough:
    """Wait until nobody can change who the best ``top`` of ``names`` are, each with at least ``min_accuracy``.

    ``by`` is the number in a report that is compared. A candidate that has not ended is dropped when ``top`` others are
    good enough and it cannot come before the last of them (:mod:`tiphys.step.straggler`), or when this has been so for
    ``patience`` seconds, whatever it may still reach (negative: for ever). ``ended``: one that was judged counts when
    all of it has ended. Raises ComponentError TIP730 as soon as
    fewer than ``top`` can be good enough, TIP731 for a report without ``by``.
    """
    if not 1 <= top <= len(names):
        raise ComponentError(
            "TIP731", f"top is {top} of {len(names)} candidates", fix="ask for as many as there are"
        )
    place = resolve(folder)
    _write(place / _WATCHED, names)
    _announce(folder, place)
    if earlier := _read(place / _DECISION):
        return _decided(earlier)
    asked = _Asked(names, top, min_accuracy, place, resolve(records), by, patience, margin, ended)
    told: set[str] = set()
    began = time.monotonic()
    while (found := _decision(asked, told)) is None:
        time.sleep(min(_PAUSE, 0.01 + (time.monotonic() - began) / 10))
    _write(place / _DECISION, asdict(found))
    for each in found.dropped:
        if each.name in found.stop:
            (place / f"{each.name}.dropped").write_text(each.reason)
        sys.stdout.write(f"dropped {each.name}: {each.reason}\n")
    return found


def dropped(environ: Mapping[str, str] | None = None) -> str:
    """Why the training that this process is a worker of is not wanted any more, which it is asked before it begins;
    empty when it is. One that waited for its turn while the others were enough begins late, and for nothing."""
    environ = os.environ if environ is None else environ
    key = environ.get("TIPHYS_CACHE_KEY", "")
    for place in _places(environ):
        for file in place.glob("*.dropped"):
            if _is_of(key, file.name.removesuffix(".dropped")):
                with contextlib.suppress(OSError):
                    return file.read_text()
    return ""


def decided(folder: Path) -> bool:
    """Whether a watcher of the run whose folder this is has decided."""
    return any((place / _DECISION).exists() for place in _watchers(folder))


# -- inside -------------------------------------------------------------------------------------------------------


def _places(environ: Mapping[str, str]) -> list[Path]:
    """The folders of the watchers of this run that have begun."""
    run = environ.get("TIPHYS_WORKFLOW", "")
    volumes = volumes_from_env(environ).values() if run else ()
    return [place for volume in volumes for place in _watchers(Path(volume) / "runs" / run)]


def _announce(folder: str, place: Path) -> None:
    """Where the folder of the run does not have it, say there where it is."""
    claim, run = folder.removeprefix("pvc://").partition("/")[0], os.environ.get("TIPHYS_WORKFLOW", "")
    if not run or not folder.startswith("pvc://"):
        return
    of_run = resolve(f"pvc://{claim}/runs/{run}")
    if place.parent != of_run:
        _write(of_run / (sha256(folder.encode()).hexdigest()[:16] + _ELSEWHERE), {"folder": folder})


def _watchers(of_run: Path) -> list[Path]:
    """The folders of the watchers that have begun in the run whose own folder is ``of_run``."""
    found = [file.parent for file in of_run.glob(f"*/{_WATCHED}")]
    for file in of_run.glob(f"*{_ELSEWHERE}"):
        with contextlib.suppress(TiphysError):
            found.append(resolve(str(_read(file).get("folder"))))
    return found


def _decided(earlier: JsonObject) -> Enough:
    """What was decided before this step was started again."""
    lost = [Dropped(**each) for each in cast("list[dict[str, str]]", earlier["dropped"])]
    return Enough(cast("list[object]", earlier["reports"]), lost, cast("list[str]", earlier["stop"]))


@dataclass(frozen=True)
class _Asked:
    """What :func:`enough` is asked."""

    names: list[str]
    top: int
    least: float
    place: Path
    records: Path
    by: str
    patience: float
    margin: float
    ended: bool


def _decision(asked: _Asked, told: set[str]) -> Enough | None:
    """What is certain by now; None when it is not yet. Who is in ``told`` has been spoken of."""
    names, top, place, records = asked.names, asked.top, asked.place, asked.records
    entries = {
        name: entry
        for name in names
        if (entry := _read(place / f"{name}.json")) and not (asked.ended and entry["status"] == "Running")
    }
    scores = {
        name: _score(entry, asked.by) for name, entry in entries.items() if entry.get("report") is not None
    }
    lost = {
        name: Dropped(name, "failed", _failure(entry, records))
        for name, entry in entries.items()
        if name not in scores
    }
    for name in entries.keys() - told:
        told.add(name)
        sys.stdout.write(
            f"{name}: {scores[name]:.4f}\n" if name in scores else f"{name}: {lost[name].reason}\n"
        )
        sys.stdout.flush()
    passed = sorted(
        (name for name, score in scores.items() if score >= asked.least), key=lambda name: -scores[name]
    )
    running = [name for name in names if name not in entries]
    if len(passed) + len(running) < top:
        _forget(place, lost)
        raise _too_few(names, len(passed), top, asked.least, scores, lost)
    if len(passed) < top:
        return None
    late: dict[str, Dropped] = {}
    since = sorted(float(cast("float", entries[name]["at"])) for name in passed)[top - 1]
    waited = time.time() - since
    last = scores[passed[top - 1]]
    up = lift((_of_model(entries[name], records, name), scores[name]) for name in scores) if running else 0.0
    for name in running:
        if reason := verdict(_curve(records, name), last, lift=up, margin=asked.margin):
            late[name] = Dropped(name, "behind", reason)
        elif 0 <= asked.patience <= waited:
            late[name] = Dropped(name, "patience", _impatient(records, name, waited, top))
        else:
            return None
    ordered = [{**lost, **late}[name] for name in names if name in lost or name in late]
    return Enough([entries[name]["report"] for name in names if name in scores], ordered, list(late))


def _score(entry: JsonObject, by: str) -> float:
    report = entry["report"]
    score = finite(report.get(by) if isinstance(report, dict) else None)
    if math.isnan(score):
        raise ComponentError(
            "TIP731",
            f"the report of {entry['name']} has no number {by!r}",
            fix="return a report with it, or name another one: enough(…, by=…)",
        )
    return score


def _failure(entry: JsonObject, records: Path) -> str:
    seen = _curve(records, str(entry["name"]))
    after = f" after epoch {seen.last}" + (f" of {seen.of}" if seen.of else "") if seen.last else ""
    status = str(entry.get("status"))
    return f"it gave no report ({status})" if status == "Succeeded" else f"it ended as {status}{after}"


def _impatient(records: Path, name: str, waited: float, top: int) -> str:
    seen = _curve(records, name)
    how_far = f"after epoch {seen.last} of {seen.of or '?'}" if seen.last else "before its first epoch"
    return f"{how_far}, {waited:.0f} s after {top} others were good enough"


def _too_few(
    names: list[str],
    passed: int,
    top: int,
    least: float,
    scores: Mapping[str, float],
    lost: Mapping[str, Dropped],
) -> ComponentError:
    got = [
        f"{name} {scores[name]:.4f}" if name in scores else f"{name}: {lost[name].reason}"
        for name in names
        if name in scores or name in lost
    ]
    return ComponentError(
        "TIP730",
        f"{passed} of the {top} models asked for reached the validation accuracy {least}, and no more can",
        cause=f"got: {', '.join(got)}",
        fix="look at what failed and run again: what succeeded is kept; or lower min-accuracy, or top",
    )


def _forget(place: Path, lost: Mapping[str, Dropped]) -> None:
    """Failures are not handed in for good: when the workflow is tried again, so are they."""
    for name in lost:
        with contextlib.suppress(OSError):
            (place / f"{name}.json").unlink()


def _of_model(entry: JsonObject, records: Path, name: str) -> Curve:
    """Of a judged candidate: what it told in this run, or what lies beside its model, which may be an earlier run's."""
    seen = _curve(records, name)
    uri = entry["report"].get("uri") if isinstance(entry["report"], dict) else None
    if seen.values or not isinstance(uri, str):
        return seen
    with contextlib.suppress(OSError, TiphysError):
        return curve(_lines(resolve(uri) / "metrics.jsonl"))
    return seen


def _curve(records: Path, name: str) -> Curve:
    """What the first worker of a training told; the newest file where there are several."""
    best: tuple[float, Path] | None = None
    with contextlib.suppress(OSError):
        for file in records.iterdir():
            stem = file.name.removesuffix(".jsonl").removesuffix(".worker-0")
            if file.name.endswith(".jsonl") and _is_of(stem, name):
                best = max(best or (0.0, file), (file.stat().st_mtime, file))
    return Curve((), 0, 0) if best is None else curve(_lines(best[1]))


def _is_of(key: str, name: str) -> bool:
    """Whether ``NAME-DIGEST`` is of ``name``: of ``cnn`` is ``cnn-35d3``, and not ``cnn-big-35d3``."""
    return re.fullmatch(re.escape(name) + r"-[0-9a-f]+", key) is not None


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as stream:
            return stream.read(_MOST).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _read(path: Path) -> JsonObject:
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text())
        if isinstance(value, dict):
            return value
    return {}


def _write(path: Path, value: object) -> None:
    """Whole or not at all; the folder of a volume may be written by several steps at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
    try:
        draft.write_text(json.dumps(value))
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ComponentError(
            "TIP707",
            f"{path.name} cannot be written",
            cause=str(error),
            fix="see to the volume, and run again",
        ) from error
