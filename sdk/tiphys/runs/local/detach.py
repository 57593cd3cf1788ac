"""A run that goes on by itself: an engine in a session of its own, with what it says in the run's folder."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tiphys.engine import runtime
from tiphys.errors import RefusedError, StoreError
from tiphys.runs.local.forks import EngineForks
from tiphys.store import Store
from tiphys.store.files import clear

__all__ = ["detach"]

_PERIOD = 0.02


def detach(
    arguments: Sequence[str],
    name: str,
    store: Path | str,
    *,
    resumed: bool = False,
    module: str = "tiphys",
    kept: int = -1,
    forks: EngineForks | None = None,
) -> None:
    """Start ``python -m MODULE ARGUMENTS`` and return when the run called ``name`` has begun, or (``resumed``) goes on.

    What it says is kept in the run's folder, in ``engine.log``. ``kept``: a descriptor that it gets as its number 3.
    ``forks``: where an engine may come from at once.

    Raises
    ------
    RefusedError
        TIP218: the process ended before its run began; with what it said. Of one that is to be resumed also what
        :meth:`tiphys.engine.runtime.stored.Record.take_up` raises.
    """
    place = Store(store)
    if resumed:
        with runtime.Record(place, name) as record:
            record.take_up().close()
    before = _state(place, name)

    def begun() -> bool:
        now = _state(place, name)  # None while an earlier run of the name makes room
        if resumed:
            return place.held(name) or (now is not None and now != before)
        return now is not None and (before is None or now[0] != before[0])

    runs = place.root / "runs"
    with clear(runs, "make"):
        runs.mkdir(parents=True, exist_ok=True)
        # not yet in the run's folder: an earlier run of the name may be in it
        handle, text = tempfile.mkstemp(prefix=f".{name[:100]}.", suffix=".log", dir=runs)
    log = Path(text)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        forked = forks.start(arguments, handle) if forks is not None else None
        if forks is not None and forked is not None:
            ended: Callable[[], int | None] = functools.partial(forks.ended, forked)
        else:
            ended = _spawned([sys.executable, "-m", module, *arguments], null, handle, kept)
        while not begun():
            code = ended()
            if code is not None and not begun():
                said = log.read_text(errors="replace").strip().removeprefix("tiphys: ")
                raise RefusedError("TIP218", f"the run {name!r} did not begin (exit code {code})", cause=said)
            if code is not None:
                break
            time.sleep(_PERIOD)
        with contextlib.suppress(FileNotFoundError):  # it has ended, and was deleted
            log.replace(place.run(name) / "engine.log")
    finally:
        os.close(null)
        os.close(handle)
        log.unlink(missing_ok=True)


def _spawned(words: list[str], null: int, handle: int, kept: int) -> Callable[[], int | None]:
    """Start a process; what this returns tells its exit code, None while it runs."""
    process = os.posix_spawn(
        words[0],
        words,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 0),
            *((os.POSIX_SPAWN_DUP2, handle, to) for to in (1, 2)),
            *([(os.POSIX_SPAWN_DUP2, kept, 3)] if kept >= 0 else []),
        ],
        setsid=True,
    )

    def ended() -> int | None:
        found, status = os.waitpid(process, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if found else None

    return ended


def _state(store: Store, name: str) -> tuple[str, bool] | None:
    """Which run has the name now, and whether it has ended; None for none that has begun."""
    try:
        with runtime.Record(store, name, reading=True) as record:
            return record.begun().uid, (record.folder / "workflow.json").is_file()
    except (RefusedError, StoreError):
        return None
