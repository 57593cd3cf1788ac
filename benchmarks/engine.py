"""What the engine costs: a wide loop and a DAG of no-op nodes beside a bare posix_spawn loop of the same program.

Run: python benchmarks/engine.py [--nodes 10000] [--peers]. Engine time a node is the wall time of the whole run
less that of the bare loop, divided by the nodes. The peers' local runners are shown when they are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiphys.engine import RunOptions, run

TRUE = shutil.which("true") or "/bin/true"


def workflow(nodes: int, shape: str) -> dict[str, Any]:
    """``nodes`` no-op nodes: ``loop`` (one step with withSequence) or ``dag`` (a diamond mesh, 100 wide)."""
    noop = {"name": "noop", "container": {"image": "bench", "command": [TRUE]}}
    if shape == "loop":
        step = {"name": "n", "template": "noop", "withSequence": {"count": str(nodes)}}
        main: dict[str, Any] = {"name": "main", "steps": [[step]]}
    else:
        tasks = []
        for index in range(nodes):
            task: dict[str, Any] = {"name": f"t{index}", "template": "noop"}
            if index >= 100:
                task["depends"] = f"t{index - 100}" + (f" && t{index - 99}" if index % 100 != 99 else "")
            tasks.append(task)
        main = {"name": "main", "dag": {"tasks": tasks}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "bench-"},
        "spec": {"entrypoint": "main", "templates": [main, noop]},
    }


def spawn_loop(count: int, width: int) -> float:
    """Seconds for ``count`` bare posix_spawns, ``width`` at a time."""
    begin = time.perf_counter()
    running = started = 0
    while started < count or running:
        while started < count and running < width:
            os.posix_spawn(TRUE, [TRUE], os.environ)
            started += 1
            running += 1
        os.wait()
        running -= 1
    return time.perf_counter() - begin


def engine(nodes: int, shape: str, width: int) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory (MB) of a run in a fresh process."""
    program = (
        "import sys, time, resource; sys.path.insert(0, sys.argv[1]);"
        "from engine import measure; measure(int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", program, here, str(nodes), shape, str(width)],
        capture_output=True,
        text=True,
        check=True,
    )
    wall, cpu, memory = done.stdout.split()
    return float(wall), float(cpu), float(memory)


def measure(nodes: int, shape: str, width: int) -> None:
    """Run and print wall, CPU and memory (in the fresh process)."""
    with tempfile.TemporaryDirectory() as store:
        options = RunOptions(store=store, images={"bench": "host"}, max_pods=width)
        begin, cpu = time.perf_counter(), time.process_time()
        result = run(workflow(nodes, shape), options=options)
        wall, cpu = time.perf_counter() - begin, time.process_time() - cpu
    assert result.succeeded, result.message
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peers(nodes: int) -> list[tuple[str, float]]:
    """Seconds a node of other tools' local runners, for those that are installed."""
    found = []
    if importlib.util.find_spec("prefect"):
        found.append(("prefect (subprocess task)", _timed(_PREFECT, nodes)))
    if importlib.util.find_spec("dagster"):
        found.append(("dagster (in-process executor)", _timed(_DAGSTER, nodes)))
    return found


_PREFECT = """
import subprocess, sys
from prefect import flow, task
@task
def noop(i): subprocess.run(["true"])
@flow
def main(): [f.wait() for f in [noop.submit(i) for i in range(int(sys.argv[1]))]]
main()
"""
_DAGSTER = """
import subprocess, sys
from dagster import job, op, DynamicOut, DynamicOutput
@op(out=DynamicOut())
def start():
    for i in range(int(sys.argv[1])): yield DynamicOutput(i, mapping_key=str(i))
@op
def noop(i): subprocess.run(["true"])
@job
def main(): start().map(noop)
main.execute_in_process()
"""


def _timed(program: str, nodes: int) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, str(nodes)], check=True, capture_output=True)
    return (time.perf_counter() - begin) / nodes


def table(rows: list[Mapping[str, str]]) -> None:
    """Print rows with aligned columns."""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    for row in [{name: name for name in names}, *rows]:
        print("  ".join(row[name].rjust(widths[name]) for name in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=16, help="containers at once")
    parser.add_argument(
        "--peers", action="store_true", help="also other tools' local runners, 100 nodes each"
    )
    options = parser.parse_args()
    rows = []
    for nodes in (options.nodes // 10, options.nodes):
        bare = spawn_loop(nodes, options.width)
        for shape in ("loop", "dag"):
            wall, cpu, memory = engine(nodes, shape, options.width)
            rows.append(
                {
                    "shape": shape,
                    "nodes": str(nodes),
                    "wall s": f"{wall:.2f}",
                    "bare posix_spawn s": f"{bare:.2f}",
                    "engine ms/node": f"{(wall - bare) / nodes * 1e3:.3f}",
                    "engine CPU ms/node": f"{cpu / nodes * 1e3:.3f}",
                    "memory MB": f"{memory:.0f}",
                }
            )
    table(rows)
    if options.peers:
        for name, seconds in peers(100):
            print(f"{name}: {seconds * 1e3:.1f} ms/node")


if __name__ == "__main__":
    main()
