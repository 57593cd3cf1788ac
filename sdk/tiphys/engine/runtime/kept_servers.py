"""Services that outlive their run: what is recorded about them, and how they are ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.queue.table import process_start
from tiphys.reference import contents
from tiphys.store import Store, write_atomic

if TYPE_CHECKING:
    from tiphys.engine.objects import Kept

    class _Record(Kept):
        """What ``serving.json`` of a run holds: ``processes`` are PIDs, each with the time at which it began."""

        run: str
        processes: list[tuple[int, str]]


__all__ = ["kept_services", "record_kept", "stop_serving"]


def record_kept(store: Store, run: str, kept: Kept) -> None:
    """Remember the processes of services that were left running."""
    pids = [pid for pid in [*kept["pids"], kept["balancer"]] if pid]
    record: _Record = {**kept, "run": run, "processes": [(pid, process_start(pid)) for pid in pids]}
    write_atomic(store.run(run) / "serving.json", json.dumps(record, indent=1).encode())


def kept_services(store: Store | Path | str) -> list[_Record]:
    """The records of services that still run."""
    store = store if isinstance(store, Store) else Store(store)
    found = []
    for name in store.runs():
        with contextlib.suppress(OSError, ValueError):
            record: _Record = json.loads(contents(store.run(name) / "serving.json"))
            if any(process_start(pid) == start for pid, start in record["processes"]):
                found.append(record)
    return found


def stop_serving(store: Store | Path | str, *, run: str = "", grace: float = 10.0) -> list[str]:
    """End services that runs left running (of one run, or all); the names of those runs.

    The balancer goes first, then the replicas: SIGTERM, then SIGKILL after ``grace`` seconds. A PID that was given
    to another process since is left alone.
    """
    store = store if isinstance(store, Store) else Store(store)
    ended = []
    for record in kept_services(store):
        if run and record["run"] != run:
            continue
        _end(record["processes"], grace)
        (store.run(record["run"]) / "serving.json").unlink(missing_ok=True)
        ended.append(str(record["run"]))
    return ended


def _end(processes: list[tuple[int, str]], grace: float) -> None:
    """Each leads a group, which is over when its last process is: that of a sandbox outlives its first one."""
    groups = {pid for pid, start in processes if start and process_start(pid) == start}
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        until = time.monotonic() + patience
        while (groups := groups & _groups()) and time.monotonic() < until:
            time.sleep(0.05)


def _groups() -> set[int]:
    """The process groups in which something runs."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            state, _, group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:3]
            if state not in "ZX":
                found.add(int(group))
    return found
