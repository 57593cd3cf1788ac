"""The lock table as several engines meet it. The rules of locks themselves: tests/store/test_store.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def nothing_fails(program: str, path: Path) -> None:
    """Run a program that prints what its engines did not take well."""
    words = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


ENGINES = """
import multiprocessing, sys
from pathlib import Path
from tiphys.queue.locks import Locks

def engine(folder, together, failures):
    for turn in range(100):
        together.wait()
        try:
            locks = Locks(folder / f"{turn}.db")
            locks.acquire("holder", ["argo/Mutex/one"], workflow="w", limits={})
            locks.close()
        except Exception as error:
            failures.put(f"{turn}: {error}")

processes = multiprocessing.get_context("fork")
together, failures = processes.Barrier(6), processes.SimpleQueue()
all = [processes.Process(target=engine, args=(Path(sys.argv[1]), together, failures)) for _ in range(6)]
for each in all:
    each.start()
for each in all:
    each.join()
while not failures.empty():
    print(failures.get())
"""


def test_engines_that_begin_at_once_share_a_table_that_is_new(tmp_path: Path) -> None:
    """SQLite tells all but one of them "locked" at once, whatever patience it was given."""
    nothing_fails(ENGINES, tmp_path)


CROWD = """
import multiprocessing, sys, time
from pathlib import Path
from tiphys.queue.locks import Granted, Locks
from tiphys.store import sqlite

sqlite._PATIENCE = 0.05  # who is not given a turn in this time is told "database is locked"

def engine(path, number, together, failures):
    together.wait()
    try:
        locks = Locks(path)
        name = f"w{number}"
        while not isinstance(locks.acquire(name, ["argo/Mutex/one"], workflow=name, limits={}), Granted):
            time.sleep(0.1)
        locks.release(name)
        locks.close()
    except Exception as error:
        failures.put(f"{number}: {error!r}")

count = 200
processes = multiprocessing.get_context("fork")
together, failures = processes.Barrier(count), processes.SimpleQueue()
each = lambda number: processes.Process(target=engine, args=(Path(sys.argv[1]), number, together, failures))
all = [each(number) for number in range(count)]
for each in all:
    each.start()
for each in all:
    each.join()
while not failures.empty():
    print(failures.get())
"""


def test_two_hundred_engines_wait_for_one_table_and_none_dies(tmp_path: Path) -> None:
    nothing_fails(CROWD, tmp_path / "locks.db")
