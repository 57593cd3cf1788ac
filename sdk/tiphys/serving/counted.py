"""What model servers counted, read from Prometheus' text under TensorFlow Serving's names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Counted", "counted", "together"]

_LINE = re.compile(r"(?P<name>[^{\s]+)\{(?P<labels>.*)\} (?P<value>\S+)")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {"n": "\n"}
_COUNT = ":tensorflow:serving:request_count"
_BUCKET = ":tensorflow:serving:request_latency_bucket"
_QUEUED = ":tiphys:serving:queued_requests"


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one model since its server began. ``answered`` requests were good, ``refused`` not; ``versions`` are loaded
    (told by our server alone); ``buckets``: how many answers took at most so many microseconds (``inf``: all)."""

    answered: int = 0
    refused: int = 0
    versions: tuple[int, ...] = ()
    queued: int = 0
    buckets: Mapping[float, int] = field(default_factory=dict)

    def quantile(self, part: float) -> float | None:
        """The seconds that this part of the answers took at most, as Prometheus' ``histogram_quantile`` estimates it:
        the values of a bucket lie evenly in it; of the last one its lower bound is told. None without an answer."""
        total = self.buckets.get(float("inf"), 0)
        if not total:
            return None
        rank, low, before = part * total, 0.0, 0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank and count > before:
                if bound == float("inf"):
                    return low / 1e6
                return (low + (bound - low) * (rank - before) / (count - before)) / 1e6
            low, before = bound, count
        return low / 1e6


def counted(text: str) -> dict[str, Counted]:
    """By the name of the model; what is no such line is passed over."""
    answered: dict[str, int] = {}
    refused: dict[str, int] = {}
    versions: dict[str, set[int]] = {}
    queued: dict[str, int] = {}
    buckets: dict[str, dict[float, int]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        labels = dict(_LABEL.findall(match["labels"])) if match else {}
        if match is None or "model_name" not in labels:
            continue
        model = re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), labels["model_name"])
        try:
            value, number = int(float(match["value"])), int(labels.get("version", "-1"))
            bound = float(labels.get("le", "nan"))
        except (ValueError, OverflowError):
            continue
        if match["name"] == _COUNT:
            of = answered if labels.get("status") == "OK" else refused
            of[model] = of.get(model, 0) + value
        elif match["name"] == _BUCKET and bound == bound:
            of_model = buckets.setdefault(model, {})
            of_model[bound] = of_model.get(bound, 0) + value
        elif match["name"] == _QUEUED:
            versions.setdefault(model, set()).add(number)
            queued[model] = queued.get(model, 0) + value
    return {
        model: Counted(
            answered.get(model, 0),
            refused.get(model, 0),
            tuple(sorted(versions.get(model, ()))),
            queued.get(model, 0),
            buckets.get(model, {}),
        )
        for model in sorted({*answered, *refused, *versions, *buckets})
    }


def together(each: Iterable[Counted]) -> Counted:
    """Of several replicas; of buckets the bounds that they share."""
    found = list(each)
    buckets: dict[float, int] = {}
    for one in found:
        for bound, count in one.buckets.items():
            buckets[bound] = buckets.get(bound, 0) + count
    return Counted(
        sum(one.answered for one in found),
        sum(one.refused for one in found),
        tuple(sorted({number for one in found for number in one.versions})),
        sum(one.queued for one in found),
        buckets,
    )
