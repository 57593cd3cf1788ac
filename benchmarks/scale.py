"""Scale: what a run of 50 000 nodes costs the engine, and fan-outs of 10 000 under many names.

    python benchmarks/scale.py [--nodes 50000] [--shapes loop,dag] [--names 1000] [--fan 10000] [--json FILE]

The runs are real ones: each node starts ``true``; right before, a bare loop of posix_spawn starts as many. CPU is the
engine's own, the wall time everybody's. The names: a node's ID is a hash of its name, which begins with the workflow's,
so each name of a workflow is another draw of 10 000 hashes of 32 bits, of which 1.2 % have two equal ones. Those, and
each ``--every``-th of the others, are driven through the machine without processes: the run must end, with a node and
an ID for each item. ``--shapes ""`` leaves the runs out: those that are in the file stay.
Exit code 1 when a name fails.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, write

_NARROW = 10  # digits of a hash of 32 bits


def named(count: int, number: int) -> tuple[str, int, str]:
    """A fan-out of ``count`` under one name: the name, how many nodes needed a wider ID, and what is wrong."""
    from tiphys.engine.machine import protocol as p
    from tiphys.engine.machine.machine import Machine

    name = f"run-{number:05d}"
    step = {"name": "x", "template": "leaf", "withSequence": {"count": str(count)}}
    templates = [{"name": "main", "steps": [[step]]}, {"name": "leaf", "container": {"image": "i"}}]
    flow: Any = {"metadata": {"name": name}, "spec": {"entrypoint": "main", "templates": templates}}
    machine = Machine(flow, name=name, uid="u", now=0.0)
    started = [each for each in machine.handle(p.Begin(0.0)) if isinstance(each, p.StartPod)]
    for command in started:
        machine.handle(p.PodFinished(1.0, command.node_id, "Succeeded"))
    nodes = machine.nodes
    wide = sum(len(identity.removeprefix(f"{name}-")) > _NARROW for identity in nodes if identity != name)
    pods = {command.pod_name for command in started}
    names = {node["name"] for node in nodes.values()}
    if machine.phase != "Succeeded":
        return name, wide, f"ends {machine.phase or 'not at all'}"
    if not len(nodes) == len(names) == count + 2 or len(pods) != count:
        return name, wide, f"{len(nodes)} nodes, {len(names)} names, {len(pods)} pods"
    if any(node["phase"] != "Succeeded" or node["id"] != key for key, node in nodes.items()):
        return name, wide, "a node has another's ID, or has not ended"
    return name, wide, ""


def equal_hashes(count: int, number: int) -> bool:
    """Whether two nodes of the fan-out have one FNV-1a hash of 32 bits (http://www.isthe.com/chongo/tech/comp/fnv)."""
    begin = 0x811C9DC5
    for byte in f"run-{number:05d}[0].x(".encode():
        begin = ((begin ^ byte) * 0x01000193) & 0xFFFFFFFF
    seen = set()
    for index in range(count):
        value = begin
        for byte in f"{index}:{index})".encode():
            value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
        seen.add(value)
    return len(seen) < count


def names(count: int, fan: int, every: int, processes: int) -> dict[str, Any]:
    """All names whose hashes meet, and of the others each ``every``-th, through the machine."""
    with ProcessPoolExecutor(processes) as pool:
        equal = list(pool.map(partial(equal_hashes, fan), range(count), chunksize=4))
        driven = [number for number in range(count) if equal[number] or number % every == 0]
        found = list(pool.map(partial(named, fan), driven))
    wrong = [f"{name}: {problem}" for name, _, problem in found if problem]
    wrong += [
        f"{name}: {wide} nodes with a wider ID"
        for number, (name, wide, _) in zip(driven, found, strict=True)
        if bool(wide) != equal[number]
    ]
    return {
        "names": count,
        "nodes_each": fan,
        "names_with_equal_hashes": sum(equal),
        "names_driven": len(driven),
        "wrong": wrong,
    }


def runs(shapes: list[str], nodes: int, width: int) -> list[dict[str, Any]]:
    from engine import fresh

    found = []
    with tempfile.TemporaryDirectory() as store:
        for shape in shapes:
            bare = fresh("bare", nodes, width, store)
            cost = fresh(shape, nodes, width, store)
            count = cost["count"]
            found.append(
                {
                    "shape": shape,
                    "commit": about()["commit"],
                    "nodes": int(count),
                    "cpu_ms_a_node": round(cost["own"] / count * 1e3, 3),
                    "peak_rss_mb": round(cost["memory"]),
                    "wall_s": round(cost["wall"], 1),
                    "bare_wall_s": round(bare["wall"] * count / nodes, 1),
                    "all_cpu_ms_a_node": round(cost["all"] / count * 1e3, 3),
                    "bare_cpu_ms_a_node": round(bare["all"] / nodes * 1e3, 3),
                }
            )
            print(json.dumps(found[-1]), flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=50_000)
    parser.add_argument("--shapes", default="loop,dag")
    parser.add_argument("--width", type=int, default=16, help="containers at once")
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--fan", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=10, help="1: all names through the machine")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    found: dict[str, Any] = {
        "runs": runs([x for x in options.shapes.split(",") if x], options.nodes, options.width)
    }
    if not options.shapes and options.json:
        found["runs"] = json.loads(Path(options.json).read_text(encoding="utf-8"))["runs"]
    begin = time.monotonic()
    found["names"] = names(options.names, options.fan, options.every, options.processes)
    print(json.dumps(found["names"]), f"{time.monotonic() - begin:.0f} s")
    if options.json:
        write(Path(options.json), {**found, **about()})
    return 1 if found["names"]["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
