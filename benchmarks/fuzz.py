"""Every reader of the house, attacked with mutated and hostile inputs: documents, expressions, archives, stores.

    python benchmarks/fuzz.py [--inputs 20000] [--archives 2000] [--seed 1] [--processes 1] [--only NAME] [--json FILE]

The inputs are those of tests/fuzz, made from the seed and their numbers. Each slice has a process of its own with 3 GB
of memory; a value or a known error is right, anything else, ten seconds of processor time with one input, or a process
that grows, is not. Prints a table, and for each fault the smallest input; the exit code is 1 if there is one.
``--inputs`` counts documents and expressions, ``--archives`` archives and idx files; of damaged stores there is one for
each hundred inputs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, write
from tests.fuzz.drive import Report, attack
from tests.fuzz.targets import TARGETS

SLICE = 20_000


def shares(inputs: int, archives: int, only: list[str]) -> Iterator[tuple[str, int]]:
    """How many inputs each target gets: as they are weighed in the tests."""
    counts = {"expressions": inputs, "documents": inputs, "archives": archives, "stores": inputs // 100}
    together = {"expressions": 0, "documents": 0, "archives": 0, "stores": 0}
    for target in TARGETS.values():
        together[target.group] += target.inputs
    both = together["expressions"] + together["documents"]
    together.update(expressions=both, documents=both)
    for target in TARGETS.values():
        if not only or target.name in only:
            yield target.name, -(-counts[target.group] * target.inputs // together[target.group])


def slices(inputs: int, archives: int, only: list[str], seed: int) -> list[tuple[str, int, int]]:
    """(target, inputs, seed), those of all targets in turns, so that an early end has seen each."""
    rounds: list[list[tuple[str, int, int]]] = []
    for name, count in shares(inputs, archives, only):
        for number, first in enumerate(range(0, count, SLICE)):
            if number == len(rounds):
                rounds.append([])
            rounds[number].append((name, min(SLICE, count - first), seed + number))
    return [each for one in rounds for each in one]


def add(total: Report, part: Report) -> None:
    """Add what came of a slice to what came of its target."""
    total.inputs += part.inputs
    total.cpu_s += part.cpu_s
    total.slowest = max(total.slowest, part.slowest)
    total.peak_mb = max(total.peak_mb, part.peak_mb)
    total.growth_mb = max(total.growth_mb, part.growth_mb)
    for end, count in part.ends.items():
        total.ends[end] = total.ends.get(end, 0) + count
    for end, found in part.findings.items():
        known = total.findings.setdefault(end, found)
        if known is not found:
            known["count"] += found["count"]


def row(name: str, report: Report) -> str:
    return (
        f"| {name} | {report.inputs} | {report.tracebacks} | {report.hangs} | {report.slowest[0]:.2f} s "
        f"| {report.peak_mb:.0f} MB | {report.growth_mb:+.0f} MB | {report.ends.get('value', 0)} | {len(report.ends)} |"
    )


def summary(reports: dict[str, Report], begin: float) -> dict[str, object]:
    """What docs/reliability.md is told."""
    return {
        "inputs": sum(each.inputs for each in reports.values()),
        "tracebacks": sum(each.tracebacks for each in reports.values()),
        "hangs": sum(each.hangs for each in reports.values()),
        "peak_rss_mb": round(max(each.peak_mb for each in reports.values())),
        "growth_mb": round(max(each.growth_mb for each in reports.values())),
        "slowest_s": round(max(each.slowest[0] for each in reports.values()), 2),
        "by_target": {
            name: {
                "group": TARGETS[name].group,
                "inputs": each.inputs,
                "tracebacks": each.tracebacks,
                "hangs": each.hangs,
                "slowest_s": round(each.slowest[0], 3),
                "peak_rss_mb": round(each.peak_mb),
                "values": each.ends.get("value", 0),
            }
            for name, each in reports.items()
        },
        "cpu_s": round(sum(each.cpu_s for each in reports.values())),
        "wall_s": round(time.monotonic() - begin),
        **about(),
    }


def main() -> int:
    """Attack, and say what was seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=20_000, help="documents and expressions (%(default)s)")
    parser.add_argument("--archives", type=int, default=2_000, help="archives and idx files (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="at a time (%(default)s)")
    parser.add_argument("--only", action="append", default=[], choices=sorted(TARGETS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    begin = time.monotonic()
    reports: dict[str, Report] = {}
    todo = slices(given.inputs, given.archives, given.only, given.seed)
    with ThreadPoolExecutor(given.processes) as pool:
        for (name, _, _), part in zip(todo, pool.map(lambda each: attack(*each), todo), strict=True):
            add(reports.setdefault(name, Report(name)), part)
            if part.findings:
                print(part.told(), file=sys.stderr, flush=True)
            if given.json:  # also of a run that is interrupted
                write(given.json, summary(reports, begin))
    print(
        "| target | inputs | tracebacks | hangs | slowest | peak RSS | growth | values | kinds of answers |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, report in reports.items():
        print(row(name, report))
    whole = Report("all")
    for report in reports.values():
        add(whole, report)
    print(row("**all**", whole))
    print(f"\n{whole.cpu_s:.0f} s of processor time, {time.monotonic() - begin:.0f} s in all")
    if whole.findings:
        print("\n" + "\n".join(report.told() for report in reports.values() if report.findings))
    return 1 if whole.findings else 0


if __name__ == "__main__":
    sys.exit(main())
