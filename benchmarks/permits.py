"""The table of pools under kills: engines that ask for permits and give them back, one of them killed every second.

    python benchmarks/permits.py [--seconds 600] [--engines 8] [--size 4] [--json FILE]

Each engine is a process of its own, with one heir as the keeper of a run is. What holds is read from a log that the
table writes itself: a trigger that sums up, at every admission and inside its transaction, what is held then. Faults
are more permits than there are; a claim that has neither none nor all that it wants; one that waited longer than all
that may be admitted before it took; permits that the dead still hold in the end. Exit code 1 when there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import about, show, write
from tiphys.queue.core import Claim, Holding
from tiphys.queue.permits import Bid, Permits

_LOG = """
CREATE TABLE admitted(held INTEGER, units INTEGER, least INTEGER, waited REAL);
CREATE TRIGGER log AFTER UPDATE OF units ON claims WHEN NEW.units > 0 BEGIN
  INSERT INTO admitted VALUES(
    (SELECT SUM(units * json_extract(wants, '$[0][1]')) FROM claims), NEW.units, NEW.least, NEW.since - NEW.asked);
END;
"""
_PATIENCE = 30.0  # seconds: no claim holds longer than some 20 ms, and 32 may pass one that waits


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--engines", type=int, default=8)
    parser.add_argument("--size", type=int, default=4, help="of the pool")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", default="", help="write the numbers there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tiphys-permits-") as folder:
        found = _killed(Path(folder) / "locks.db", options)
    show({**found, **found["faults"]})
    if options.json:
        write(Path(options.json), {**found, **about()})
    return 1 if any(found["faults"].values()) else 0


def _killed(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    chance = Random(options.seed)
    kills = 0
    with contextlib.closing(Permits(path)) as permits:
        permits.set_size("p", options.size)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.executescript(_LOG)
        engines = [_engine(path, number, options.size) for number in range(options.engines)]
        end = time.monotonic() + options.seconds
        try:
            while time.monotonic() < end:
                time.sleep(min(1.0, max(0.0, end - time.monotonic())))
                victim = chance.randrange(len(engines))
                _kill(engines[victim])
                engines[victim] = _engine(path, victim, options.size)
                kills += 1
        finally:
            for each in engines:
                _kill(each)
        last = Claim("last", (("p", options.size),))
        free = isinstance(permits.ask(Bid(last, {"p": options.size}, "last")), Holding)
    with contextlib.closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT held, units, least, waited FROM admitted").fetchall()
        used = dict(db.execute("SELECT user, permit_seconds FROM used"))
    waits = sorted(row[3] for row in rows)
    return {
        "engines": options.engines,
        "seconds": options.seconds,
        "kills": kills,
        "admitted": len(rows),
        "most_held": max(row[0] for row in rows),
        "size": options.size,
        "wait_p50_ms": round(1000 * waits[len(waits) // 2], 1),
        "wait_p99_ms": round(1000 * waits[len(waits) * 99 // 100], 1),
        "wait_most_s": round(waits[-1], 2),
        "used_least_over_most": round(_ratio([used[user] for user in used if user.startswith("engine ")]), 3),
        "faults": {
            "too_many": sum(row[0] > options.size for row in rows),
            "torn": sum(row[1] != row[2] for row in rows),
            "waited_too_long": sum(wait > _PATIENCE for wait in waits),
            "dead_hold": int(not free),
        },
    }


def _ratio(values: list[float]) -> float:
    return min(values) / max(values)


def _engine(path: Path, number: int, size: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, __file__, "engine", str(path), str(number), str(size)], start_new_session=True
    )


def _kill(engine: subprocess.Popen[bytes]) -> None:
    """Kill it with its heir."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(engine.pid, signal.SIGKILL)
    engine.wait()


def _work(path: Path, number: int, size: int) -> None:
    chance = Random(f"{number}/{os.getpid()}")
    heir = subprocess.Popen(["sleep", "100000"])
    permits = Permits(path)
    permits.inherit(heir.pid)
    turn = 0
    while True:
        turn += 1
        name = f"{number}/{os.getpid()}/{turn}"
        claim = Claim(name, (("p", chance.randint(1, size)),), user=f"engine {number}", created=time.time())
        while not isinstance(permits.ask(Bid(claim, {"p": size}, name)), Holding):
            time.sleep(0.005)
            permits.news()
        time.sleep(chance.uniform(0, 0.02))
        permits.give_back(name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["engine"]:
        _work(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    raise SystemExit(main())
