"""How long after the last useful event the right models are selected, whatever becomes of the third training.

    python benchmarks/enough.py [--rounds 3] [--cluster] [--json FILE]

Three trainings in real TFJobs of this machine (tests/dsl/straggling.py), two of which are killed (SIGKILL) again and
again; best and worst are exchanged. The last useful event is the judgement of the last model that is chosen, or, where
a straggler has to show first that it cannot enter, the epoch in which it does; with ``patience`` its end. Exit code 1
when a wrong model was selected, or later than the 10 seconds that were promised.

With ``--cluster`` the same YAML runs on the throw-away cluster of docs/cluster.md, by its controller and operator; this
project's images must be there (images/build.sh --cluster).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tiphys
from benchmarks.results import about, show, write
from tests.dsl.straggling import flow
from tiphys import Pipeline
from tiphys.engine import RunOptions
from tiphys.runs import Result

ROOT = Path(__file__).resolve().parent.parent
MOST = 10.0  # seconds
RISING = [0.6, 0.75, 0.85, 0.9, 0.93]
LOW = [0.3, 0.35, 0.38, 0.4, 0.41, 0.42, 0.43, 0.44]

# what it is: (script, chosen, dropped and why, options of `enough`)
VARIANTS: dict[str, tuple[dict[str, Any], list[str], dict[str, str], dict[str, Any]]] = {
    "the worst is preempted for ever": (
        {
            "a": {"curve": RISING, "judged": 0.92},
            "b": {"curve": RISING, "judged": 0.91, "at": 2, "killed": 2},
            "c": {"curve": LOW, "at": 4, "killed": -1},
        },
        ["a", "b"],
        {"c": "behind"},
        {},
    ),
    "the best is preempted, and comes last": (
        {
            "a": {"curve": RISING, "judged": 0.90},
            "b": {"curve": LOW, "at": 5, "killed": -1},
            "c": {"curve": RISING, "judged": 0.95, "at": 3, "killed": 4},
        },
        ["c", "a"],
        {"b": "behind"},
        {},
    ),
    "one is preempted before its first epoch, for ever": (
        {
            "a": {"curve": RISING, "judged": 0.92, "at": 1, "killed": 3},
            "b": {"curve": RISING, "judged": 0.91},
            "c": {"curve": RISING, "at": 0, "killed": -1},
        },
        ["a", "b"],
        {"c": "patience"},
        {"patience": "2s"},
    ),
    "one fails for good, one is preempted": (
        {
            "a": {"curve": LOW, "fails": 1},
            "b": {"curve": RISING, "judged": 0.91, "at": 2, "killed": 3},
            "c": {"curve": RISING, "judged": 0.95},
        },
        ["c", "b"],
        {"a": "failed"},
        {},
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cluster", action="store_true", help="with the real controller and operator")
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    faults: list[str] = []
    found = {}
    with (_on_cluster if options.cluster else _here)() as fly:
        for what, variant in VARIANTS.items():
            seconds = []
            for _ in range(options.rounds):
                late, wrong = _round(fly, *variant)
                seconds.append(late)
                faults += [f"{what}: {each}" for each in wrong]
            found[what] = {"median": round(statistics.median(seconds), 2), "most": round(max(seconds), 2)}
    whole = {"seconds_after_the_last_useful_event": found, "rounds": options.rounds, "faults": faults}
    show(found)
    for fault in faults:
        print(fault)
    if options.json:
        write(Path(options.json), {**whole, **about()})
    return 1 if faults else 0


Fly = Callable[[Pipeline, str], tuple[Result, Path]]
"""Runs a pipeline with a script: its result, and the folder of its volume."""


@contextlib.contextmanager
def _here() -> Iterator[Fly]:
    with contextlib.ExitStack() as folders:

        def fly(pipeline: Pipeline, script: str) -> tuple[Result, Path]:
            store = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="tiphys-enough-")))
            options = RunOptions(store=store, project=ROOT, handle_signals=False, grace=1.0)
            return tiphys.run(pipeline, options=options, script=script), store / "volumes/tiphys"

        yield fly


@contextlib.contextmanager
def _on_cluster() -> Iterator[Fly]:
    from tests.cluster.conftest import apply, connect, running
    from tests.cluster.straggling import code, compiled

    cluster = apply(running())
    with code(cluster) as path, connect(cluster, "kubeconfig") as client:

        def fly(pipeline: Pipeline, script: str) -> tuple[Result, Path]:
            made = client.submit(
                compiled(pipeline, path), parameters={"script": script}, labels={"tiphys-test": "enough"}
            )
            return client.wait(made.name, timeout=300), cluster.volume

        yield fly


def _round(
    fly: Fly, script: dict[str, Any], chosen: list[str], dropped: dict[str, str], options: dict[str, Any]
) -> tuple[float, list[str]]:
    # no training is another round's
    script = {name: {**plan, "tag": uuid.uuid4().hex} for name, plan in script.items()}
    result, volume = fly(flow(**options), json.dumps(script))
    if not result.succeeded:
        return 0.0, [f"the run ended as {result.phase}"]
    nodes = {
        each["name"].removeprefix(f"{result.name}."): each
        for each in result.workflow["status"]["nodes"].values()
    }
    told = {item["name"]: item["value"] for item in nodes["select"]["outputs"]["parameters"]}
    selection = json.loads(told["selection"])
    wrong = []
    if selection["chosen"] != chosen:
        wrong.append(f"chosen {selection['chosen']}")
    if {each["name"]: each["why"] for each in selection["dropped"]} != dropped:
        wrong.append(f"dropped {selection['dropped']}")
    useful = [_judged(volume, result.name, name) for name in chosen]
    for name, why in dropped.items():
        useful.append(_last(volume, result.name, name) if why == "behind" else 0.0)
        if why == "failed":
            useful.append(_at(nodes[f"{name}.train"]))
        if why == "patience":
            useful.append(max(useful) + 2)
    late = _at(nodes["select"]) - max(useful)
    return late, wrong + ([f"{late:.1f} s late"] if late > MOST else [])


def _at(node: dict[str, Any]) -> float:
    """When a node ended, in whole seconds: what is measured may be a second less."""
    return datetime.fromisoformat(node["finishedAt"]).timestamp()


def _judged(volume: Path, run: str, name: str) -> float:
    """When a model was judged."""
    (file,) = (volume / "runs" / run).glob(f"*/{name}.json")
    return float(json.loads(file.read_text())["at"])


def _last(volume: Path, run: str, name: str) -> float:
    """When a training told its last epoch."""
    lines = [
        json.loads(line)
        for file in (volume / "records" / run).glob(f"{name}-*.jsonl")
        for line in file.read_text().splitlines()
        if line
    ]
    return max(float(line["at"]) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
