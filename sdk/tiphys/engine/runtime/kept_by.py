"""Of a workflow that a step made, the keeper of the run at the top has the pods: which that is, and how it ends.

The child's folder says it. Who takes the child up without that run (resumes, retries or deletes it, or begins another
of its name) has them end first; whatever the run at the top knew of the child is void from then on.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import Path
from typing import NamedTuple

from tiphys.engine.pods.host import Host
from tiphys.engine.runners.handover import hand_over
from tiphys.queue import Locks
from tiphys.queue.permits import Permits
from tiphys.queue.rules import RulesFile
from tiphys.reference import contents
from tiphys.store import Store, write_json

__all__ = [
    "KeptBy",
    "child_key",
    "child_of",
    "forget",
    "forsake",
    "keep",
    "kept_by",
    "part",
]

_FILE = "kept-by"  # in the child's folder


class KeptBy(NamedTuple):
    """``top``: the run that has the keeper; ``child``: what this one is called in its records; ``workflow``: who has
    its locks."""

    top: str
    child: str
    workflow: str


def child_key(run: str, uid: str, token: str) -> str:
    """What a workflow that a step made is called in the records: its run's name, its UID, and which time it is that
    this keeper has its pods, so that nobody takes for his what a later one has made void."""
    return f"{run}/{uid}/{token}"


def child_of(key: str) -> tuple[str, str]:
    """The run's name and the UID in a :func:`child_key`."""
    run, uid, _ = key.split("/")
    return run, uid


def keep(folder: Path, parent: Host, name: str, uid: str) -> str:
    """From now on the keeper that ``parent`` has is that of the run in ``folder``; what this is called in its
    records."""
    assert parent.left is not None
    child = child_key(name, uid, secrets.token_hex(4))
    found = KeptBy(parent.left.home.name, child, f"{parent.namespace}/{name}")
    write_json(folder / _FILE, found._asdict(), private=True)
    return child


def kept_by(folder: Path) -> KeptBy | None:
    """Which keeper has the pods of the run in ``folder``; None: its own."""
    try:
        return KeptBy(**json.loads(contents(folder / _FILE)))
    except (OSError, ValueError, TypeError):
        return None


def forget(folder: Path) -> None:
    """The run has ended."""
    (folder / _FILE).unlink(missing_ok=True)


def part(folder: Path, store: Store) -> None:
    """From now on the run in ``folder``, which the caller holds, has nothing to do with the one that made it."""
    found = kept_by(folder)
    if found is not None:
        hand_over(folder.parent / found.top, found.child, folder)
        forsake(store, found.workflow)
        forget(folder)


def forsake(store: Store, workflow: str) -> None:
    """Give back what killed engines held for a run (``NAMESPACE/NAME``) of which nothing goes on."""
    if store.locks.exists():
        for table in (Locks(store.locks), Permits(store.locks, RulesFile(store.queue_rules))):
            with contextlib.closing(table):
                table.forsake(workflow)
