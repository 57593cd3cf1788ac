"""The mission from an empty store to two models that are served, and again when all of it is known.

    python benchmarks/mission.py [--warm 5] [--json FILE]

What a user types, ``tiphys run pipelines/fashion_mnist.py``, as a process of its own with a store of its own: its wall
time from the start to the exit, that of the run in it, and the CPU time of all processes. Of the warm runs the medians.
On a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.results import about, write  # noqa: E402

# what the command prints last of a run: fashion-mnist-x2v9k Succeeded in 3m01s, 37 steps, 0 from the cache
_ENDED = re.compile(r" Succeeded in (?:(\d+)m)?([\d.]+)s, (\d+) steps, (\d+) from the cache")


def run(store: Path) -> tuple[dict[str, float], list[str]]:
    """One run: what it took, and the lines of the ranking of the models."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tiphys", "run", "pipelines/fashion_mnist.py", "--store", str(store)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = _ENDED.search(done.stdout)
    if done.returncode or not ended:
        raise SystemExit(f"the mission failed:\n{done.stdout[-3000:]}")
    minutes, seconds, steps, hits = (float(number or 0) for number in ended.groups())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    told = {
        "command_s": wall,
        "the_run_s": 60 * minutes + seconds,
        "cpu_s": cpu,
        "steps": steps,
        "hits": hits,
    }
    lines = done.stdout[ended.end() :].strip().splitlines()
    return told, lines[: lines.index("")]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiphys-mission-") as folder:
        cold, models = run(Path(folder))
        warm = [run(Path(folder))[0] for _ in range(options.warm)]
    of_warm = {name: statistics.median(each[name] for each in warm) for name in cold}
    rows = [
        {
            "run": kind,
            "median_of": many,
            **{name: round(value, 1) if name.endswith("_s") else int(value) for name, value in told.items()},
        }
        for kind, many, told in (("cold", 1, cold), ("warm", options.warm, of_warm))
    ]
    for row in rows:
        print(row)
    print(*models, sep="\n")
    if options.json:
        write(options.json, {**about(), "rows": rows, "models": models})
    return 0


if __name__ == "__main__":
    sys.exit(main())
