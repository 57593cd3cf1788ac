"""Why a candidate is refused, from what is known of it: reports, answers, signatures, ages. Pure.

Each function gives reasons; none means that all is well.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tiphys.numbers import finite

if TYPE_CHECKING:
    from tiphys.jsontypes import Json
    from tiphys.serving.gate.rules import GateRules

__all__ = ["against_served", "of_age", "of_answers", "of_signature"]

Report = Mapping[str, object]
"""Of an evaluation: ``name``, ``test_accuracy``, ``class_accuracy`` and ``synthetic`` are read."""


def against_served(candidate: Report, served: Report, rules: GateRules) -> Iterator[str]:
    """Whether the test accuracy is lower than that of what is served; without ``served`` it is the first release."""
    if not served or (rules.no_worse_by is None and rules.per_class is None):
        return
    if not candidate:
        yield "worse? nobody knows: there is no report of this model to compare with that of what is served"
        return
    if bool(candidate.get("synthetic")) != bool(served.get("synthetic")):
        yield "worse? nobody knows: one of the two was measured on generated data"
        return
    if rules.no_worse_by is not None:
        new, old = finite(candidate.get("test_accuracy")), finite(served.get("test_accuracy"))
        if _worse(new, old, rules.no_worse_by):
            yield f"worse overall: {_shown(new)}, what is served has {_shown(old)} (at most {rules.no_worse_by:g} less)"
    if rules.per_class is not None:
        yield from _by_class(candidate, served, rules.per_class)


def _by_class(candidate: Report, served: Report, allowed: float) -> Iterator[str]:
    new, old = candidate.get("class_accuracy"), served.get("class_accuracy")
    if not isinstance(new, Mapping) or not isinstance(old, Mapping) or not old:
        yield "worse in a class? nobody knows: a report says nothing of classes"
        return
    for name, before in old.items():
        now, was = finite(new.get(name)), finite(before)
        if _worse(now, was, allowed):
            yield f"worse in {name!r}: {_shown(now)}, what is served has {_shown(was)} (at most {allowed:g} less)"


def _worse(new: float, old: float, allowed: float) -> bool:
    """Also when one is no number. Accuracies are written with six digits, so what is smaller is no difference."""
    return not new >= old - allowed - 1e-7


def _shown(value: float) -> str:
    return "no accuracy" if math.isnan(value) else f"{value:.4f}"


def of_age(data_time: str, now: datetime.datetime, most_seconds: int) -> Iterator[str]:
    """Whether the data is too old; ``data_time`` is ISO 8601, a date means the end of its day, usually UTC."""
    if not most_seconds:
        return
    try:
        made = datetime.datetime.fromisoformat(data_time)
    except ValueError:
        yield f"data too old? nobody knows: its time is {data_time!r}"
        return
    if len(data_time) == len("2026-11-28"):
        made += datetime.timedelta(days=1)
    if made.tzinfo is None:
        made = made.replace(tzinfo=datetime.UTC)
    age = (now - made).total_seconds()
    if age > most_seconds:
        yield f"data too old: of {data_time}, {_days(age)} ago (at most {_days(most_seconds)})"


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} hours"


def of_signature(
    metadata: Mapping[str, Json], inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> Iterator[str]:
    """Whether ``serving_default`` takes and gives what is expected, as the server describes it."""
    for side, expected in (("inputs", inputs), ("outputs", outputs)):
        found = {name: _described(info) for name, info in tensors(metadata, side).items()}
        wanted = {name: _plain(text) for name, text in expected.items()}
        if wanted and found != wanted:
            yield f"another signature: its {side} are {_listed(found)}, expected {_listed(wanted)}"


def tensors(metadata: Mapping[str, Json], side: str) -> dict[str, Mapping[str, Json]]:
    """The tensors of ``serving_default``, ``inputs`` or ``outputs``, by name; empty where the server says nothing."""
    at: object = metadata
    for name in ("metadata", "signature_def", "signature_def", "serving_default", side):
        at = at.get(name) if isinstance(at, Mapping) else None
    return (
        {name: info for name, info in at.items() if isinstance(info, Mapping)}
        if isinstance(at, Mapping)
        else {}
    )


def dimensions(info: Mapping[str, Json]) -> list[int] | None:
    """The sizes of a tensor, -1 for any; None when it may have any rank."""
    shape = info.get("tensor_shape")
    if not isinstance(shape, Mapping) or shape.get("unknown_rank"):
        return None
    dims = shape.get("dim")
    return (
        [int(str(dim.get("size"))) for dim in dims if isinstance(dim, Mapping)]
        if isinstance(dims, list)
        else []
    )


def _described(info: Mapping[str, Json]) -> str:
    dims = dimensions(info)
    kind = str(info.get("dtype")).removeprefix("DT_").lower()
    kind = {"float": "float32", "double": "float64"}.get(kind, kind)
    return kind + ("" if dims is None else "[" + ",".join("?" if dim < 0 else str(dim) for dim in dims) + "]")


def _plain(text: str) -> str:
    return "".join(text.split()).replace("None", "?").replace("-1", "?")


def _listed(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in sorted(found.items())) or "none"


def of_answers(
    expected: Mapping[str, list[Json]], given: Mapping[str, Json], tolerance: float
) -> tuple[list[str], float]:
    """Reasons, and the largest difference of a number from the golden one."""
    largest = 0.0
    reasons = []
    for name, rows in expected.items():
        answers = given.get(name)
        if not isinstance(answers, list) or len(answers) != len(rows):
            reasons.append(f"golden: it gives no {name!r} for each input")
            continue
        differences = [_difference(row, answer) for row, answer in zip(rows, answers, strict=True)]
        worst = max(range(len(rows)), key=lambda index: differences[index], default=0)
        if differences:
            largest = max(largest, differences[worst])
        if differences and not differences[worst] <= tolerance:
            many = sum(not difference <= tolerance for difference in differences)
            by = (
                "is another value"
                if math.isinf(differences[worst])
                else f"differs by {differences[worst]:.4g}"
            )
            reasons.append(
                f"golden: {many} of {len(rows)} answers are not those of the training; {name!r} of input {worst} {by} "
                f"(at most {tolerance:g})"
            )
    return reasons, largest


def _difference(expected: Json, given: Json) -> float:
    """The largest difference between numbers; infinite where anything else differs, or where one is no number."""
    if isinstance(expected, list) and isinstance(given, list) and len(expected) == len(given):
        return max((_difference(a, b) for a, b in zip(expected, given, strict=True)), default=0.0)
    a, b = finite(expected), finite(given)
    if not math.isnan(a) and not math.isnan(b):
        return abs(a - b)
    return 0.0 if expected == given else math.inf
