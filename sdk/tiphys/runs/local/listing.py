"""The runs of a store as a list: what can be read of each is shown, and that the rest cannot be read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.selectors import Requirement, matches_labels
from tiphys.argo.time import rfc3339
from tiphys.errors import RefusedError, StoreError
from tiphys.reference import contents
from tiphys.runs.backend import KEPT_AS
from tiphys.store import Store
from tiphys.store.ended import Ended
from tiphys.store.ended import brief as short
from tiphys.store.files import clear

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["UNREADABLE", "listed", "marked", "read", "unreadable", "written"]

UNREADABLE = "Unreadable"  # the phase of what cannot be read


def listed(
    store: Store,
    get: Callable[[str, str], Workflow],
    wanted: Sequence[Requirement],
    *,
    limit: int = 0,
    brief: bool = False,
) -> Sequence[Workflow]:
    """The newest first. Raises StoreError TIP412 where the store itself cannot be read."""
    known = Ended(store).lines()
    folder = store.root / "runs"
    found: list[tuple[float, str, Workflow | None]] = []
    with clear(folder, "read"):
        entries = list(os.scandir(folder)) if folder.exists() else []
        for entry in entries:
            if not os.path.isdir(entry.path):  # a link to itself is none, and no error
                continue
            line = known.get(entry.name)
            if line is not None and line.stamp == _stamp(f"{entry.path}/workflow.json"):
                found.append((line.began, entry.name, line.workflow))
            else:
                found.append((store.began(entry.name), entry.name, None))
    found.sort(key=lambda item: item[:2], reverse=True)
    chosen: list[Workflow] = []
    for began, name, shown in found:
        if shown is not None and not matches_labels(wanted, shown["metadata"].get("labels")):
            continue
        workflow = marked(shown, name) if shown is not None and brief else read(store, get, name, began)
        if workflow is not None and matches_labels(wanted, workflow["metadata"].get("labels")):
            chosen.append(short(workflow) if brief else workflow)
        if limit and len(chosen) == limit:
            break
    return chosen


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size


def read(store: Store, get: Callable[[str, str], Workflow], name: str, began: float) -> Workflow | None:
    """A run, whatever state its files are in. None: it is being made, or deleted, just now."""
    try:
        try:
            return get("", name)
        except RefusedError as error:
            if error.code != "TIP226" or store.held(name):
                raise
            return get(
                "", name
            )  # it may have been made meanwhile, and be nobody's until an engine takes it up
    except (RefusedError, StoreError) as error:
        found = written(store, name)  # of another version: what was written at its end can still be read
        if found is not None or error.code == "TIP211" or (error.code == "TIP226" and store.held(name)):
            return found  # else it is being made, or deleted, just now
        return unreadable(name, began, f"{error.code}: {error.message}")


def unreadable(name: str, began: float, why: str) -> Workflow:
    """What stands for a run that cannot be read."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "creationTimestamp": rfc3339(began)},
        "spec": {},
        "status": {"phase": UNREADABLE, "message": why},
    }


def written(store: Store, name: str) -> Workflow | None:
    """What a run wrote at its end, whatever wrote it."""
    try:
        found: Workflow = json.loads(contents(store.run(name) / "workflow.json"))
    except (OSError, ValueError):
        return None
    return marked(found, name)


def marked(workflow: Workflow, name: str) -> Workflow:
    """Told by which name the verbs take it, where a later run has taken its own."""
    if workflow["metadata"]["name"] != name:
        annotations = workflow["metadata"].get("annotations") or {}
        workflow["metadata"]["annotations"] = {**annotations, KEPT_AS: name}
    return workflow
