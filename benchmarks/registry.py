"""The registry under load: writers in processes, some of them killed; and how soon a client sees a rollback.

Run: python benchmarks/registry.py [--writers 8] [--moves 1000] [--kills 40] [--rollbacks 20]
     [--json benchmarks/results/registry.json]

"linear": each row of the audit has the next number, and begins where the one before it of the same alias ended. "lost":
moves that a writer was told are done and that are not in the audit. A rollback is measured from the moment at which
`rollback` is called to the beginning of the first request of a client that the earlier version answers; the client asks
all the time, and "failed" counts what it got that was no answer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from results import about, show, write

from tiphys.reference import seal
from tiphys.registry import to_alias
from tiphys.registry.audit import linear
from tiphys.registry.changes import By
from tiphys.registry.document import ModelDocument
from tiphys.runs.registry import Registry
from tiphys.runs.served import Followed
from tiphys.serving import ServingClient
from tiphys.serving.local import serve
from tiphys.store import Store
from tiphys.store.registry import LocalRegistry

FAKE = "--tiphys_loader=tiphys.serving.model.fake:load"


def model(store: str, number: int) -> str:
    folder = Store(store).volume("tiphys") / "models" / f"v{number}" / "1"
    folder.mkdir(parents=True)
    (folder / "fake.json").write_text(json.dumps({"offset": number}))
    seal(folder.parent)
    return f"pvc://tiphys/models/v{number}"


def filled(store: str) -> Registry:
    registry = Registry(store)
    for number in (1, 2, 3):
        registry.register("m", model(store, number))
    return registry


def moves(store: str, who: str, count: int, told: Path) -> None:
    """``told``: a line for each move that is done."""
    registry = LocalRegistry(Store(store))
    with told.open("a") as stream:
        for number in range(count):

            def move(document: ModelDocument, number: int = number) -> ModelDocument:
                state = document.aliases.get("champion")
                version = (state.version or 0) % 3 + 1 if state else 1
                return to_alias(document, "champion", version, By(who, "2026-11-28T00:00:00Z", str(number)))

            registry.change("m", move)
            stream.write(f"{number}\n")
            stream.flush()


def writers(count: int, each: int, kills: int) -> dict[str, Any]:
    """``kills``: so many times one of the writers is killed, and another goes on in its place."""
    with tempfile.TemporaryDirectory() as folder:
        filled(folder)
        began, names, running = time.monotonic(), 0, []

        def start() -> None:
            nonlocal names
            told = Path(folder, f"told-{names}")
            process = multiprocessing.Process(target=moves, args=(folder, f"w{names}", each, told))
            process.start()
            names += 1
            running.append(process)

        for _ in range(count):
            start()
        for _ in range(kills):
            time.sleep(random.uniform(0.05, 0.2))
            victim = running.pop(random.randrange(len(running)))
            os.kill(victim.pid or 0, signal.SIGKILL)
            victim.join()
            start()
        for process in running:
            process.join()
        seconds = time.monotonic() - began
        rows = LocalRegistry(Store(folder)).audit("m")
        lost = 0
        for number in range(names):
            written = {row.why for row in rows if row.who == f"w{number}"}
            lost += len(set(Path(folder, f"told-{number}").read_text().split()) - written)
    return {
        "writers": count, "moves": len(rows), "kills": kills, "linear": not linear(rows), "lost": lost,
        "seconds": round(seconds, 1), "moves per second": round(len(rows) / seconds),
    }  # fmt: skip


ASK = """
import json, sys, time
from tiphys.serving import ServingClient
with ServingClient(sys.argv[1], "m") as client:
    while True:
        began = time.monotonic()
        try:
            (value,) = client.predict(instances=[0.0])
        except Exception as error:
            value = repr(error)
        print(json.dumps([began, value]), flush=True)
"""


def rollbacks(count: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        registry = filled(folder)
        registry.alias("m", "champion", 1)
        registry.alias("m", "champion", 2)
        source = Followed(Store(folder), "m")
        took, failed = [], 0
        with (
            serve(source.folder, "m", port=0, replicas=2, flags=[FAKE], source=source) as serving,
            subprocess.Popen(
                [sys.executable, "-c", ASK, serving.url], stdout=subprocess.PIPE, text=True
            ) as client,
        ):
            assert client.stdout is not None
            with ServingClient(serving.url, "m") as first:
                first.wait_ready(30.0)
            for _ in range(count):
                client_sees(client.stdout, 2.0)
                moment = time.monotonic()
                registry.rollback("m", "champion")
                began, bad = client_sees(client.stdout, 1.0)
                took.append(began - moment)
                failed += bad
                registry.alias("m", "champion", 2)
            client.kill()
    took.sort()
    return {
        "rollbacks": count, "failed": failed, "median": round(took[len(took) // 2], 3), "longest": round(took[-1], 3)
    }  # fmt: skip


def client_sees(lines: Any, value: float) -> tuple[float, int]:
    """When the first of twenty requests in a row began that were answered so, and how many were no answers."""
    bad, first, row = 0, 0.0, 0
    for line in lines:
        began, found = json.loads(line)
        bad += isinstance(found, str)
        row, first = (row + 1, first if row else began) if found == value else (0, 0.0)
        if row == 20:
            return first, bad
    raise SystemExit("the client ended")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--moves", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--rollbacks", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = {
        **about(),
        "writers": writers(options.writers, options.moves, 0),
        "killed": writers(options.writers, options.moves // 4, options.kills),
        "rollback": rollbacks(options.rollbacks),
    }
    show(result)
    if options.json:
        write(options.json, result)


if __name__ == "__main__":
    main()
