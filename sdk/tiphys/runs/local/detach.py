"""A run that goes on by itself: an engine in a session of its own, with what it says in the run's folder."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tiphys.engine.runtime.stored import Record
from tiphys.errors import RefusedError, StoreError
from tiphys.store import Store

__all__ = ["detach"]

_PERIOD = 0.02


def detach(arguments: Sequence[str], name: str, store: Path | str) -> None:
    """Start ``tiphys ARGUMENTS`` and return when the run called ``name`` has begun.

    Raises
    ------
    RefusedError
        TIP218: the process ended before its run began; with what it said.
    """
    place = Store(store)
    log = place.run(name) / "engine.log"
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        process = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "tiphys", *arguments],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), *((os.POSIX_SPAWN_DUP2, out, to) for to in (1, 2))],
            setsid=True,
        )
    finally:
        os.close(null)
        os.close(out)
    while not _begun(place, name):
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended and not _begun(place, name):
            said = log.read_text(errors="replace").strip().removeprefix("tiphys: ")
            code = os.waitstatus_to_exitcode(status)
            raise RefusedError(
                "TIP218", f"the run {name!r} did not begin (exit code {code})", where=str(log), cause=said
            )
        if ended:
            return
        time.sleep(_PERIOD)


def _begun(store: Store, name: str) -> bool:
    try:
        with Record(store, name) as record:
            return record.facts is not None
    except (RefusedError, StoreError):
        return False
