"""No ratio to a peer falls by more than a quarter: those that are cheap to measure, beside what was recorded.

    python benchmarks/guard.py              # exit code 1 when one has fallen
    python benchmarks/guard.py --record     # write benchmarks/results/guard.json anew

A ratio is the CPU time of the peer over ours, in the same run: compiling beside Hera, `tiphys lint` beside `argo lint`,
the engine beside a bare posix_spawn loop. Both sides take turns, and the median of the rounds counts, so that what
else the machine does weighs on both. A ratio that has fallen is measured once more, and the better one counts.
What is not here (`argo` and its cases) is told, and not judged.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from benchmarks.results import about, write  # noqa: E402

RECORDED = ROOT / "benchmarks" / "results" / "guard.json"
FLOOR = 0.75
ROUNDS = 5

Round = Callable[[], tuple[float, float]]
"""The CPU time of ours, and of the peer's."""
Measure = Callable[[], Iterator[Round | None]]
"""A context; None: a program or a file that it needs is not here."""


def compiling(case: str) -> Iterator[Round | None]:
    from benchmarks.compile import cases, timed

    ours, theirs = cases(1000)[case]
    yield lambda: (timed(ours), timed(theirs))


def linting() -> Iterator[Round | None]:
    from benchmarks.lint import examples, timed
    from tests.lint.places import shared
    from tests.tools import find_program

    argo = find_program("argo")
    if not argo or not shared():
        yield None
        return
    with tempfile.TemporaryDirectory() as place:
        examples(Path(place))
        ours = [sys.executable, "-m", "tiphys", "lint", place]
        theirs = [argo, "lint", "--offline", "--strict", "--no-color", place]
        yield lambda: (timed(ours)[1], timed(theirs)[1])


def running(shape: str) -> Iterator[Round | None]:
    from benchmarks.engine import fresh

    with tempfile.TemporaryDirectory() as store:
        yield lambda: (fresh(shape, 1000, 16, store)["all"], fresh("bare", 1000, 16, store)["all"])


MEASURES: dict[str, Measure] = {
    "compile a Hera object, beside Hera": functools.partial(compiling, "a Hera object"),
    "compile a Pipeline, beside Hera": functools.partial(compiling, "a Pipeline"),
    "lint Argo's examples, beside argo lint": linting,
    "run a loop of 1000, beside posix_spawn": functools.partial(running, "loop"),
    "run a DAG of 1000, beside posix_spawn": functools.partial(running, "dag"),
}


def ratio(measure: Measure, rounds: int = ROUNDS) -> float | None:
    """The median of the rounds, after one that is not counted."""
    with contextmanager(measure)() as one:
        if one is None:
            return None
        one()
        found = [one() for _ in range(rounds)]
    return statistics.median(theirs / ours for ours, theirs in found)


def fallen(recorded: Mapping[str, float], measures: Mapping[str, Measure]) -> list[str]:
    """What has fallen by more than a quarter: its name, the ratio that was recorded, that which was seen."""
    bad = []
    for name, measure in measures.items():
        was, seen = recorded.get(name), ratio(measure)
        if was is None or seen is None:
            print(f"{name}: {'not recorded' if was is None else 'not here'}")
            continue
        if seen < FLOOR * was:
            seen = max(seen, ratio(measure) or 0.0)
        said = f"{name}: recorded {was:.2f}, seen {seen:.2f}"
        print(said)
        if seen < FLOOR * was:
            bad.append(said)
    return bad


def main(words: list[str] | None = None, measures: Mapping[str, Measure] = MEASURES) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--file", type=Path, default=RECORDED, help="%(default)s")
    options = parser.parse_args(words)
    if options.record:
        found = {name: ratio(measure) for name, measure in measures.items()}
        ratios = {name: round(seen, 3) for name, seen in found.items() if seen is not None}
        write(options.file, {**about(), "rounds": ROUNDS, "ratios": ratios})
        print(*(f"{name}: {seen}" for name, seen in ratios.items()), sep="\n")
        return 0
    bad = fallen(json.loads(options.file.read_text(encoding="utf-8"))["ratios"], measures)
    for said in bad:
        print(f"fallen by more than a quarter: {said}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
