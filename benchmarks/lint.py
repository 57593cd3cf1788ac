"""tiphys lint beside the real argo lint, as programs: one file, a folder of Argo's examples, and 10 000 files.

    python benchmarks/lint.py [--rounds 7] [--many 10000] [--json FILE]

Needs Argo's cases (``$TIPHYS_SHARED`` or ``../shared``) and the ``argo`` program; both linters read the same
files in one call, in turns. Times are medians of the rounds: wall clock, and processor time of the process and of
those that it began. Memory is that of the largest of them. The many files are copies, but of no templates: argo stops
at two of one name.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from benchmarks.results import about, write  # noqa: E402
from tests.lint.places import argo_binary, lint_cases  # noqa: E402
from tiphys.argo.reader import read_text  # noqa: E402


def examples(folder: Path) -> list[Path]:
    """Write the cases that argo lint accepts; shared templates of one name only once (argo stops there). Returns the
    files without any."""
    seen: set[tuple[str, str]] = set()
    without: list[Path] = []
    for case in lint_cases():
        if case["oracle"]["rc"] != 0 or case["context"]:
            continue
        names = {
            (item.kind, str((item.data.get("metadata") or {}).get("name")))
            for item in read_text(case["yaml"])
            if "Template" in item.kind
        }
        if names & seen:
            continue
        seen |= names
        file = folder / f"{case['id']}.yaml"
        file.write_text(case["yaml"], encoding="utf-8")
        without += [] if names else [file]
    return without


def copies(files: list[Path], many: int, folder: Path) -> None:
    """Copy the files until there are so many."""
    for number, file in zip(range(many), itertools.cycle(files), strict=False):
        (folder / f"{number:05d}-{file.name}").write_bytes(file.read_bytes())


class Cost(NamedTuple):
    """Of one run: wall and processor milliseconds, and the memory of its largest process."""

    wall_ms: float
    processor_ms: float
    most_mib: float


def timed(command: list[str]) -> Cost:
    """The cost of one run. Both linters end with 0 or 1 where all could be read."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "sdk")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as told:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
        _, state, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(state)
        if process.returncode not in (0, 1):
            told.seek(0)
            raise SystemExit(f"{command[:4]} ended with {process.returncode}: {told.read()[-500:]!r}")
    return Cost(wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3, used.ru_maxrss / 1024)


def compare(files: int, pairs: dict[str, list[str]], rounds: int) -> dict[str, object]:
    """Run the commands in turns, print a row for each, and how many times as long the second takes."""
    costs: dict[str, list[Cost]] = {name: [] for name in pairs}
    for _ in range(rounds):
        for name, command in pairs.items():
            costs[name].append(timed(command))
    found: dict[str, object] = {"files": files}
    for name, each in costs.items():
        wall, processor, most = (round(statistics.median(column), 1) for column in zip(*each, strict=True))
        found[name] = {"wall_ms": wall, "processor_ms": processor, "most_mib": most}
        print(
            f"| {name} | {files} | {wall:.0f} ms | {processor:.0f} ms | {wall / files:.2f} ms | {most:.0f} MiB |"
        )
    ours, theirs = costs.values()
    for at, what in enumerate(("wall", "processor")):
        ratio = statistics.median(b[at] / a[at] for a, b in zip(ours, theirs, strict=True))
        found[f"argo_times_{what}"] = round(ratio, 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        some, many = Path(place, "some"), Path(place, "many")
        some.mkdir()
        many.mkdir()
        copies(examples(some), options.many, many)
        one = min(some.glob("*.yaml"))
        print("| linter | files | wall | processor | wall a file | memory |\n|---|---|---|---|---|---|")
        for name, path, rounds in (
            ("one_file", one, options.rounds),
            ("one_call", some, options.rounds),
            ("many", many, min(3, options.rounds)),
        ):
            files = 1 if path is one else len(list(path.iterdir()))
            pairs = {
                "tiphys": [sys.executable, "-m", "tiphys", "lint", str(path)],
                "argo": [argo_binary(), "lint", "--offline", "--strict", "--no-color", str(path)],
            }
            found[name] = compare(files, pairs, rounds)
    for name, value in found.items():
        assert isinstance(value, dict)
        ratios = ", ".join(f"{value[f'argo_times_{what}']} ({what})" for what in ("wall", "processor"))
        print(f"{name}: argo takes {ratios} times as long (medians of the rounds)")
    if options.json:
        write(Path(options.json), {**found, **about()})


if __name__ == "__main__":
    main()
