"""Selection: the best models by validation accuracy, all of them good enough, or none."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from components.report import Report
from tiphys.errors import ComponentError

__all__ = ["Selection", "select"]


@dataclass(frozen=True)
class Selection:
    """The chosen models, best first; the second is empty when one was asked for.

    ``accuracies``: of the first and the second, on validation; 0 for one that is empty.
    ``selection`` records what was chosen and why, with all candidates; ``keep`` is the chosen names joined by
    commas; ``ranking`` is a table for people. Both list who was dropped before, and why.
    """

    first_name: str
    first_uri: str
    second_name: str
    second_uri: str
    accuracies: list[float]
    selection: dict[str, Any]
    keep: str
    ranking: str


def select(
    reports: list[Report],
    top: int = 2,
    min_accuracy: float = 0.9,
    dropped: list[dict[str, str]] | None = None,
) -> Selection:
    """Choose the ``top`` (1 or 2) reports with the highest validation accuracy of at least ``min_accuracy``.

    ``dropped`` are candidates that gave no report (``name``, ``why``, ``reason``: :func:`tiphys.enough`).

    Equal accuracies are ordered by name, so the choice is the same every time; the test accuracy plays no part.
    Raises ComponentError: TIP730 fewer than ``top`` pass (the message says which model got what), TIP731 a bad
    parameter or report.
    """
    if top not in (1, 2):
        raise ComponentError("TIP731", f"top is {top}", fix="give 1 or 2: there are two services")
    if not 0.0 <= min_accuracy <= 1.0:
        raise ComponentError(
            "TIP731", f"min-accuracy is {min_accuracy}", fix="give a part of one, such as 0.9"
        )
    names = [report.name for report in reports]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ComponentError(
            "TIP731", f"two reports are about {doubled[0]!r}", fix="evaluate each model once"
        )
    for report in reports:
        if not (math.isfinite(report.validation_accuracy) and 0.0 <= report.validation_accuracy <= 1.0):
            raise ComponentError(
                "TIP731",
                f"the accuracy of {report.name} is {report.validation_accuracy}",
                fix="evaluate it again",
            )
    ranked = sorted(reports, key=lambda report: (-report.validation_accuracy, report.name))
    passed = [report for report in ranked if report.validation_accuracy >= min_accuracy]
    if len(passed) < top:
        got = (
            ", ".join(f"{report.name} {report.validation_accuracy:.4f}" for report in ranked)
            or "no model at all"
        )
        raise ComponentError(
            "TIP730",
            f"{len(passed)} of the {top} models asked for reached the validation accuracy {min_accuracy}",
            cause=f"got: {got}",
            fix="train longer (epochs), lower min-accuracy, or ask for fewer models (top)",
        )
    chosen = passed[:top]
    second = chosen[1] if top == 2 else None
    return Selection(
        first_name=chosen[0].name,
        first_uri=chosen[0].uri,
        second_name=second.name if second else "",
        second_uri=second.uri if second else "",
        accuracies=[chosen[0].validation_accuracy, second.validation_accuracy if second else 0.0],
        selection={
            "chosen": [report.name for report in chosen],
            "top": top,
            "min_accuracy": min_accuracy,
            "by": "validation_accuracy",
            "synthetic": any(report.synthetic for report in reports),
            "candidates": [_candidate(report) for report in ranked],
            "dropped": dropped or [],
        },
        keep=",".join(report.name for report in chosen),
        ranking=_table(ranked, chosen, min_accuracy, dropped or []),
    )


def _table(
    ranked: list[Report], chosen: list[Report], min_accuracy: float, dropped: list[dict[str, str]]
) -> str:
    lines = ["MODEL         VALIDATION  TEST"]
    for report in ranked:
        verdict = "chosen" if report in chosen else ""
        if report.validation_accuracy < min_accuracy:
            verdict = f"below {min_accuracy}"
        lines.append(
            f"{report.name:<12}  {report.validation_accuracy:<10.4f}  {report.test_accuracy:.4f}  {verdict}".rstrip()
        )
    for each in dropped:
        lines.append(f"{each['name']:<12}  dropped: {each['reason']}")
    if any(report.synthetic for report in ranked):
        lines.append("generated data: these figures say nothing about Fashion-MNIST")
    return "\n".join(lines) + "\n"


def _candidate(report: Report) -> dict[str, Any]:
    fields = asdict(report)
    del fields["confusion"], fields["class_accuracy"], fields["slices"]
    return fields
