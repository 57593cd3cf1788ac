"""How long compiling takes: the mission, and a DAG of 1000 tasks beside Hera's own ``to_yaml``.

    python benchmarks/compile.py [--tasks 1000] [--rounds 9] [--json FILE]

Each round runs every case once, in turn, so that a busy machine slows them alike. Told are medians of the rounds: CPU
time, and Hera's over ours.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "sdk")]

from benchmarks.results import about, write  # noqa: E402


def hera_dag(tasks: int) -> Any:
    """A chain-and-fan DAG written with plain Hera."""
    from hera.workflows import DAG, Container, Parameter, Task, Workflow

    with Workflow(generate_name="big-", entrypoint="main") as workflow:
        echo = Container(
            name="echo",
            image="alpine:3.20",
            command=["echo"],
            args=["{{inputs.parameters.text}}"],
            inputs=[Parameter(name="text")],
        )
        with DAG(name="main"):
            previous: list[Any] = []
            for index in range(tasks):
                task = Task(name=f"t{index}", template=echo, arguments={"text": f"message {index}: yes"})
                for other in previous[-3:]:
                    other >> task
                previous.append(task)
    return workflow


def tiphys_dag(tasks: int) -> Any:
    """The same DAG written with Tiphys."""
    from tiphys import Pipeline, component

    echo = component(say, name="echo", image="alpine:3.20")
    with Pipeline("big", entrypoint="main") as pipeline:
        previous: list[Any] = []
        for index in range(tasks):
            task = echo(text=f"message {index}: yes").named(f"t{index}")
            task.after(*previous[-3:])
            previous.append(task)
    return pipeline


def say(text: str) -> None:
    """The step of the benchmark."""
    print(text)


def mission() -> Any:
    """The mission pipeline, compiled from its file."""
    from pipelines.fashion_mnist import build

    return build()


Action = Callable[[], Any]


def cases(tasks: int) -> dict[str, tuple[Action, Action]]:
    """What is compiled: by tiphys, and by Hera."""
    import tiphys

    workflow, pipeline = hera_dag(tasks), tiphys_dag(tasks)
    return {
        "a Hera object": (lambda: tiphys.to_yaml(workflow), workflow.to_yaml),
        "a Pipeline": (lambda: tiphys.to_yaml(pipeline), workflow.to_yaml),
        "written, and compiled": (
            lambda: tiphys.to_yaml(tiphys_dag(tasks)),
            lambda: hera_dag(tasks).to_yaml(),
        ),
    }


def timed(action: Action) -> float:
    """CPU milliseconds."""
    gc.collect()
    start = time.process_time()
    action()
    return (time.process_time() - start) * 1000


def compare(tasks: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each case."""
    pairs = cases(tasks)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
    for _ in range(rounds):
        for name, (ours, theirs) in pairs.items():
            times[name].append((timed(ours), timed(theirs)))
    return [
        {
            "case": name,
            "cpu_ms": round(statistics.median(ours for ours, _ in found), 1),
            "hera_cpu_ms": round(statistics.median(theirs for _, theirs in found), 1),
            "ratio": round(statistics.median(theirs / ours for ours, theirs in found), 2),
        }
        for name, found in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    import tiphys

    rows = compare(options.tasks, options.rounds)
    whole = [timed(lambda: tiphys.to_yaml(mission())) for _ in range(options.rounds + 1)][1:]
    found = {
        **about(),
        "peer": f"Hera {importlib.metadata.version('hera')}",
        "tasks": options.tasks,
        "rounds": options.rounds,
        "rows": rows,
        "mission_cpu_ms": round(statistics.median(whole), 1),
    }
    print(f"{found['peer']}, {options.tasks} tasks: CPU ms, median of {options.rounds} rounds")
    for row in rows:
        print("{case:24} {cpu_ms:8.1f}   Hera {hera_cpu_ms:8.1f}   {ratio:5.1f} times".format(**row))
    print(f"{'the mission, from its file':24} {found['mission_cpu_ms']:8.1f}")
    if options.json:
        write(options.json, found)


if __name__ == "__main__":
    main()
