"""What is asked of a run, carried out by its engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.nodes import COMPLETED, FAILED
from tiphys.errors import RefusedError
from tiphys.server.answers import RequestError
from tiphys.server.creators import resumed_by

if TYPE_CHECKING:
    from tiphys.runs.local.backend import LocalRuns
    from tiphys.server.differences import AskedChange
    from tiphys.server.submission import Submissions
    from tiphys.store.archive import RunArchive

__all__ = ["carry_out", "delete", "delete_ended", "set_nodes"]

_PATIENCE = 30.0  # seconds in which a run that is deleted must have ended
_PERIOD = 0.05


def carry_out(
    wanted: AskedChange, name: str, runs: LocalRuns, submissions: Submissions, *, who: str = ""
) -> None:
    """Do what somebody wants of a run; ``who``: the user that is told of him who resumed it. Raises what
    :class:`LocalRuns` raises; RequestError 422 for what no verb is."""
    space = runs.options.namespace
    if wanted.labels or wanted.annotations:
        runs.relabel(name, wanted.labels, wanted.annotations)
    if wanted.retry:
        submissions.retry(name, parameters=wanted.parameters, again=wanted.restarted)
        return
    if wanted.shutdown == "Terminate":
        runs.terminate(space, name)
    elif wanted.shutdown == "Stop":
        runs.stop(space, name)
    elif wanted.shutdown:
        raise RequestError(422, f"spec.shutdown: {wanted.shutdown!r} is neither Stop nor Terminate")
    if wanted.suspend:
        runs.suspend(space, name)
    elif wanted.suspend is False:
        runs.resume(space, name, message=resumed_by(who))
        return  # with all that waits
    for node in wanted.nodes:
        set_nodes(f"id={node.identity}", node.phase, node.message, node.outputs, name, runs)


def set_nodes(
    which: str, phase: str, message: str, outputs: Mapping[str, str], name: str, runs: LocalRuns
) -> None:
    """Give suspend nodes that wait outputs, a message, and an end (``phase``, if not empty). Raises as
    :func:`carry_out`."""
    if phase not in ("", "Succeeded", *FAILED):
        raise RequestError(422, f"a node cannot be set to {phase!r}")
    runs.supply(name, which, outputs, phase=phase, message=message)


def delete(name: str, runs: LocalRuns, submissions: Submissions, archive: RunArchive | None = None) -> None:
    """Delete a run, which ends first; what it came to is kept in the ``archive``, if one is given. Raises RefusedError
    TIP210 where it does not end."""
    space, until = runs.options.namespace, time.monotonic() + _PATIENCE
    while name in submissions.beginning and time.monotonic() < until:
        time.sleep(_PERIOD)  # its engine is on its way
    asked = False
    while True:
        try:
            if archive is not None:
                _archived(name, runs, archive)
            return runs.delete(space, name)
        except RefusedError as error:
            if error.code != "TIP210" or time.monotonic() > until:
                raise
        if not asked:
            try:
                runs.terminate(space, name)
            except RefusedError as error:
                if error.code != "TIP216":  # it has just ended
                    raise
            asked = True
        time.sleep(_PERIOD)


def delete_ended(name: str, runs: LocalRuns, archive: RunArchive | None = None) -> None:
    """As :func:`delete`, of a run that has ended. Raises RefusedError TIP210, TIP216 where somebody has begun it
    again."""
    if archive is not None:
        _archived(name, runs, archive)
    runs.delete(runs.options.namespace, name, over=True)


def _archived(name: str, runs: LocalRuns, archive: RunArchive) -> None:
    """Keep what a run came to, if it has ended."""
    workflow = runs.get(runs.options.namespace, name)
    if (workflow.get("status") or {}).get("phase") in COMPLETED:
        workflow["metadata"]["namespace"] = runs.options.namespace
        archive.put(workflow)
