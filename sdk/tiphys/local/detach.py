"""A run that goes on by itself: an engine in a session of its own, with what it says in the run's folder."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tiphys.engine.record import Record
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
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "tiphys", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    while not _begun(place, name):
        code = process.poll()
        if code is not None and not _begun(place, name):
            said = log.read_text(errors="replace").strip().removeprefix("tiphys: ")
            raise RefusedError(
                "TIP218", f"the run {name!r} did not begin (exit code {code})", where=str(log), cause=said
            )
        time.sleep(_PERIOD)


def _begun(store: Store, name: str) -> bool:
    try:
        with Record(store, name) as record:
            return bool(record.facts)
    except (RefusedError, StoreError):
        return False
