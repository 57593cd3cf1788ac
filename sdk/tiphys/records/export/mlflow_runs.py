"""What MLflow should hold of a run: pure, within the limits of its server.

The workflow is one MLflow run; each step that has metrics is a run nested in it. A series is ``KEY`` for a step's own
pod and ``KEY/WORKER`` for a worker of its gang; what was sampled is ``system/KEY``. The step of a value is its epoch,
and between epochs the whole seconds since the step of the workflow began.
"""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tiphys.errors import redacted
from tiphys.records.export.common import Outcome, clean, identity, outcome, who
from tiphys.records.record import SAMPLED, Point, RunRecord, StepRecord

__all__ = ["Made", "Sample", "WantedRun", "key_of", "models_of", "value_of", "wanted"]

Value = float | Literal["NaN"]
Sample = tuple[int, int, Value]
"""Milliseconds since the epoch, step, value; NaN as MLflow's JSON has it, for it is not equal to itself."""

LONGEST_KEY, LONGEST_PARAMETER, LONGEST_TAG, LONGEST_ALIAS = 250, 6000, 8000, 255
_KEY = re.compile(r"[/\w.\- :]+")
_LATEST = 253402300799999  # ms: the end of the year 9999
_LARGEST = 2**63 - 1
_STATUS: Mapping[Outcome, str] = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
_MODEL = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*://[^/]*/(?:.*/)?models/.+", re.S)
_RESERVED = re.compile(r"latest|v\d+", re.I)
_GIT = re.compile(r"(?:(?P<url>.+)[@#])?(?P<version>[0-9a-f]{7,64})")


@dataclass(frozen=True, slots=True)
class WantedRun:
    """An MLflow run as it should be. ``node`` is empty for the workflow's. Times are ms; ``ended`` 0 is "not yet"."""

    node: str
    name: str
    status: str
    started: int
    ended: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, list[Sample]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """A version of a registered model. ``identity`` is of what lies at ``uri``; ``alias`` names the run."""

    name: str
    uri: str
    digest: str
    node: str
    alias: str

    @property
    def identity(self) -> str:
        return identity(self.uri, self.digest)


def wanted(record: RunRecord) -> Iterator[WantedRun]:
    """The workflow's run first, then those of its steps."""
    own = identity(who(record))
    common = {"tiphys.run": own, "tiphys.key": record.key, "tiphys.source": record.source}
    common |= _made_from(record)
    ended = outcome(record.phase, record.message)
    yield WantedRun(
        node="",
        name=_cut(record.name or record.key, LONGEST_KEY),
        status=_status(record.phase, record.message),
        started=_ms(record.started or record.created),
        ended=_ms(record.finished) if ended else 0,
        params=_params(record.parameters),
        tags=_tags(
            {
                **common,
                "tiphys.node": "",
                "tiphys.phase": record.phase,
                "tiphys.message": record.message,
                **({"tiphys.images": " ".join(record.images)} if record.images else {}),
                **{f"label.{name}": text for name, text in record.labels.items()},
            }
        ),
        metrics={
            key_of(name): [(_ms(record.finished), 0, value_of(number))]
            for name, number in _numbers(record.outputs if ended else {})
        },
    )
    for step in record.steps:
        if step.metrics or step.points:
            yield _step(step, common, over=bool(ended))


def _step(step: StepRecord, common: Mapping[str, str], over: bool) -> WantedRun:
    ended = outcome(step.phase, step.message)
    finished = _ms(step.finished) if ended else 0
    told = {
        **common,
        "tiphys.node": step.node,
        "tiphys.phase": step.phase,
        "tiphys.message": step.message,
        "tiphys.template": step.template,
        "tiphys.attempts": str(len(step.attempts)),
        **({"tiphys.hit": "true"} if step.hit else {}),
    }
    return WantedRun(
        node=step.node,
        name=_cut(step.name, LONGEST_KEY),
        status="KILLED" if over and not ended else _status(step.phase, step.message),
        started=_ms(step.started),
        ended=finished,
        params=_params(step.inputs),
        tags=_tags(told),
        metrics=_metrics(step, finished),
    )


def _metrics(step: StepRecord, finished: int) -> dict[str, list[Sample]]:
    """The series, each value once; at the end of the step also its results that are not the last of their series."""
    series: dict[str, dict[Sample, None]] = {}
    for point in step.points:
        sample = (_ms(point.at), _step_of(point, step), value_of(point.value))
        series.setdefault(_series(point), {})[sample] = None
    found = {key: list(samples) for key, samples in series.items()}
    if not finished:
        return found
    for name, number in step.metrics.items():
        samples = found.setdefault(key_of(name), [])
        value = value_of(number)
        at, epoch = finished, 0
        if samples:
            last = max(samples, key=_order)
            if last[2] == value:
                continue
            at, epoch = max(finished, last[0] + 1), last[1]
        samples.append((at, epoch, value))
    return found


def _order(sample: Sample) -> tuple[int, int, float]:
    """Of the values of one key MLflow shows the greatest by this."""
    return sample[1], sample[0], -math.inf if sample[2] == "NaN" else float(sample[2])


def _series(point: Point) -> str:
    name = f"system/{point.key}" if point.key in SAMPLED else point.key
    return key_of(f"{name}/{point.worker}" if point.worker else name)


def _step_of(point: Point, step: StepRecord) -> int:
    if point.epoch > 0:
        return min(point.epoch, _LARGEST)
    return max(_ms(point.at) - _ms(step.started), 0) // 1000 if step.started else 0


def models_of(record: RunRecord) -> Iterator[Made]:
    """What the steps made that lies in a folder ``models`` of a volume or bucket: a version each.

    The registered model is the step's, ``PIPELINE.STEP``; a version's alias is the name of the run. A server takes no
    model from its own disk (``file://``).
    """
    for step in record.steps:
        made = [item for item in step.makes if _MODEL.fullmatch(clean(item.uri))]
        for item in made if outcome(step.phase) == "done" else ():
            name = f"{record.pipeline}.{step.name}" + (f".{item.name}" if len(made) > 1 else "")
            alias = _legal(record.name, r"[^\w\-]", LONGEST_ALIAS)
            yield Made(
                name=_legal(name.replace(":", "-"), r"[^\w.\- ()]", LONGEST_KEY),
                uri=clean(item.uri),
                digest=item.digest,
                node=step.node,
                alias=f"run-{alias}" if _RESERVED.fullmatch(alias) else alias,
            )


def key_of(name: str) -> str:
    """The name as a key that MLflow takes: itself, or with ``-`` for what it refuses and eight digits of its digest.

    >>> key_of("loss/worker-1")
    'loss/worker-1'
    >>> key_of("acc#1")
    'acc-1.6d7a64e3'
    """
    return _legal(name, r"[^/\w.\- :]", LONGEST_KEY)


def _legal(name: str, wrong: str, longest: int) -> str:
    text = re.sub(wrong, "-", clean(name))
    text = "/".join(part for part in text.split("/") if part not in ("", ".", ".."))
    if text == name and text.strip() and len(text) <= longest and posixpath.normpath(text) == text:
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    joint = "." if "." in wrong else "-"
    return f"{text[: longest - 16].strip(' /') or 'name'}{joint}{digest}"


def value_of(number: float) -> Value:
    """A number as MLflow keeps it: the infinities become the largest numbers."""
    if math.isnan(number):
        return "NaN"
    return max(min(float(number), sys.float_info.max), -sys.float_info.max)


def _cut(text: str, longest: int) -> str:
    """At most so many characters; what is longer ends with its length and its digest."""
    text = clean(text)
    if len(text) <= longest:
        return text
    tail = f"… {len(text)} characters, sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return text[: longest - len(tail)] + tail


def _params(values: Mapping[str, str]) -> dict[str, str]:
    return {key_of(name): _cut(text, LONGEST_PARAMETER) for name, text in values.items()}


def _tags(values: Mapping[str, str]) -> dict[str, str]:
    return {key_of(name): _cut(text, LONGEST_TAG) for name, text in values.items()}


def _made_from(record: RunRecord) -> dict[str, str]:
    found = {f"tiphys.from-{name}": text for name, text in record.made_from.items()}
    found |= {"mlflow.source.name": record.pipeline or record.name, "mlflow.source.type": "JOB"}
    git = _GIT.fullmatch(record.made_from.get("git", ""))
    if git:
        found["mlflow.source.git.commit"] = git["version"]
        if git["url"]:
            found["mlflow.source.git.repoURL"] = redacted(git["url"])
    return found


def _numbers(values: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for name, text in values.items():
        try:
            yield name, float(text)
        except ValueError:
            continue


def _status(phase: str, message: str) -> str:
    ended = outcome(phase, message)
    return _STATUS[ended] if ended else "RUNNING" if phase == "Running" else "SCHEDULED"


def _ms(moment: float) -> int:
    """Milliseconds since the epoch, of any number."""
    return int(min(max(moment * 1000, 0), _LATEST)) if moment == moment else 0
