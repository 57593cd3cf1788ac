"""The lock table as several engines meet it. The rules of locks themselves: tests/store/test_store.py."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tiphys.queue.locks import Granted, Locks, Waiting
from tiphys.queue.table import process_start


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


HOLDER = """
import subprocess, sys, time
from pathlib import Path
from tiphys.queue.locks import Locks
locks = Locks(Path(sys.argv[1]))
keeper = subprocess.Popen(["sleep", "1000"])
locks.inherit(keeper.pid)
locks.acquire("a", ["argo/Mutex/held"], workflow="a", limits={})
other = Locks(Path(sys.argv[1]))
other.acquire("b", ["argo/Mutex/wanted"], workflow="b", limits={})
locks.acquire("a2", ["argo/Mutex/wanted"], workflow="a", limits={}, priority=9)
other.release("b")
print(keeper.pid, flush=True)
time.sleep(1000)
"""


@contextlib.contextmanager
def holder(path: Path) -> Iterator[tuple[Callable[[], None], int]]:
    """An engine that holds and waits: how it is killed, and the process that keeps its steps."""
    engine = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None

    def kill() -> None:
        engine.kill()
        engine.wait()

    with engine.stdout:
        heir = int(engine.stdout.readline())
        try:
            yield kill, heir
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(heir, signal.SIGKILL)
            engine.kill()
            engine.wait()


def test_what_a_killed_engine_held_its_heir_holds(tmp_path: Path) -> None:
    """Its steps live on with their keeper, and are in the mutex; what it waited for it wants no more."""
    path = tmp_path / "locks.db"
    with holder(path) as (kill, _), contextlib.closing(Locks(path)) as locks:
        kill()
        wanted = locks.acquire("c", ["argo/Mutex/wanted"], workflow="c", limits={})
        assert isinstance(wanted, Granted)
        for _ in range(3):
            held = locks.acquire("d", ["argo/Mutex/held"], workflow="d", limits={})
            assert isinstance(held, Waiting)
        # the next engine of the same run has its locks at once
        again = Locks(path)
        assert isinstance(again.acquire("a", ["argo/Mutex/held"], workflow="a", limits={}), Granted)
        again.close()
        assert isinstance(locks.acquire("d", ["argo/Mutex/held"], workflow="d", limits={}), Granted)
        locks.release("d")


def test_when_the_heir_has_ended_too_the_lock_is_free(tmp_path: Path) -> None:
    path = tmp_path / "locks.db"
    with holder(path) as (kill, heir), contextlib.closing(Locks(path)) as locks:
        kill()
        os.kill(heir, signal.SIGKILL)
        while process_start(heir):
            time.sleep(0.01)
        assert isinstance(locks.acquire("d", ["argo/Mutex/held"], workflow="d", limits={}), Granted)


def test_what_a_workflow_held_that_does_not_go_on_is_free_beside_its_heir(tmp_path: Path) -> None:
    """What somebody who lives holds for a workflow of that name is his."""
    path = tmp_path / "locks.db"
    with holder(path) as (kill, _), contextlib.closing(Locks(path)) as locks:
        locks.forsake("a")
        assert isinstance(locks.acquire("d", ["argo/Mutex/held"], workflow="d", limits={}), Waiting)
        kill()
        assert isinstance(locks.acquire("a3", ["argo/Mutex/mine"], workflow="a", limits={}), Granted)
        locks.forsake("a")
        assert isinstance(locks.acquire("d", ["argo/Mutex/held"], workflow="d", limits={}), Granted)
        assert isinstance(locks.acquire("e", ["argo/Mutex/mine"], workflow="e", limits={}), Waiting)
