"""How long compiling takes: the mission, and a DAG of 1000 tasks beside Hera's own ``to_yaml``.

    python benchmarks/compile.py [--tasks 1000] [--rounds 9]

Each round runs every case once, in turn, so that a busy machine slows them alike; the table shows medians.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


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


def timed(action: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    import tiphys

    hera_workflow = hera_dag(options.tasks)
    tiphys_pipeline = tiphys_dag(options.tasks)
    mission()
    label = f"{options.tasks} tasks"
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("mission: build + to_yaml", lambda: tiphys.to_yaml(mission())),
        (f"{label}: Hera object, hera's to_yaml", hera_workflow.to_yaml),
        (f"{label}: Hera object, tiphys.to_yaml", lambda: tiphys.to_yaml(hera_workflow)),
        (f"{label}: Pipeline, tiphys.to_yaml", lambda: tiphys.to_yaml(tiphys_pipeline)),
        (f"{label}: Hera, written and compiled", lambda: hera_dag(options.tasks).to_yaml()),
        (f"{label}: Pipeline, written and compiled", lambda: tiphys.to_yaml(tiphys_dag(options.tasks))),
    ]
    times: dict[str, list[float]] = {name: [] for name, _ in cases}
    for _ in range(options.rounds):
        for name, action in cases:
            times[name].append(timed(action))
    medians = {name: statistics.median(values) for name, values in times.items()}
    hera = medians[cases[1][0]]
    written = medians[cases[4][0]]
    print(f"{'case':<48} {'median ms':>10} {'best ms':>9}  beside hera")
    for index, (name, _) in enumerate(cases):
        base = None if index == 0 else (hera if index < 4 else written)
        ratio = f"{base / medians[name]:5.1f}x" if base else ""
        print(f"{name:<48} {medians[name]:>10.1f} {min(times[name]):>9.1f}  {ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
