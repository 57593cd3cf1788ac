"""The page of a run: what it was made from, its graph, when its steps ran, what they told and used, what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.nodes import FAILED
from tiphys.pages import charts, models
from tiphys.pages.gantt import gantt
from tiphys.pages.graph import graph
from tiphys.pages.html import duration, number, phase_class, safe, section, size, state, table, when
from tiphys.pages.style import CSS, POLICY
from tiphys.records.candidates import judged
from tiphys.records.cost import Cost, RunCost, cost
from tiphys.records.record import RunRecord

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["report"]

MOST_ROWS = 200
_NARROW = 760.0  # pixels: a graph that leaves room beside it


def report(workflow: Workflow, run: RunRecord, prices: Mapping[str, float] | None = None) -> str:
    """The page as HTML: one file that loads nothing and runs no script; the same bytes for the same input.

    ``run`` is what :func:`tiphys.records.fold.fold` makes of ``workflow``; ``prices`` as of
    :func:`tiphys.records.cost.cost`. Of very many steps, lines or things some are left out, and the page says so.
    """
    costs = cost(run, prices)
    drawn, undrawn, width = graph(workflow, run)
    rows, unshown = gantt(run, costs)
    told, untold = charts.reported(run)
    found = judged(run)
    matrices, unseen = models.confusions(found)
    title = safe(run.name or run.key)
    body = [
        _header(run, costs),
        section("What failed", *_failures(run)),
        _beside(
            section("Steps", drawn, _left(undrawn, "steps")),
            section("When they ran", rows, _left(unshown, "steps"))
            + section("Candidates", models.candidates(run, found)),
            fits=width < _NARROW,
        ),
        section("What they told", _cards(told), _values_note(run, untold)),
        section("What they used", _cards(charts.used(run))),
        section("Answers for each class", _cards(matrices, "cards wide"), _matrix_note(matrices, unseen)),
        section("Cost", *_cost(costs)),
        section("What came from what", *_things(run)),
        section("Parameters", _values(run.parameters)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title><style>{CSS}</style></head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</body></html>\n"
    )


def _header(run: RunRecord, costs: RunCost) -> str:
    phases = Counter("hit" if step.hit else step.phase for step in run.steps)
    steps = ", ".join(f"{count:,} {safe(phase)}" for phase, count in sorted(phases.items()))
    facts = [
        ("pipeline", safe(run.pipeline)),
        ("started", when(run.started)),
        ("took", duration(run.seconds) if run.seconds else ""),
        ("waited", duration(costs.total.waited) if costs.total.waited else ""),
        ("lost", duration(costs.total.lost) if costs.total.lost else ""),
        ("steps", steps),
        ("configuration", f"<code>{safe(run.config)}</code>" if run.config else ""),
        *((safe(name), f"<code>{safe(text)}</code>") for name, text in sorted(run.made_from.items())),
    ]
    items = "".join(f"<li><span>{name}</span>{value}</li>" for name, value in facts if value)
    message = f'<p class="bad">{safe(run.message, 2000)}</p>' if run.message else ""
    badge = f'<span class="badge {phase_class(run.phase)}">{safe(run.phase)}</span>'
    return f'<header><h1>{safe(run.name or run.key)} {badge}</h1>{message}<ul class="facts">{items}</ul></header>'


def _failures(run: RunRecord) -> tuple[str, str]:
    found = [(step, attempt) for step in run.steps for attempt in step.attempts if attempt.phase in FAILED]
    rows = [
        (
            safe(step.name),
            f"{attempt.number} of {len(step.attempts)}",
            state(step),
            "" if attempt.exit_code is None else str(attempt.exit_code),
            f'<div class="words">{safe(attempt.message or step.message, 600)}</div>',
        )
        for step, attempt in found[:MOST_ROWS]
    ]
    header = ("step", "attempt", "in the end", "exit code", "message")
    return table(header, rows, numbers=(3,)), _left(len(found) - len(rows), "attempts")


def _cost(costs: RunCost) -> tuple[str, str]:
    told = sorted(costs.steps, key=lambda step: (-step.cost.seconds, step.name))
    told = [step for step in told if step.cost.seconds or step.cost.paid]
    lines: list[tuple[str, Cost, str]] = [
        (safe(step.name), step.cost, "" if step.trend is None else f"{step.trend:+.0%} an epoch")
        for step in told[:MOST_ROWS]
    ]
    lines += [(f"<em>pool {safe(name)}</em>", each, "") for name, each in costs.pools.items() if name]
    lines.append(("<b>total</b>", costs.total, ""))
    header = ["step", "ran", "waited", "lost", "CPU requested", "used", "", "memory requested", "used", ""]
    header += ["examples a CPU second", "throughput", "price"]
    rows = [[name, *_cells(each), trend, _price(each)] for name, each, trend in lines]
    kept = [place for place in range(len(header)) if place < 2 or any(row[place] for row in rows)]
    body = table(
        [header[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        numbers=range(1, len(kept)),
    )
    note = "Requested is what pods had for as long as they ran; used is what they were seen to use. "
    return body if told else "", note + _left(len(told) - min(len(told), MOST_ROWS), "steps")


def _cells(each: Cost) -> list[str]:
    cells = [
        duration(each.seconds),
        *(duration(value) if value else "" for value in (each.waited, each.lost)),
    ]
    for name in ("cpu", "memory"):
        for value in (each.paid.get(name), each.used.get(name)):
            told = "" if not value else f"{number(value)} core-s" if name == "cpu" else f"{size(value)}·s"
            cells.append(told)
        ratio = each.utilisation(name)
        cells.append("" if ratio is None else f"{ratio:.0%}")
    rate = each.examples_per_cpu_second
    return [*cells, "" if rate is None else f"{rate:,.0f}"]


def _price(each: Cost) -> str:
    return "" if each.price is None else f"{each.price:.4f}"


def _things(run: RunRecord) -> tuple[str, str]:
    """Each thing that steps used or made, with who did."""
    makers: dict[str, list[str]] = {}
    users: dict[str, list[str]] = {}
    digests: dict[str, str] = {}
    for step in run.steps:
        for items, of in ((step.makes, makers), (step.uses, users)):
            for item in items:
                of.setdefault(item.uri, []).append(
                    step.name + (" (hit)" if step.hit and of is makers else "")
                )
                digests[item.uri] = item.digest or digests.get(item.uri, "")
    order = sorted(digests, key=lambda uri: (uri in makers, uri))
    rows = [
        (
            f"<code>{safe(uri)}</code>",
            _names(makers.get(uri, ())) or '<span class="soft">was there before</span>',
            _names(users.get(uri, ())),
            f"<code>{safe(digests[uri][:19])}</code>" if digests[uri] else "",
        )
        for uri in order[:MOST_ROWS]
    ]
    return table(("thing", "made by", "used by", "digest"), rows), _left(len(order) - len(rows), "things")


def _names(names: Sequence[str]) -> str:
    several = list(dict.fromkeys(names))
    more = f" and {len(several) - 6:,} more" if len(several) > 6 else ""
    return f'<div class="words">{safe(", ".join(several[:6]), 600)}{more}</div>' if several else ""


def _values(values: Mapping[str, str]) -> str:
    rows = [
        (safe(name), f'<div class="words"><code>{safe(text, 400)}</code></div>')
        for name, text in list(values.items())[:MOST_ROWS]
    ]
    return table(("name", "value"), rows)


def _beside(left: str, right: str, *, fits: bool) -> str:
    """Two parts, side by side where there is room."""
    return f'<div class="pair">{left}<div>{right}</div></div>' if left and right and fits else left + right


def _values_note(run: RunRecord, untold: int) -> str:
    same = ", ".join(f"{name} {number(value)}" for name, value in charts.constant(run).items())
    told = f"The same all the time: {same}. " if same else ""
    return told + _left(untold, "values")


def _cards(parts: Iterable[str], width: str = "cards") -> str:
    inside = "".join(parts)
    return f'<div class="{width}">{inside}</div>' if inside else ""


def _matrix_note(matrices: Sequence[str], unseen: int) -> str:
    told = "Rows are the truth, columns the answers. " if matrices else ""
    return told + _left(unseen, "matrices")


def _left(count: int, what: str) -> str:
    return f"{count:,} {what} are left out." if count > 0 else ""
