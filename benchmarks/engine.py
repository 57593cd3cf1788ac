"""What the engine costs: workflows of no-op nodes beside a bare posix_spawn loop of the same program.

Run: python benchmarks/engine.py [--nodes 10000 | --sizes 2500,5000,10000,20000] [--shapes loop,dag] [--start 20]
         [--memory 50000] [--json FILE]

Each measurement is a process of its own, and right before it the bare loop runs as many programs. Two measures:
wall time of the whole run less that of the bare loop (what a user waits for; a busy machine doubles it), and CPU
time of the engine, its keeper and the programs less that of the bare loop and its programs, which is steady. "ratio" is
the CPU time a node over that of the smallest size: 1 is linear.

``--start N``: N times ``tiphys run`` of a workflow of one step; the time until that step's program runs, and the CPU
time of all of it. ``--memory N``: the peak of the engine's memory with so many nodes. ``--json FILE``: all of it, as in
benchmarks/results. Other tools' local runners: peers.py.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TRUE = shutil.which("true") or "/bin/true"
NOOP = {"name": "noop", "container": {"image": "bench", "command": [TRUE]}}


def _workflow(*templates: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "bench-"},
        "spec": {"entrypoint": "main", "templates": list(templates), **spec},
    }


def _tasks(count: int, template: str, needs: Callable[[int], list[int]]) -> dict[str, Any]:
    tasks = []
    for index in range(count):
        task = {"name": f"t{index}", "template": template}
        if before := needs(index):
            task["depends"] = " && ".join(f"t{other}" for other in before)
        tasks.append(task)
    return {"dag": {"tasks": tasks}}


def _mesh(index: int) -> list[int]:
    if index < 100:
        return []
    return [index - 100, index - 99] if index % 100 != 99 else [index - 100]


def _loop(nodes: int) -> dict[str, Any]:
    """One step with withSequence."""
    step = {"name": "n", "template": "noop", "withSequence": {"count": str(nodes)}}
    return _workflow({"name": "main", "steps": [[step]]}, NOOP)


def _dag(nodes: int) -> dict[str, Any]:
    """A diamond mesh, 100 wide."""
    return _workflow({"name": "main", **_tasks(nodes, "noop", _mesh)}, NOOP)


def _groups(nodes: int) -> dict[str, Any]:
    """Groups of 500 steps one after the other."""
    groups = [
        [{"name": f"s{first}-{index}", "template": "noop"} for index in range(min(500, nodes - first))]
        for first in range(0, nodes, 500)
    ]
    return _workflow({"name": "main", "steps": groups}, NOOP)


def _nested(nodes: int) -> dict[str, Any]:
    """A DAG, 10 wide, whose tasks are DAGs of 20 tasks, 10 wide."""
    inner = _tasks(20, "noop", lambda index: [index - 10] if index >= 10 else [])
    outer = _tasks(nodes // 20, "inner", lambda index: [index - 10] if index >= 10 else [])
    return _workflow({"name": "main", **outer}, {"name": "inner", **inner}, NOOP)


def _retry(nodes: int) -> dict[str, Any]:
    """A loop over a template with a retryStrategy: a Retry node and an attempt each."""
    flow = _loop(nodes)
    flow["spec"]["templates"][1] = {**NOOP, "retryStrategy": {"limit": "2"}}
    return flow


def _param(nodes: int) -> dict[str, Any]:
    """withParam over items of half a kilobyte, each handed on as two parameters."""
    items = [{"name": f"item-{index}", "text": "x" * 500} for index in range(nodes)]
    values = [{"name": name, "value": f"{{{{item.{name}}}}}"} for name in ("name", "text")]
    step = {
        "name": "n", "template": "noop", "withParam": "{{workflow.parameters.items}}",
        "arguments": {"parameters": values},
    }  # fmt: skip
    inputs = {"parameters": [{"name": "name"}, {"name": "text"}]}
    noop = {
        **NOOP,
        "inputs": inputs,
        "container": {"image": "bench", "command": [TRUE], "args": ["{{inputs.parameters.name}}"]},
    }
    arguments = {"parameters": [{"name": "items", "value": json.dumps(items)}]}
    return _workflow({"name": "main", "steps": [[step]]}, noop, arguments=arguments)


def _chain(nodes: int) -> dict[str, Any]:
    """Tasks one after the other: a fifth of the nodes, for each waits for the disk."""
    return _workflow(
        {"name": "main", **_tasks(nodes // 5, "noop", lambda index: [index - 1] if index else [])}, NOOP
    )


SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "loop": _loop, "dag": _dag, "groups": _groups, "nested": _nested, "retry": _retry, "param": _param, "chain": _chain,
}  # fmt: skip


def spawn_loop(count: int, width: int) -> None:
    """``count`` bare posix_spawns, ``width`` at a time."""
    running = started = 0
    while started < count or running:
        while started < count and running < width:
            os.posix_spawn(TRUE, [TRUE], os.environ)
            started += 1
            running += 1
        os.wait()
        running -= 1


def engine_run(flow: dict[str, Any], width: int, store: str) -> int:
    """Run to the end; how many programs that started."""
    from tiphys.engine import RunOptions, run

    # as tiphys.run calls it, which has asked the judge already
    result = run(flow, invalid="", options=RunOptions(store=store, images={"bench": "host"}, max_pods=width))
    assert result.succeeded, result.message
    return sum(node["type"] == "Pod" for node in result.workflow["status"]["nodes"].values())


def measure(shape: str, nodes: int, width: int, store: str) -> None:
    """In a fresh process: run, and print what it cost as JSON. Shape ``bare``: the loop."""
    flow = SHAPES[shape](nodes) if shape != "bare" else {}
    begin, before = time.perf_counter(), _cpu()
    count = engine_run(flow, width, store) if flow else nodes
    if not flow:
        spawn_loop(nodes, width)
    wall, after = time.perf_counter() - begin, _cpu()
    cost = {
        "count": count,
        "wall": wall,
        "own": after[0] - before[0],
        "all": sum(after) - sum(before),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(cost))


def _cpu() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that have ended (and theirs)."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def fresh(shape: str, nodes: int, width: int, store: str) -> dict[str, float]:
    """:func:`measure` in a process of its own."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); from engine import measure; " + (
        "measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])"
    )
    arguments = [str(Path(__file__).parent), shape, str(nodes), str(width), store]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def start(times: int, store: str) -> dict[str, float]:
    """``tiphys run`` of a workflow of one step: from before the command to when that step's program says the time, and
    the CPU time of the command, the step and all between; in ms."""
    now = {"name": "main", "container": {"image": "bench", "command": ["date", "+%s.%N"]}}
    file = Path(store) / "start.yaml"
    file.write_text(json.dumps(_workflow(now)), encoding="utf-8")
    command = [sys.executable, "-m", "tiphys", "run", str(file), "--image", "*=host", "--store", store]
    walls, cpus = [], []
    for number in range(times + 1):
        before, begin = _cpu()[1], time.time()
        own = [*command, "--name", f"start-{number}"]
        subprocess.run(own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        (log,) = (Path(store) / "runs" / f"start-{number}" / "logs").glob("*.log")
        walls.append(1e3 * (float(log.read_text()) - begin))
        cpus.append(1e3 * (_cpu()[1] - before))
    return {
        "starts": times,
        "to_first_process_ms": round(statistics.median(walls[1:]), 1),  # the first one may compile
        "to_first_process_least_ms": round(min(walls[1:]), 1),
        "cpu_ms": round(statistics.median(cpus[1:]), 1),
    }


def _numbers(row: Mapping[str, str]) -> dict[str, str | float]:
    return {name: text if name == "shape" else float(text) for name, text in row.items()}


def table(rows: list[Mapping[str, str]]) -> None:
    """Print rows with aligned columns."""
    names = list(rows[0])
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in names}
    for row in [{name: name for name in names}, *rows]:
        print("  ".join(row[name].rjust(widths[name]) for name in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10_000, help="a quarter of it is run, too")
    parser.add_argument("--sizes", default="", help="numbers of nodes instead, with commas")
    parser.add_argument("--shapes", default=",".join(SHAPES), help="some of %(default)s")
    parser.add_argument("--width", type=int, default=16, help="containers at once")
    parser.add_argument(
        "--start", type=int, default=0, metavar="N", help="how often a run of one step starts"
    )
    parser.add_argument(
        "--memory", type=int, default=0, metavar="N", help="nodes with which memory is looked at"
    )
    parser.add_argument("--json", default="", metavar="FILE", help="write the numbers there")
    options = parser.parse_args()
    # one store for all, removed at the end: ext4 is slow to make files right after it has removed many
    with tempfile.TemporaryDirectory() as store:
        found: dict[str, Any] = {}
        if options.start:
            found["start"] = start(options.start, store)
            print(json.dumps(found["start"]), flush=True)
        sizes = [int(size) for size in options.sizes.split(",") if size]
        rows: list[Mapping[str, str]] = []
        for shape in options.shapes.split(","):
            first = 0.0
            for nodes in sizes or [options.nodes // 4, options.nodes]:
                bare = fresh("bare", nodes, options.width, store)
                cost = fresh(shape, nodes, options.width, store)
                count = cost["count"]
                each = {name: bare[name] / nodes * 1e3 for name in ("wall", "all")}
                mine = {name: cost[name] / count * 1e3 for name in ("wall", "all", "own")}
                first = first or mine["all"]
                rows.append(
                    {
                        "shape": shape,
                        "pods": f"{count:.0f}",
                        "wall ms/pod": f"{mine['wall']:.3f}",
                        "bare": f"{each['wall']:.3f}",
                        "engine wall": f"{mine['wall'] - each['wall']:.3f}",
                        "CPU ms/pod": f"{mine['all']:.3f}",
                        "bare CPU": f"{each['all']:.3f}",
                        "engine CPU": f"{mine['all'] - each['all']:.3f}",
                        "of it own": f"{mine['own']:.3f}",
                        "ratio": f"{mine['all'] / first:.2f}",
                        "memory MB": f"{cost['memory']:.0f}",
                    }
                )
        for shape in ("loop", "dag") if options.memory else ():
            peak = fresh(shape, options.memory, options.width, store)["memory"]
            found.setdefault("memory", []).append(
                {"shape": shape, "nodes": options.memory, "peak_rss_mb": round(peak)}
            )
            print(json.dumps(found["memory"][-1]), flush=True)
    table(rows)
    if options.json:
        from results import about, write

        write(Path(options.json), {**found, "shapes": [_numbers(row) for row in rows], **about()})


if __name__ == "__main__":
    main()
