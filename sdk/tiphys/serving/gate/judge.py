"""The step of the gate: one verdict on one model, before it is served."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.numbers import finite
from tiphys.reference import Reference, resolve, verify
from tiphys.serving.gate.candidate import TrialServer, best_p99
from tiphys.serving.gate.compare import against_served, dimensions, of_age, of_answers, of_signature, tensors
from tiphys.serving.gate.golden import FILE, Golden, read
from tiphys.serving.gate.rules import GateRules, Judgement
from tiphys.serving.versions import version_folders

if TYPE_CHECKING:
    from tiphys.jsontypes import Json

__all__ = ["judge"]


def judge(
    name: str,
    model: Reference,
    rules: GateRules,
    reports: list[dict[str, object]],
    served: dict[str, object],
    data_time: str = "",
) -> Judgement:
    """Whether the model ``name`` may be served.

    ``reports``: of evaluations, among them that of ``name``; ``served``: the report of what is served now, empty before
    the first release. A refused model ends the step well: it is an answer, not a fault, that nothing tried again would
    change; what waits for ``passed`` is skipped, and what is served goes on.
    """
    report = next((each for each in reports if each.get("name") == name), {})
    reasons = [
        *against_served(report, served, rules),
        *of_age(data_time, datetime.datetime.now(datetime.UTC), rules.data_age_seconds),
    ]
    measured = _measured_before(report, served)
    reasons += _in_server(model, rules, measured)
    verdict = "passed" if not reasons else "refused: " + "; ".join(reasons)
    return Judgement(not reasons, reasons, measured, f"{name} {verdict}")


def _measured_before(report: Mapping[str, object], served: Mapping[str, object]) -> dict[str, float]:
    found = {
        "test_accuracy": report.get("test_accuracy"),
        "served_test_accuracy": served.get("test_accuracy"),
    }
    told = {name: finite(value) for name, value in found.items()}
    return {name: value for name, value in told.items() if not math.isnan(value)}


def _in_server(model: Reference, rules: GateRules, measured: dict[str, float]) -> list[str]:
    """Reasons of what the server says; ``measured`` is added to."""
    if problem := verify(model):
        return [f"cannot load: {problem}"]
    folder = resolve(model.uri)
    if not version_folders(folder):
        return [f"cannot load: {model.uri} holds no version, a folder that is named by a number"]
    try:
        golden = read(folder)
    except ValueError as error:
        return [f"golden: {FILE} cannot be used: {error}"]
    try:
        with TrialServer(folder, rules.load_seconds) as candidate:
            measured["load_seconds"] = round(candidate.load_seconds, 3)
            try:
                return _asked(candidate, rules, golden, measured)
            except ServingError as error:
                return [f"does not answer: {error.message} {error.cause}".strip()]
    except ServingError as error:
        return [f"cannot load: {error.cause}"]


def _asked(
    candidate: TrialServer, rules: GateRules, golden: Golden | None, measured: dict[str, float]
) -> list[str]:
    metadata = candidate.metadata()
    reasons = list(of_signature(metadata, rules.inputs, rules.outputs))
    if reasons:  # nothing that it could be asked would be answered as expected
        return reasons
    reasons += _golden(candidate, rules, golden, measured)
    reasons += _latency(candidate, rules, _requests(golden, metadata), measured)
    measured["memory_bytes"] = peak = candidate.peak_bytes()
    if 0 < rules.memory_bytes < peak:
        reasons.append(f"too big: its server had {_mib(peak)} of memory (at most {_mib(rules.memory_bytes)})")
    return reasons


def _golden(
    candidate: TrialServer, rules: GateRules, golden: Golden | None, measured: dict[str, float]
) -> list[str]:
    if not rules.golden:
        return []
    if golden is None or golden.rows < rules.golden:
        return [
            f"golden: {golden.rows if golden else 'no'} answers are kept with it, {rules.golden} are asked for"
        ]
    given = candidate.answer(golden.inputs)
    outputs: dict[str, Json] = given if isinstance(given, dict) else {next(iter(golden.outputs)): given}
    reasons, largest = of_answers(golden.outputs, outputs, rules.golden_tolerance)
    if largest < float("inf"):
        measured["golden_difference"] = largest
    return reasons


def _latency(
    candidate: TrialServer, rules: GateRules, rows: list[dict[str, list[Json]]], measured: dict[str, float]
) -> list[str]:
    if not rules.p99_seconds:
        return []
    if not rows:
        return [
            "too slow? nobody knows: its inputs have no fixed shape, and no golden inputs are kept with it"
        ]
    p99 = best_p99(
        lambda number: candidate.answer(rows[number % len(rows)]), rules.requests, rules.p99_seconds
    )
    measured["p99_seconds"] = round(p99, 6)
    if p99 <= rules.p99_seconds:
        return []
    return [
        f"too slow: 99 of 100 answers need {p99 * 1000:.1f} ms or more (at most {rules.p99_seconds * 1000:g} ms)"
    ]


def _requests(golden: Golden | None, metadata: Mapping[str, Json]) -> list[dict[str, list[Json]]]:
    """Inputs for one example each: the golden ones, else zeros of the signature's shape."""
    if golden is not None:
        return [golden.row(index) for index in range(golden.rows)]
    zeros: dict[str, list[Json]] = {}
    for name, info in tensors(metadata, "inputs").items():
        dims = dimensions(info)
        if not dims:
            return []
        kind = info.get("dtype")
        value: Json = "" if kind == "DT_STRING" else False if kind == "DT_BOOL" else 0
        for size in reversed(dims):
            value = [value] * max(size, 1)
        assert isinstance(value, list)
        zeros[name] = value
    return [zeros] if zeros else []


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
