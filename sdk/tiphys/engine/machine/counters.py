"""Prometheus metrics that a workflow declares: counters, gauges and histograms, and their text.

Sources: Argo 4.1.2, workflow/metrics and util/telemetry; what is said of wrong metrics was recorded from the real
controller, whose /metrics shows names with the prefix ``argo_workflows_``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from tiphys.expr.gofmt import float_v
from tiphys.lazy import regex
from tiphys.prometheus import labelled

if TYPE_CHECKING:
    from tiphys.argo.pod_types import HistogramSpec, MetricSpec


__all__ = ["Counters", "MetricError", "parse_float"]

Labels = tuple[tuple[str, str], ...]
_PREFIX = "argo_workflows_"
# what OpenTelemetry takes when no buckets are given
_BUCKETS = (
    0.0,
    5.0,
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1000.0,
    2500.0,
    5000.0,
    7500.0,
    10000.0,
)
_FLOAT = regex(r"[+-]?(\d+(_\d+)*\.?(\d+(_\d+)*)?|\.\d+(_\d+)*)([eE][+-]?\d+)?")
_WORDS = regex(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)


class MetricError(Exception):
    """A metric cannot be made; the text is Argo's."""


def parse_float(text: str) -> float:
    """Go's ``strconv.ParseFloat`` without hexadecimal numbers. Raises MetricError."""
    if _FLOAT.fullmatch(text) or _WORDS.fullmatch(text):
        return float(text)
    raise MetricError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')


@dataclass(slots=True)
class _Series:
    value: float = 0.0
    live: Callable[[], float] | None = None  # a realtime gauge
    counts: list[int] = field(default_factory=list)
    total: int = 0


@dataclass(slots=True)
class _Metric:
    kind: str
    help: str
    buckets: tuple[float, ...] = ()
    series: dict[Labels, _Series] = field(default_factory=dict)


class Counters:
    """The metrics of one workflow."""

    def __init__(self) -> None:
        self._metrics: dict[str, _Metric] = {}
        self.changed = False

    def __bool__(self) -> bool:
        return bool(self._metrics)

    def observe(self, spec: MetricSpec, live: Callable[[], float] | None = None) -> None:
        """Take one metric, its texts substituted. ``live``: the value of a realtime gauge, whenever it is asked for.

        Raises MetricError; what could be made of it before stays, as with Argo.
        """
        gauge, histogram, counter = spec.get("gauge"), spec.get("histogram"), spec.get("counter")
        operation: str | None = None
        if gauge is not None:
            kind, given, operation = "gauge", gauge.get("value"), gauge.get("operation")
        elif histogram is not None:
            kind, given = "histogram", histogram.get("value")
        elif counter is not None:
            kind, given = "counter", counter.get("value")
        else:
            raise MetricError("invalid metric spec")
        metric = self._metric(str(spec.get("name") or ""), str(spec.get("help") or ""), kind, histogram)
        labels = {str(each.get("key")): str(each.get("value") or "") for each in spec.get("labels") or ()}
        series = metric.series.setdefault(tuple(sorted(labels.items())), _Series())
        self.changed = True
        if live is not None:
            series.live = live
            return
        value = parse_float(str(given or ""))
        if kind == "histogram":
            _count(metric, series, value)
        elif kind == "counter" or operation == "Add":
            series.value += value
        elif operation == "Sub":
            series.value -= value
        else:
            series.value = value

    def text(self) -> str:
        """All metrics in Prometheus' text format (0.0.4), by name."""
        lines: list[str] = []
        for name, metric in sorted(self._metrics.items()):
            full = _PREFIX + name
            lines += [f"# HELP {full} {_help(metric.help)}", f"# TYPE {full} {metric.kind}"]
            for labels, series in sorted(metric.series.items()):
                if metric.kind != "histogram":
                    value = series.live() if series.live is not None else series.value
                    lines.append(f"{full}{labelled(labels)} {float_v(value)}")
                    continue
                reached = 0
                for bound, count in zip((*metric.buckets, math.inf), series.counts, strict=True):
                    reached += count
                    lines.append(f"{full}_bucket{labelled((*labels, ('le', float_v(bound))))} {reached}")
                lines.append(f"{full}_sum{labelled(labels)} {float_v(series.value)}")
                lines.append(f"{full}_count{labelled(labels)} {series.total}")
        return "".join(f"{line}\n" for line in lines)

    def _metric(self, name: str, text: str, kind: str, histogram: HistogramSpec | None) -> _Metric:
        known = self._metrics.get(name)
        if known is not None:
            if known.kind != kind:
                raise MetricError(
                    f"found existing {known.kind} for custom metric {name} of type {kind.capitalize()}"
                )
            if known.help != text:
                raise MetricError(
                    f"help for metric {name} is already set to {known.help}, it cannot be changed"
                )
            return known
        buckets: tuple[float, ...] = _BUCKETS
        if kind == "histogram" and histogram is not None and histogram.get("buckets"):
            buckets = _bounds(histogram["buckets"])
        made = self._metrics[name] = _Metric(kind, text, buckets)
        return made


def _bounds(values: Sequence[float | str]) -> tuple[float, ...]:
    bounds = tuple(float(value) if not isinstance(value, str) else 0.0 for value in values)
    if any(after <= before for before, after in pairwise(bounds)):
        shown = " ".join(float_v(bound) for bound in bounds)
        raise MetricError(f"aggregation: explicit bucket histogram: non-monotonic boundaries: [{shown}]")
    return bounds


def _count(metric: _Metric, series: _Series, value: float) -> None:
    if not series.counts:
        series.counts = [0] * (len(metric.buckets) + 1)
    place = next((index for index, bound in enumerate(metric.buckets) if value <= bound), len(metric.buckets))
    series.counts[place] += 1
    series.total += 1
    series.value += value


def _help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")
