"""What it costs to look at what pods use: CPU of the engine's sampler, and how near it is to the truth.

Run: python benchmarks/sampler.py [--processes 20] [--seconds 30] [--json benchmarks/results/sampler.json]

The share of a core is the sampler's own, measured around each of its looks with what it writes, while so many Pythons
sleep, or take and give back memory all the time. The peak is what is said of a program that holds ``--memory`` MiB,
over that; what Python itself has is not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results import about, show, write

from tiphys.engine import Run, RunOptions
from tiphys.engine.base.loop import Loop
from tiphys.engine.pods.sampler import Sampler
from tiphys.engine.runners.spawner import Process

_KINDS = {
    "asleep": "import time; time.sleep(3600)",
    "busy": "import time\nwhile True:\n    for size in 20, 22, 21: x = b'x' * (1 << size); time.sleep(0.3); x = b''",
}


def _looks(processes: int, seconds: float, script: str, folder: Path) -> dict[str, float]:
    """The share of a core of the sampler alone, over its looks at Pythons."""
    loop = Loop()
    spent, looks = 0.0, 0
    sampler = Sampler(loop, folder)
    look: Callable[[], None] = sampler._look

    def measured() -> None:
        nonlocal spent, looks
        began = time.thread_time()
        look()
        spent, looks = spent + time.thread_time() - began, looks + 1

    sampler._look = measured  # type: ignore[method-assign]
    sleepers = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(processes)]
    try:
        for number, each in enumerate(sleepers):
            process = Process(None, number, lambda _: None)  # type: ignore[arg-type]
            process.pid = each.pid
            sampler.watch(process, f"node-{number}")
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            loop.step()
        wall = time.monotonic() - began
    finally:
        for each in sleepers:
            each.kill()
            each.wait()
        loop.close()
    return {
        "share_of_a_core": round(spent / wall, 6),
        "microseconds_a_process": round(1e6 * spent / looks / processes, 1),
        "seconds_between_looks": round(wall / looks, 2),
        "bytes_a_sample": round((folder / "samples.jsonl").stat().st_size / looks / processes, 1),
    }


def _flow(processes: int, script: str) -> dict[str, Any]:
    step = {"name": "step", "container": {"image": "x", "command": [sys.executable, "-c", script]}}
    tasks = [{"name": f"t{number}", "template": "step"} for number in range(processes)]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "sampler-"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "dag": {"tasks": tasks}}, step]},
    }


def _peak(mebibytes: int, runner: str, seconds: float) -> float:
    """What is said of the peak of a program over what it took, beside what Python itself has."""

    def said(script: str) -> int:
        with tempfile.TemporaryDirectory() as folder:
            options = RunOptions(store=folder, images={"*": "host"}, handle_signals=False, runner=runner)  # type: ignore[arg-type]
            result = Run(_flow(1, script), options=options).execute()
            lines = (result.folder / "samples.jsonl").read_text().splitlines()
            return int(max(json.loads(line).get("peak_memory", 0) for line in lines))

    script = f"import time; x = b'x' * ({mebibytes} << 20); time.sleep({seconds})"
    own = said("import time; x = b''; time.sleep(0.5)")
    return round((said(script) - own) / (mebibytes << 20), 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--memory", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {"processes": given.processes}
    for kind, script in _KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            found[kind] = _looks(given.processes, given.seconds, script, Path(folder))
    found["peak_over_truth"] = {
        f"{runner}, {'seen' if seconds else 'gone at once'}": _peak(given.memory, runner, seconds)
        for runner in ("process", "sandbox")
        for seconds in (0.0, 1.5)
    }
    show(found)
    if given.json:
        write(given.json, {**about(), **found})


if __name__ == "__main__":
    main()
