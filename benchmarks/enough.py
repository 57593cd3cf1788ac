"""How long after the last useful event the right models are selected, whatever becomes of the third training.

    python benchmarks/enough.py [--rounds 3] [--json FILE]

Three trainings in real TFJobs of this machine (tests/dsl/straggling.py), two of which are killed (SIGKILL) again and
again; best and worst are exchanged. The last useful event is the judgement of the last model that is chosen, or, where
a straggler has to show first that it cannot enter, the epoch in which it does; with ``patience`` its end. Exit code 1
when a wrong model was selected, or later than the 10 seconds that were promised.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import tiphys
from benchmarks.results import about, show, write
from tests.dsl.straggling import flow
from tiphys.engine import RunOptions

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
            "a": {"curve": LOW, "fails": 3},
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
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    faults: list[str] = []
    found = {}
    for what, variant in VARIANTS.items():
        seconds = []
        for _ in range(options.rounds):
            late, wrong = _round(*variant)
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


def _round(
    script: dict[str, Any], chosen: list[str], dropped: dict[str, str], options: dict[str, Any]
) -> tuple[float, list[str]]:
    with tempfile.TemporaryDirectory(prefix="tiphys-enough-") as folder:
        store = Path(folder)
        chosen_options = RunOptions(store=store, project=ROOT, handle_signals=False, grace=1.0)
        result = tiphys.run(flow(**options), options=chosen_options, script=json.dumps(script))
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
        useful = [_at(nodes[f"{name}.evaluate"]) for name in chosen]
        for name, why in dropped.items():
            useful.append(_last(store, result.name, name) if why == "behind" else 0.0)
            if why == "failed":
                useful.append(_at(nodes[f"{name}.train"]))
            if why == "patience":
                useful.append(max(useful) + 2)
        late = _at(nodes["select"]) - max(useful)
        return late, wrong + ([f"{late:.1f} s late"] if late > MOST else [])


def _at(node: dict[str, Any]) -> float:
    """When a node ended, in whole seconds: what is measured may be a second more or less."""
    return datetime.fromisoformat(node["finishedAt"]).timestamp()


def _last(store: Path, run: str, name: str) -> float:
    """When a training told its last epoch."""
    lines = [
        json.loads(line)
        for file in (store / "volumes/tiphys/records" / run).glob(f"{name}-*.jsonl")
        for line in file.read_text().splitlines()
        if line
    ]
    return max(float(line["at"]) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
