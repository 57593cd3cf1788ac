"""Kills: engines are killed at random moments, resumed until they end, and what is left is compared.

    python benchmarks/kills.py [--kills 200] [--seed 1] [--processes 2] [--json FILE [--add]] [--flows mutex,dag]

Each round begins a run of one kind of flow (tests/engine/kills/flows.py), kills its engine, its group, its keeper or
the keeper's guard, once or several times, or stops and continues everything; goes on with it, sometimes twice at once,
sometimes after nobody did for longer than the grace time; and compares phases, outputs, artifacts, cached results,
metrics, files, locks and processes with those of the uninterrupted run. Each body appends a line when it ends:
two lines are a body that ran again after its end. Exit code 1 when anything is not as it should be.

``--round N``: that round alone, with what it leaves in ``--folder``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tests.engine.kills.flows import FLOWS
from tests.engine.kills.forked import subreaper, warm
from tests.engine.kills.rounds import Base, Outcome, play, summed, uninterrupted
from tests.engine.kills.state import differences

_SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--flows", default="", help="some of " + ", ".join(FLOWS))
    parser.add_argument("--seconds", type=float, default=0, help="stop after this time")
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    parser.add_argument("--add", action="store_true", help="beside the runs that are in the file already")
    parser.add_argument("--round", type=int, default=-1)
    parser.add_argument("--folder", default="", help="where the runs are (default: a temporary folder)")
    options = parser.parse_args()
    flows = [name for name in options.flows.split(",") if name] or list(FLOWS)
    begin = time.monotonic()
    warm()
    with tempfile.TemporaryDirectory(prefix="tiphys-kills-") as temporary:
        folder = Path(options.folder or temporary)
        bases = _bases(flows, folder)
        if options.round >= 0:
            subreaper()
            outcomes = [_round(options, flows, options.round, folder / "round", bases)]
        else:
            outcomes = _shared_out(options, flows, folder, bases, begin)
    found = {**summed(outcomes), "flows": len(flows), "seed": options.seed}
    _show(found, time.monotonic() - begin)
    if options.json:
        this = {**found, **about(), "seconds": round(time.monotonic() - begin)}
        path = Path(options.json)
        earlier = json.loads(path.read_text())["runs"] if options.add and path.exists() else []
        write(path, {"runs": [*earlier, this]})
    good = not found["faults"] and not found["bodies_ended_twice"]
    return 0 if good else 1


def _bases(flows: list[str], folder: Path) -> dict[str, Base]:
    """Each flow uninterrupted, twice: what differs between those two could not be compared. In a process of its own
    for the engines' sake: the results come back through a file."""
    subreaper()
    bases = {}
    for name in flows:
        bases[name] = uninterrupted(name, folder / "base")
        again = uninterrupted(name, folder / "base")
        if found := differences(bases[name].state, again.state):
            raise RuntimeError(f"{name} is not the same twice: {found}")
    return bases


def _round(
    options: argparse.Namespace, flows: list[str], number: int, folder: Path, bases: dict[str, Base]
) -> Outcome:
    name = flows[number % len(flows)]
    return play(f"{options.seed}-{number}", name, folder, bases[name])


def _shared_out(
    options: argparse.Namespace, flows: list[str], folder: Path, bases: dict[str, Base], begin: float
) -> list[Outcome]:
    """The rounds, in some processes: each is the parent of its own engines."""
    import pickle

    workers = {}
    for index in range(options.processes):
        path = folder / f"outcomes-{index}"
        pid = os.fork()
        if not pid:
            code = 1
            try:
                subreaper()
                outcomes: list[Outcome] = []
                done, number = 0, index
                while done < options.kills / options.processes:
                    if options.seconds and time.monotonic() - begin > options.seconds:
                        break
                    outcome = _round(options, flows, number, folder / f"round-{index}", bases)
                    outcomes.append(outcome)
                    done += outcome.kills.total()
                    number += options.processes
                    if outcome.faults:
                        sys.stderr.write(
                            f"round {number - options.processes}: {outcome.faults}\n"[:1500] + "\n"
                        )
                        sys.stderr.flush()
                path.write_bytes(pickle.dumps(outcomes))
                code = 0
            except BaseException:  # noqa: BLE001 - this process ends here
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        workers[pid] = path
    outcomes = []
    for pid, path in workers.items():
        if os.waitpid(pid, 0)[1]:
            raise RuntimeError("a process of rounds was lost")
        outcomes += pickle.loads(path.read_bytes())
        shutil.rmtree(path, ignore_errors=True)
    return outcomes


def _show(found: dict[str, Any], seconds: float) -> None:
    show({**found, "seconds": round(seconds)})
    for fault in found["faults"][:_SHOWN]:
        print(json.dumps(fault)[:1200])


if __name__ == "__main__":
    sys.exit(main())
