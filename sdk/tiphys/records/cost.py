"""What a run cost: what its pods requested for as long as they ran is paid, what they were seen to use is used.

Of resources, cores and devices are counted times seconds, memory and storage in bytes times seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

from tiphys.argo.durations import UNITS
from tiphys.argo.nodes import FAILED, PAID
from tiphys.prometheus import labelled
from tiphys.records.record import AttemptRecord, Point, RunRecord, StepRecord
from tiphys.records.requests import amount

__all__ = ["Cost", "RunCost", "StepCost", "as_json", "cost", "in_all", "pools", "prometheus", "total"]

_HOUR = 3600.0
_NOISE = 2.0  # seconds: Argo's times are whole, of a start and of an end
_NOT_RUN = frozenset(["Skipped", "Omitted"])


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a step, a pool or a run. ``seconds`` is how long pods ran, ``waited`` how long they did not yet (for locks,
    room on the machine, an image), ``lost`` what attempts took that failed, and replicas to come back; ``failed`` how
    many attempts did. ``sampled`` is the part of ``paid`` of those whose use was seen: what ``used`` is compared with.
    ``examples`` is how many a training went through, ``cores`` the CPU seconds that it took for them. ``price`` is None
    where no prices are known."""

    seconds: float = 0.0
    waited: float = 0.0
    lost: float = 0.0
    failed: int = 0
    paid: Mapping[str, float] = field(default_factory=dict)
    sampled: Mapping[str, float] = field(default_factory=dict)
    used: Mapping[str, float] = field(default_factory=dict)
    examples: float = 0.0
    cores: float = 0.0
    price: float | None = None

    def utilisation(self, resource: str) -> float | None:
        """Used over paid, of what was seen; None where nothing was, or nothing was paid."""
        paid = self.sampled.get(resource, 0.0)
        return self.used.get(resource, 0.0) / paid if paid else None

    @property
    def examples_per_cpu_second(self) -> float | None:
        """None where no step told of examples, or none of those was seen to use a CPU."""
        return self.examples / self.cores if self.examples and self.cores else None


@dataclass(frozen=True, slots=True)
class StepCost:
    """A step. ``trend`` is how much its throughput changed from epoch to epoch, as a part of its mean (−0.1: ten per
    cent less each); None with fewer than three epochs."""

    node: str
    name: str
    phase: str
    hit: bool
    pool: str
    cost: Cost
    trend: float | None = None


@dataclass(frozen=True, slots=True)
class RunCost:
    """A run: its steps in order of their starts, each pool (empty: steps that need no permit of one), the total."""

    key: str
    pipeline: str
    phase: str
    seconds: float
    steps: tuple[StepCost, ...]
    pools: Mapping[str, Cost]
    total: Cost


def cost(run: RunRecord, prices: Mapping[str, float] | None = None) -> RunCost:
    """``prices``: of a core, a GiB, a device for an hour, by resource (``cpu``, ``memory``, ``nvidia.com/gpu``)."""
    steps = tuple(
        _step(step, prices)
        for step in sorted(run.steps, key=lambda step: (step.started, step.name))
        if step.phase not in _NOT_RUN
    )
    names = sorted({step.pool for step in steps})
    return RunCost(
        run.key,
        run.pipeline,
        run.phase,
        run.seconds,
        steps,
        {name: total(step.cost for step in steps if step.pool == name) for name in names},
        total(step.cost for step in steps),
    )


def total(costs: Iterable[Cost]) -> Cost:
    """All together."""
    each = list(costs)
    priced = [one.price for one in each if one.price is not None]
    return Cost(
        sum(one.seconds for one in each),
        sum(one.waited for one in each),
        sum(one.lost for one in each),
        sum(one.failed for one in each),
        _add(one.paid for one in each),
        _add(one.sampled for one in each),
        _add(one.used for one in each),
        sum(one.examples for one in each),
        sum(one.cores for one in each),
        sum(priced) if priced else None,
    )


def pools(runs: Iterable[RunCost]) -> dict[str, Cost]:
    """Each pool over several runs (empty: what needed no permit of one)."""
    found: dict[str, list[Cost]] = {}
    for run in runs:
        for name, each in run.pools.items():
            found.setdefault(name, []).append(each)
    return {name: total(found[name]) for name in sorted(found)}


def as_json(run: RunCost) -> dict[str, object]:
    """With what is computed from it: ``utilisation`` by resource, ``examples_per_cpu_second``."""
    return {
        **asdict(run),
        "steps": [{**asdict(step), "cost": _told(step.cost)} for step in run.steps],
        "pools": {name: _told(each) for name, each in run.pools.items()},
        "total": _told(run.total),
    }


def in_all(runs: Sequence[RunCost]) -> dict[str, object]:
    """The same of several runs, without their steps: each, each pool, and the total."""
    return {
        "runs": [
            {"key": run.key, "pipeline": run.pipeline, "phase": run.phase, "seconds": run.seconds}
            | {"total": _told(run.total)}
            for run in runs
        ],
        "pools": {name: _told(each) for name, each in pools(runs).items()},
        "total": _told(total(run.total for run in runs)),
    }


def _told(found: Cost) -> dict[str, object]:
    ratios = {name: found.utilisation(name) for name in found.used}
    return {
        **asdict(found),
        "utilisation": ratios,
        "examples_per_cpu_second": found.examples_per_cpu_second,
    }


def prometheus(costs: Iterable[RunCost]) -> str:
    """As Prometheus' text format, one gauge a resource and step."""
    lines: dict[str, list[str]] = {name: [] for name in _HELP}
    for run in costs:
        for step in run.steps:
            labels = {"run": run.key, "pipeline": run.pipeline, "step": step.name, "pool": step.pool}
            for name, value in _gauges(step.cost):
                metric, _, resource = name.partition(" ")
                told = {**labels, "resource": resource} if resource else labels
                lines[metric].append(f"{metric}{labelled(told.items())} {value:.10g}")
    text = [
        f"# HELP {name} {_HELP[name]}\n# TYPE {name} gauge\n" + "\n".join(found) + "\n"
        for name, found in lines.items()
        if found
    ]
    return "".join(text)


# -- inside -------------------------------------------------------------------------------------------------------

_HELP = {
    "tiphys_step_seconds": "How long the pods of a step ran.",
    "tiphys_step_waited_seconds": "How long a step waited for locks, room or images.",
    "tiphys_step_lost_seconds": "Seconds of attempts that failed, and until replicas were back.",
    "tiphys_step_failed_attempts": "Attempts that failed.",
    "tiphys_step_paid": "Requested resources times seconds.",
    "tiphys_step_used": "Used resources times seconds.",
    "tiphys_step_examples_per_cpu_second": "Examples that a training went through in a CPU second.",
    "tiphys_step_price": "What was paid, in the unit of the given prices.",
}


def _gauges(found: Cost) -> Iterator[tuple[str, float]]:
    yield "tiphys_step_seconds", found.seconds
    yield "tiphys_step_waited_seconds", found.waited
    yield "tiphys_step_lost_seconds", found.lost
    yield "tiphys_step_failed_attempts", found.failed
    for name, value in sorted(found.paid.items()):
        yield f"tiphys_step_paid {name}", value
    for name, value in sorted(found.used.items()):
        yield f"tiphys_step_used {name}", value
    if found.examples_per_cpu_second is not None:
        yield "tiphys_step_examples_per_cpu_second", found.examples_per_cpu_second
    if found.price is not None:
        yield "tiphys_step_price", found.price


def _step(step: StepRecord, prices: Mapping[str, float] | None) -> StepCost:
    if step.hit or step.kind not in PAID:
        free = Cost(price=0.0 if prices else None)
        return StepCost(step.node, step.name, step.phase, step.hit, step.pool, free)
    ran = [_ran(step, attempt) for attempt in step.attempts]
    paid = _add(_paid(step, attempt, seconds) for attempt, seconds in zip(step.attempts, ran, strict=True))
    used = _used(step.points)
    failed = [attempt for attempt in step.attempts if attempt.phase in FAILED]
    examples = _examples(step.points)
    found = Cost(
        seconds=sum(ran),
        waited=_waited(step, ran),
        lost=sum(_length(attempt) for attempt in failed) + _gaps(step.attempts) + _restarts(step),
        failed=len(failed),
        paid=paid,
        sampled={name: paid.get(name, 0.0) for name in used},
        used=used,
        examples=examples,
        cores=used.get("cpu", 0.0) if examples else 0.0,
        price=_price(paid, prices) if prices else None,
    )
    return StepCost(step.node, step.name, step.phase, step.hit, step.pool, found, _trend(step.points))


def _length(attempt: AttemptRecord) -> float:
    return max(attempt.finished - attempt.started, 0.0) if attempt.started and attempt.finished else 0.0


def _ran(step: StepRecord, attempt: AttemptRecord) -> float:
    """How long the pod of an attempt ran: what it had, by what it has in a second; its times tell also the wait."""
    length, rate = _length(attempt), step.requests.get("memory", 0.0)
    units = attempt.resources.get("memory")
    if units is None or not rate:
        return length
    ran = amount("memory", units) / rate
    return length if ran > length - _NOISE else ran


def _waited(step: StepRecord, ran: Sequence[float]) -> float:
    if not step.attempts or not step.started:
        return 0.0
    before = max(step.attempts[0].started - step.started, 0.0)
    return before + sum(
        max(_length(attempt) - seconds, 0.0)
        for attempt, seconds in zip(step.attempts, ran, strict=True)
        if attempt.finished
    )


def _gaps(attempts: Sequence[AttemptRecord]) -> float:
    """From the end of an attempt that failed to the start of the next."""
    return sum(
        max(after.started - before.finished, 0.0) for before, after in pairwise(attempts) if before.finished
    )


def _restarts(step: StepRecord) -> float:
    """From the ends of replicas to their next starts."""
    return sum(event.lost for event in step.events)


def _paid(step: StepRecord, attempt: AttemptRecord, seconds: float) -> dict[str, float]:
    own = {name: amount(name, units) for name, units in attempt.resources.items()}
    if not own:
        own = {name: each * seconds for name, each in step.requests.items()}
    return _add([own, {name: each * seconds for name, each in step.gang.items()}])


def _used(points: Iterable[Point]) -> dict[str, float]:
    """CPU seconds, which begin again with a process that does, and bytes of memory times seconds."""
    series: dict[tuple[str, str, str], list[Point]] = {}
    for point in points:
        if point.key in ("cpu", "memory"):
            series.setdefault((point.key, point.node, point.worker), []).append(point)
    used: dict[str, float] = {}
    for (key, _, _), found in series.items():
        if key == "cpu":
            used["cpu"] = used.get("cpu", 0.0) + _rises(found)
        else:
            area = sum((b.at - a.at) * (a.value + b.value) / 2 for a, b in pairwise(found))
            used["memory"] = used.get("memory", 0.0) + area
    return used


def _rises(points: Sequence[Point]) -> float:
    first = points[0].value
    return first + sum(b.value - a.value if b.value >= a.value else b.value for a, b in pairwise(points))


def _examples(points: Iterable[Point]) -> float:
    """Of all workers and epochs, each once: what was told of an epoch last."""
    told: dict[tuple[str, str, int], float] = {}
    for point in points:
        if point.key == "examples":
            told[point.node, point.worker, point.epoch] = point.value
    return sum(told.values())


def _trend(points: Iterable[Point]) -> float | None:
    """The slope of the line of least squares through the throughputs of the epochs, over their mean."""
    by_epoch: dict[int, dict[str, float]] = {}
    for point in points:
        if point.key == "examples_per_second" and point.epoch:
            by_epoch.setdefault(point.epoch, {})[point.worker] = point.value
    rates = [(float(epoch), sum(rate.values())) for epoch, rate in sorted(by_epoch.items())]
    if len(rates) < 3:
        return None
    middle = sum(x for x, _ in rates) / len(rates)
    mean = sum(y for _, y in rates) / len(rates)
    spread = sum((x - middle) ** 2 for x, _ in rates)
    return sum((x - middle) * (y - mean) for x, y in rates) / spread / mean if mean else None


def _price(paid: Mapping[str, float], prices: Mapping[str, float]) -> float:
    return sum(
        each * prices.get(name, 0.0) / _HOUR / (2**30 if name in UNITS else 1) for name, each in paid.items()
    )


def _add(found: Iterable[Mapping[str, float]]) -> dict[str, float]:
    added: dict[str, float] = {}
    for each in found:
        for name, value in each.items():
            added[name] = added.get(name, 0.0) + value
    return added
