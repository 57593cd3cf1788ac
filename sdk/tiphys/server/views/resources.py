"""Memory and CPU of each step against what it requested and may use, and what the run cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tiphys.pages.charts import used
from tiphys.pages.html import duration, number, size
from tiphys.records.cost import cost
from tiphys.records.requests import bounds
from tiphys.records.usage import PodUse, usage
from tiphys.server.views.drawing import meter, spark
from tiphys.server.views.parts import Cell, Grid, Part

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.records.cost import Cost
    from tiphys.records.record import RunRecord

__all__ = ["prices_of", "resource_parts"]

_MOST = 300
_CLOSE = 0.9  # of a limit
_LINES = 6  # of a chart


def prices_of(query: Mapping[str, str]) -> dict[str, float]:
    """What a core and a GiB cost for an hour, as somebody typed it; what is no price is none."""
    found = {}
    for name in ("cpu", "memory"):
        try:
            value = float(query.get(name, "").replace(",", "."))
        except ValueError:
            continue
        if 0 <= value < 1e12:
            found[name] = value
    return found


def resource_parts(workflow: Workflow, run: RunRecord, prices: Mapping[str, float]) -> list[Part]:
    """What was used, and what it cost at ``prices`` (by resource, of a core or a GiB for an hour)."""
    uses = usage(run, bounds(workflow))
    parts = []
    if uses:
        close = [_called(use) for use in uses if (use.part("memory", use.bounds.limits) or 0) > _CLOSE]
        idle = [_called(use) for use in uses if _idle(use)]
        warnings = []
        if close:
            warnings.append(f"Close to the memory limit, beyond which a step is killed: {_few(close)}.")
        notes = ["Memory is the most that a pod had, CPU what it used on the average."]
        if idle:
            notes.append(f"Less than a quarter of the memory requested was used by: {_few(idle)}.")
        parts.append(Part("Use", notes, warnings, used(_largest(run, uses)), [_table(uses)]))
    return [*parts, *_costs(run, prices)]


def _largest(run: RunRecord, uses: Sequence[PodUse]) -> RunRecord:
    """The run with those of its steps alone that used most memory, or most of a CPU: more lines show nothing."""
    by_memory = sorted(uses, key=lambda use: -(use.memory or 0))[:_LINES]
    by_cores = sorted(uses, key=lambda use: -(use.cores or 0) * use.seconds)[:_LINES]
    kept = {use.node for use in (*by_memory, *by_cores)}
    return replace(run, steps=tuple(step for step in run.steps if step.node in kept))


def _table(uses: Sequence[PodUse]) -> Grid:
    rows = []
    for use in uses[:_MOST]:
        limits, requests = use.bounds.limits, use.bounds.requests
        memory, cores = use.part("memory", limits), use.part("cpu", limits)
        over = memory is not None and memory > _CLOSE
        rows.append(
            [
                Cell(_called(use)),
                Cell(
                    "" if use.memory is None else size(use.memory),
                    drawing=spark(use.memory_line, f"memory of {_called(use)}"),
                ),
                Cell(_bytes(requests.get("memory"))),
                Cell(
                    _bytes(limits.get("memory"))
                    + (" at first" if use.bounds.grows and "memory" in limits else "")
                ),
                Cell(
                    _percent(memory),
                    mark="bad" if over else "",
                    drawing=meter(memory, "memory used of the limit"),
                ),
                Cell(
                    "" if use.cores is None else number(use.cores),
                    drawing=spark(use.cores_line, f"cores of {_called(use)}"),
                ),
                Cell("" if use.busiest is None else number(use.busiest)),
                Cell(_cores(requests.get("cpu"))),
                Cell(_cores(limits.get("cpu"))),
                Cell(_percent(cores), drawing=meter(cores, "CPU used of the limit")),
            ]
        )
    head = (
        "pod", "memory", "requested", "limit", "of the limit", "cores", "at most", "requested", "limit", "of the limit",
    )  # fmt: skip
    return Grid("Memory and CPU of each pod", head, rows, frozenset((2, 3, 6, 7, 8)))


def _costs(run: RunRecord, prices: Mapping[str, float]) -> list[Part]:
    found = cost(run, prices or None)
    steps = sorted(found.steps, key=lambda step: (-step.cost.paid.get("cpu", 0.0), step.name))
    rows = [_priced(step.name, step.cost) for step in steps[:_MOST] if step.cost.seconds or step.cost.paid]
    if not rows:
        return []
    rows.append(_priced("all together", found.total))
    head = (
        "step",
        "ran",
        "waited",
        "lost",
        "core-hours requested",
        "used",
        "GiB-hours requested",
        "used",
        "price",
    )
    told = ", ".join(
        f"{value:g} a {'core' if name == 'cpu' else 'GiB'}-hour" for name, value in prices.items()
    )
    notes = [
        "Requested is what pods had for as long as they ran.",
        f"Prices: {told}." if told else "Give prices above to see what it cost.",
    ]
    return [
        Part(
            "Cost",
            notes,
            (),
            (),
            [Grid("Cost of each step, the dearest first", head, rows, frozenset(range(1, 9)))],
        )
    ]


def _priced(name: str, each: Cost) -> list[Cell]:
    return [
        Cell(name),
        Cell(duration(each.seconds)),
        Cell(duration(each.waited) if each.waited else "–"),
        Cell(duration(each.lost) if each.lost else "–", mark="bad" if each.lost else ""),
        _hours(each.paid.get("cpu"), 3600.0),
        _hours(each.used.get("cpu"), 3600.0),
        _hours(each.paid.get("memory"), 3600.0 * 2**30),
        _hours(each.used.get("memory"), 3600.0 * 2**30),
        Cell("" if each.price is None else f"{each.price:.4f}"),
    ]


def _hours(value: float | None, hour: float) -> Cell:
    return Cell("" if value is None else f"{value / hour:,.4f}")


def _called(use: PodUse) -> str:
    return f"{use.step} · {use.worker}" if use.worker else use.step


def _idle(use: PodUse) -> bool:
    part = use.part("memory", use.bounds.requests)
    return part is not None and part < 0.25 and use.seconds > 10


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _bytes(value: float | None) -> str:
    return "" if value is None else size(value)


def _cores(value: float | None) -> str:
    return "" if value is None else number(value)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
