"""tiphys lint beside the real argo lint: the same folder of Argo's examples, interleaved, and one file alone.

    python benchmarks/lint.py [--rounds 7]

Needs Argo's cases (``$TIPHYS_SHARED`` or ``../shared``) and the ``argo`` program; both linters read the same
files in one call. Times are medians of the rounds: wall clock, and processor time of the process itself.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from tests.lint.places import argo_binary, lint_cases  # noqa: E402
from tiphys.argo.reader import read_text  # noqa: E402

CALL = "import sys; from tiphys.lint import cli_main; sys.exit(cli_main(sys.argv[1:]))"


def examples(folder: Path) -> int:
    """Write the cases that argo lint accepts; shared templates of one name only once (argo stops there)."""
    seen: set[tuple[str, str]] = set()
    count = 0
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
        count += 1
        (folder / f"{case['id']}.yaml").write_text(case["yaml"], encoding="utf-8")
    return count


def timed(command: list[str]) -> tuple[float, float]:
    """Wall and processor seconds of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT / "sdk")}
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(pairs: dict[str, list[str]], rounds: int, files: int) -> None:
    """Run the commands in turns and print a row for each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    for _ in range(rounds):
        for name, command in pairs.items():
            times[name].append(timed(command))
    for name, found in times.items():
        wall = statistics.median(item[0] for item in found)
        processor = statistics.median(item[1] for item in found)
        print(
            f"| {name} | {files} | {wall * 1e3:.0f} ms | {processor * 1e3:.0f} ms "
            f"| {wall / files * 1e3:.2f} ms | {processor / files * 1e3:.2f} ms |"
        )
    ours, theirs = (list(times.values())[at] for at in (0, 1))
    for at, what in enumerate(("wall", "processor")):
        ratio = statistics.median(b[at] / a[at] for a, b in zip(ours, theirs, strict=True))
        print(f"argo takes {ratio:.2f} times as long ({what}, median of the rounds)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    argo = [argo_binary(), "lint", "--offline", "--strict", "--no-color"]
    ours = [sys.executable, "-c", CALL]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        count = examples(folder)
        one = next(iter(sorted(folder.glob("*.yaml"))))
        print(
            "| linter | files | wall | processor | wall a file | processor a file |\n|---|---|---|---|---|---|"
        )
        compare({"tiphys lint": [*ours, place], "argo lint": [*argo, place]}, rounds, count)
        compare(
            {"tiphys lint, one file": [*ours, str(one)], "argo lint, one file": [*argo, str(one)]}, rounds, 1
        )


if __name__ == "__main__":
    main()
