"""Workflows that steps had made and that do not go on with the run at the top: what its keeper has of them is ended."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tiphys.engine.pods.host import Host
from tiphys.engine.runners.handover import end_processes
from tiphys.engine.runtime.kept_by import child_of, forsake, kept_by, part
from tiphys.engine.runtime.stored import Ownership
from tiphys.errors import RefusedError
from tiphys.store import Store

__all__ = ["drop_child", "drop_children"]


def drop_children(host: Host, going_on: Collection[str]) -> None:
    """After a resume: of workflows that steps had made only those with these UIDs go on."""
    children = host.left.children() if host.left is not None else ()
    for uid in {child_of(each)[1] for each in children} - {*going_on}:
        drop_child(host, uid)


def drop_child(host: Host, uid: str) -> None:
    """End what a workflow that a step had made still has of a killed engine: processes, locks, GPUs.

    Who goes on with it by itself finds what had ended.
    """
    if host.left is None:
        return
    for child in host.left.children():
        name, own = child_of(child)
        if own == uid:
            folder = host.left.home.with_name(name)
            if not _parted(folder, host.store, child):
                end_processes(host.left, child)  # before its locks are somebody else's
                forsake(host.store, f"{host.namespace}/{name}")
            host.room.gpus.adopt(f"{uid}/")  # nobody will come for them


def _parted(folder: Path, store: Store, child: str) -> bool:
    """Whether the run still was this child, and nobody has it."""
    found = kept_by(folder)
    if found is None or found.child != child:
        return False
    try:
        with Ownership(folder, folder.name):
            part(folder, store)
    except (RefusedError, FileNotFoundError):
        return False
    return True
