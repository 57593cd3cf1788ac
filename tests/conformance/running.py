"""Recorded cases through the whole engine: real processes in this machine's sandbox."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.conformance.compare import differences
from tests.conformance.replaying import actions, again, begun, first_name, found_invalid, given
from tiphys.engine import NodeChanged, Observation, Run, RunOptions, RunResult
from tiphys.engine.machine import protocol as p
from tiphys.engine.runtime.retry import prepare_resubmit, prepare_retry
from tiphys.errors import TiphysError

Json = Any

__all__ = ["run_case"]


@dataclass
class _Seen:
    """The nodes as the observer saw them: what an action's condition asks."""

    nodes: dict[str, Mapping[str, Json]] = field(default_factory=dict)
    changed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, observation: Observation) -> None:
        if isinstance(observation, NodeChanged):
            self.nodes[observation.node["id"]] = dict(observation.node)
            self.changed.set()


def run_case(record: Mapping[str, Json], *, runner: str = "sandbox", limit: float = 60.0) -> list[str]:
    """Return what differs from the record; a refusal or a run beyond ``limit`` seconds is a difference, too.

    A case that draws random numbers only has to end: what it drew is compared by replaying the record.
    """
    try:
        workflow, context = given(record)
    except LookupError as error:
        return [str(error)]
    seen = _Seen()
    with tempfile.TemporaryDirectory(prefix="tiphys-conformance-") as folder:
        options = RunOptions(
            store=Path(folder),
            runner=runner,  # type: ignore[arg-type]
            images={"*": "host"},
            name=first_name(record),
            grace=2.0,
            handle_signals=False,
            observer=seen,
        )
        try:
            invalid = found_invalid(workflow, context)
            began = time.monotonic()
            run = Run(workflow, options=options, context=context, invalid=invalid)
            if actions(record) and actions(record)[0][0] is begun:
                _send(run, actions(record)[0][1])
            waiting: list[Any] = list(actions(record))
            if "own_actions" in record and not waiting:
                waiting = [(lambda _: False, None)]  # nobody resumes what the case does not
            result = _execute(run, waiting, seen, limit)
            for words in again(record):
                seen = _Seen()
                run = _prepared(words, first_name(record), replace(options, name="WF", observer=seen))
                result = _execute(run, [], seen, limit)
        except TiphysError as error:
            return [f"refused: {error.code} {error.message}"]
        except Exception as error:  # noqa: BLE001  # a crash is a disagreement like any other
            return [f"crashed: {type(error).__name__}: {error}"]
        found = [] if record["random"] else differences(result.workflow, record)
        if time.monotonic() - began > limit:
            found.insert(0, f"not ended after {limit:.0f} s")
        return found


def _execute(run: Run, waiting: list[Any], seen: _Seen, limit: float) -> RunResult:
    late = threading.Timer(limit, lambda: run.shutdown("Terminate"))
    helper = threading.Thread(target=_act, args=(run, waiting, seen, late), daemon=True)
    late.start()
    helper.start()
    try:
        return run.execute()
    finally:
        late.cancel()


def _prepared(words: list[str], name: str, options: RunOptions) -> Run:
    """What ``argo retry`` or ``argo resubmit`` with these words makes of the run."""
    if words[0] == "resubmit":
        return prepare_resubmit(name, options=options, memoized="--memoized" in words)
    values = dict(itertools.pairwise(words))
    return prepare_retry(
        name,
        options=options,
        restart_successful="--restart-successful" in words,
        selector=values.get("--node-field-selector", ""),
    )


def _act(run: Run, waiting: list[Any], seen: _Seen, late: threading.Timer) -> None:
    """Do what the case's script does to the workflow when its condition holds; resume what nobody resumes."""
    scripted = bool(waiting)
    if waiting and waiting[0][0] is begun:
        waiting.pop(0)  # sent before the start
    while not late.finished.is_set():
        seen.changed.wait(0.5)
        seen.changed.clear()
        if waiting and waiting[0][0](seen):
            _send(run, waiting.pop(0)[1])
        elif not scripted and not waiting and _only_suspended(seen):
            run.resume_nodes("")


def _only_suspended(seen: _Seen) -> bool:
    live = [node for node in seen.nodes.values() if node["phase"] in ("Pending", "Running")]
    leaves = [node for node in live if node["type"] in ("Pod", "Suspend", "HTTP")]
    return bool(leaves) and all(
        node["type"] == "Suspend" and "duration" not in str(node.get("message", "")) for node in leaves
    )


def _send(run: Run, event: p.Event) -> None:
    if isinstance(event, p.Shutdown):
        run.shutdown(event.strategy)
    elif isinstance(event, p.Resume):
        run.resume_nodes(event.selector)
    elif isinstance(event, p.Suspend):
        run.suspend()
    elif isinstance(event, p.NodeSet):
        run.node_set(
            event.selector,
            phase=event.phase,
            message=event.message,
            outputs=event.output_parameters,
        )
