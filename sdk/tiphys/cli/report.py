"""``tiphys cost`` and ``tiphys report``: what a run cost, and all that is known of it on one page."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tiphys.cli._common import add_store, assignments, local_store, print_json, put, seconds, table
from tiphys.cli.chosen import add_choice, chosen, records_of
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.records.cost import Cost, RunCost
    from tiphys.records.record import RunRecord

    _Row = tuple[str, str, Cost, float | None]

__all__ = ["register"]

_RESOURCES = {"cpu": ("core-s", 1.0), "memory": ("GiB-s", 2.0**30)}


def register(subparsers: Any) -> None:
    add = subparsers.add_parser(
        "cost",
        help="what runs requested and used: of one step by step, of several run by run",
        description="What the pods of a run requested for as long as they ran is paid, what they were seen to use is "
        "used. Waiting, failed attempts and restarts are counted by themselves.",
        epilog="example: tiphys cost @latest --price cpu=0.04 --price memory=0.005",
    )
    add_choice(add)
    add.add_argument(
        "--price",
        action="append",
        default=[],
        metavar="RESOURCE=PRICE",
        help="of a core (cpu), a GiB (memory) or a device for an hour; repeat for several",
    )
    form = add.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--prometheus", action="store_true", help="print Prometheus' text format")
    add_store(add)
    add.set_defaults(handler=show_cost)

    add = subparsers.add_parser(
        "report",
        help="all that is known of a run, on one page",
        description="One HTML file that loads nothing and runs no script: graph, times, what steps told and used, "
        "candidates, cost, and what came from what.",
        epilog="example: tiphys report @latest -o run.html",
    )
    add.add_argument("name", metavar="RUN", help="a run of this machine, or @latest")
    add.add_argument("-o", "--output", metavar="FILE", help="write here instead of standard output")
    add.add_argument(
        "--price", action="append", default=[], metavar="RESOURCE=PRICE", help="as of tiphys cost"
    )
    add_store(add)
    add.set_defaults(handler=write_report)


def write_report(options: argparse.Namespace) -> int:
    from tiphys.pages import report

    prices = _prices(options.price)
    workflow, run = _record(options)
    put(report(workflow, run, prices or None), options.output)
    return 0


def show_cost(options: argparse.Namespace) -> int:
    from tiphys.records.cost import as_json, cost, in_all, prometheus
    from tiphys.runs import Client

    prices = _prices(options.price)
    with Client(store=options.store) as client:
        found = [
            cost(record, prices or None)
            for key in chosen(options, client)
            for record in records_of(options, client, key)
        ]
    one = found[0] if len(found) == len(options.runs) == 1 else None
    if options.json:
        print_json(as_json(one) if one else in_all(found))
    elif options.prometheus:
        put(prometheus(found), None)
    elif one:
        put(_of_one(one), None)
    else:
        put(_of_many(found), None)
    return 0


def _record(options: argparse.Namespace) -> tuple[Workflow, RunRecord]:
    from tiphys.runs import Client
    from tiphys.runs.records import record_of

    with Client(store=options.store) as client:
        found = client.get(options.name)
    return found.workflow, record_of(found.workflow, local_store(options), found.record)


def _prices(texts: Iterable[str]) -> dict[str, float]:
    """Raises RefusedError TIP246 for what is no price."""
    prices = {}
    for name, text in assignments(texts, "--price").items():
        try:
            prices[name] = float(text)
        except ValueError:
            prices[name] = -1.0
        if not 0 <= prices[name] < float("inf"):
            raise RefusedError(
                "TIP246",
                f"--price {name}={text!r} is no price",
                fix="write for example: --price cpu=0.04 --price memory=0.005",
            )
    return prices


def _of_one(found: RunCost) -> str:
    rows = [(step.name, "hit" if step.hit else step.phase, step.cost, step.trend) for step in found.steps]
    return _table("STEP", [*rows, *_pools(found.pools), ("total", found.phase, found.total, None)])


def _of_many(found: Sequence[RunCost]) -> str:
    from tiphys.records.cost import pools, total

    rows: list[_Row] = [(run.key, run.phase, run.total, None) for run in found]
    whole = total(run.total for run in found)
    return _table("RUN", [*rows, *_pools(pools(found)), (f"{len(found)} runs", "", whole, None)])


def _pools(found: Mapping[str, Cost]) -> list[_Row]:
    if not any(found):
        return []
    return [(f"pool {name}" if name else "no pool", "", each, None) for name, each in found.items()]


def _table(what: str, rows: Iterable[_Row]) -> str:
    """Leaves out the columns in which nothing stands."""
    header = [what, "PHASE", *_COLUMNS, "TREND"]
    lines = [
        [name, phase, *_cells(each), "" if trend is None else f"{trend:+.0%} an epoch"]
        for name, phase, each, trend in rows
    ]
    kept = [place for place in range(len(header)) if place < 3 or any(line[place] for line in lines)]
    return table([header[place] for place in kept], ([line[place] for place in kept] for line in lines))


_COLUMNS = ("RAN", "WAITED", "LOST", "CPU PAID", "USED", "", "MEMORY PAID", "USED", "", "EX/CPU-S", "PRICE")


def _cells(each: Cost) -> Iterator[str]:
    yield seconds(each.seconds)
    yield seconds(each.waited) if each.waited else ""
    yield f"{seconds(each.lost)} ({each.failed})" if each.lost or each.failed else ""
    for name, (unit, size) in _RESOURCES.items():
        used, ratio = each.used.get(name), each.utilisation(name)
        yield f"{each.paid[name] / size:.1f} {unit}" if each.paid.get(name) else ""
        yield "" if used is None else f"{used / size:.1f}"
        yield "" if ratio is None else f"{ratio:.0%}"
    rate = each.examples_per_cpu_second
    yield "" if rate is None else f"{rate:,.0f}"
    yield "" if each.price is None else f"{each.price:.4f}"
