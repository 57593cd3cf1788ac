"""The runs of a store, looked at and changed from any process.

What is asked of a run is written into its journal first. The engine that runs it is woken and carries it out; where
none does, it is carried out here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tiphys.argo.selectors import label_key_problem, label_value_problem, parse_fields, parse_labels
from tiphys.engine import runtime
from tiphys.engine.base.options import RunOptions, RunResult
from tiphys.engine.machine.protocol import Event, NodeSet, Relabel, Resume, Shutdown, Suspend
from tiphys.errors import RefusedError, StoreError
from tiphys.runs.backend import Change, WorkflowLogLine, ended
from tiphys.runs.local.listing import listed, marked, written
from tiphys.runs.local.logs import log_lines
from tiphys.runs.made_from import annotated
from tiphys.store import Store

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["LocalRuns", "seen"]

_PERIOD = 0.05  # seconds between two looks at whether a journal has grown
_PATIENCE = 30.0  # seconds in which an engine that lives is to answer
_LINGERS = 15.0  # seconds that an engine may take between its workflow's end and its own
_KILLED = "its engine was killed: go on with `tiphys retry`, or end it with `tiphys stop`"

_KILLED_BEFORE = "its engine was killed, and a later run has its name: `tiphys resubmit` runs it again"


class LocalRuns:
    """The verbs of :class:`tiphys.runs.Backend` on the runs of a store.

    Parameters
    ----------
    options:
        The store, and how what is retried or resubmitted runs; what it does not set is as in the first run.
    """

    def __init__(self, options: RunOptions | None = None) -> None:
        self.options = options or RunOptions()
        self.store = Store(self.options.store)
        self.result: RunResult | None = None  # of the last run that ended in this process

    @property
    def url(self) -> str:
        return f"store {self.store.root}"

    def close(self) -> None:
        """Nothing is held open."""

    # -- looking ---------------------------------------------------------------------------------------------

    def get(self, namespace: str, name: str) -> Workflow:
        try:
            with runtime.Record(self.store, name, reading=True) as record:
                return seen(record)
        except StoreError:
            # what was written at its end can be read when the journal is damaged, or somebody else's
            found = written(self.store, name)
            if found is None:
                raise
            return found

    def list(
        self, namespace: str, *, labels: str = "", limit: int = 0, brief: bool = False
    ) -> Sequence[Workflow]:
        return listed(self.store, self.get, parse_labels(labels), limit=limit, brief=brief)

    def watch(self, namespace: str, name: str, version: str, silence: float) -> Iterator[Change]:
        """Each new state after ``version``, until the run's end or until nothing happened for ``silence`` seconds.

        Raises RefusedError TIP217 when its engine is killed.
        """
        with runtime.Record(self.store, name, reading=True) as record:
            until = time.monotonic() + silence
            mark = -1
            while time.monotonic() < until:
                now = record.journal.version()
                if now != mark:
                    mark = now
                    workflow = seen(record)
                    if workflow["metadata"]["resourceVersion"] != version:
                        version = workflow["metadata"]["resourceVersion"]
                        until = time.monotonic() + silence
                        if ended(workflow):
                            _gone(record, _LINGERS)
                        yield Change("MODIFIED", workflow)
                    if ended(workflow):
                        return
                elif not record.live:
                    workflow = seen(record)
                    if ended(workflow):
                        yield Change("MODIFIED", workflow)
                        return
                    raise RefusedError(
                        "TIP217",
                        f"the run {name!r} does not go on",
                        cause="its engine was killed",
                        fix=f"go on with `tiphys retry {name}`, or end it with `tiphys stop {name}`",
                    )
                time.sleep(_PERIOD)

    def logs(
        self, namespace: str, name: str, *, follow: bool, pod: str = "", container: str = "", tail: int = 0
    ) -> Iterator[WorkflowLogLine]:
        try:
            record = runtime.Record(self.store, name, reading=True)
        except StoreError:  # the logs can be read when the journal cannot; their steps have no names then
            yield from log_lines(self.store, name, None, follow=follow, pod=pod, tail=tail)
        else:
            with record:
                yield from log_lines(self.store, name, record, follow=follow, pod=pod, tail=tail)

    # -- changing --------------------------------------------------------------------------------------------

    def stop(self, namespace: str, name: str, *, nodes: str = "", message: str = "") -> Workflow:
        now = time.time()
        if nodes:
            return self._ask("stop a node of", name, NodeSet(now, nodes, "Failed", message))
        return self._ask("stop", name, Shutdown(now, "Stop"))

    def terminate(self, namespace: str, name: str) -> Workflow:
        return self._ask("terminate", name, Shutdown(time.time(), "Terminate"))

    def suspend(self, namespace: str, name: str) -> Workflow:
        return self._ask("suspend", name, Suspend(time.time()))

    def resume(self, namespace: str, name: str, *, nodes: str = "", message: str = "") -> Workflow:
        return self._ask("resume", name, Resume(time.time(), nodes, message))

    def supply(
        self, name: str, nodes: str, outputs: Mapping[str, str], *, phase: str = "", message: str = ""
    ) -> Workflow:
        """Give output parameters to suspend nodes that wait, a message, and an end (``phase``, if not empty): ``argo
        node set``."""
        return self._ask("set a node of", name, NodeSet(time.time(), nodes, phase, message, dict(outputs)))

    def relabel(
        self,
        name: str,
        labels: Mapping[str, str | None],
        annotations: Mapping[str, str | None],
    ) -> Workflow:
        """Change labels and annotations of a run, also of one that has ended; None takes one away. Nothing is asked
        where none is given.

        Raises RefusedError TIP257 for what no label or annotation can be.
        """
        problems = [label_key_problem(key) for key in (*labels, *annotations)]
        problems += [label_value_problem(value) for value in labels.values() if value is not None]
        if problem := next(filter(None, problems), ""):
            raise RefusedError(
                "TIP257",
                f"{name} cannot be labelled so: {problem}",
                fix="keys and values are as Kubernetes has them",
            )
        if not labels and not annotations:
            return self.get("", name)
        return self._ask("relabel", name, Relabel(time.time(), labels, annotations))

    def retry(
        self,
        namespace: str,
        name: str,
        *,
        parameters: Mapping[str, str],
        restart_successful: bool,
        nodes: str,
    ) -> Workflow:
        """Run again what failed, in this process, to the end."""
        run = runtime.prepare_retry(
            name,
            options=self.options,
            parameters=parameters,
            restart_successful=restart_successful,
            selector=nodes,
        )
        return self._execute(run)

    def resubmit(
        self, namespace: str, name: str, *, parameters: Mapping[str, str], memoized: bool
    ) -> Workflow:
        """Run a copy, in this process, to the end."""
        run = runtime.prepare_resubmit(
            name,
            options=self.options,
            parameters=parameters,
            memoized=memoized,
            told=partial(annotated, store=self.store),
        )
        return self._execute(run)

    def delete(self, namespace: str, name: str, *, over: bool = False) -> None:
        """``over``: only if it has ended, and nobody has begun it again: else TIP216."""
        with runtime.Record(self.store, name) as record, runtime.Ownership(record.folder, name) as held:
            if over and not record.has_ended:
                raise _refused("delete", name, "it goes on")
            held.end_left()
            shutil.rmtree(record.folder)

    def create(self, namespace: str, workflow: Workflow) -> Workflow:
        raise RefusedError(
            "TIP227", "a workflow is not submitted to a store", fix="run it: tiphys run FILE --detach"
        )

    def limits(self, namespace: str, config_map: str, keys: Sequence[str]) -> dict[str, str]:
        return {}

    def set_limits(self, namespace: str, config_map: str, values: Mapping[str, str]) -> None:
        """Limits come with the file that is run."""

    def cache_bytes(self, namespace: str, config_map: str) -> int | None:
        return None  # caches have no maps here, and no limit

    def leftovers(self, namespace: str, name: str, *, delete: bool) -> Sequence[str]:
        return ()  # they ended with the engine

    # -- inside ----------------------------------------------------------------------------------------------

    def _execute(self, run: runtime.Run) -> Workflow:
        result = run.execute()
        self.result = result
        return result.workflow

    def _ask(self, what: str, name: str, event: Event) -> Workflow:
        if isinstance(event, Resume | NodeSet):
            parse_fields(event.selector)  # refused before it is written down
        with runtime.Record(self.store, name) as record:
            if record.state == "ended" and not isinstance(event, Relabel):
                raise _refused(what, name, f"it has ended as {record.workflow()['status']['phase']}")
            number = record.journal.request(event)
            runtime.ring(record.folder)
            began = time.monotonic()
            answer = record.journal.answered(number)
            while answer is None:
                if not record.live:
                    answer = self._unattended(record, number, event)
                    break
                if time.monotonic() - began > _PATIENCE:
                    raise RefusedError(
                        "TIP219",
                        f"the engine of {name!r} has not answered",
                        cause=f"it is busy since {_PATIENCE:g} s; what was asked is written down",
                        fix="wait: it is carried out when the engine comes to it, or by who goes on with the run",
                    )
                time.sleep(_PERIOD / 5)
                runtime.ring(record.folder)
                answer = record.journal.answered(number)
            if answer:
                raise _refused(what, name, answer)
            return seen(record)

    def _unattended(self, record: runtime.Record, number: int, event: Event) -> str:
        """No engine lives: carry out here what was asked; what must run for it (exit handlers, say) runs here, too."""
        answer = record.journal.answered(number)
        if answer is not None:
            return answer
        if record.state == "ended" and isinstance(event, Relabel):
            runtime.relabel_ended(record, number, event)
            return ""
        problem = runtime.why_not(record.machine(), event)
        if record.state == "ended":
            problem = f"it has ended as {record.workflow()['status']['phase']}"
        if not problem and isinstance(event, Shutdown | Resume):
            stops = isinstance(event, Shutdown)  # for which no Secret need be there
            self._execute(runtime.Run.load(record.name, options=self.options, partly=stops))
            return record.journal.answered(number) or ""
        with record.own():
            if not problem:
                record.journal.append(replace(event, now=time.time()))
            record.journal.answer(number, problem)
            record.journal.commit()
        return problem


def _refused(what: str, name: str, why: str) -> RefusedError:
    why, _, fix = why.partition("\n")
    if why.startswith("it has ended"):
        fix = f"`tiphys retry {name}` or `tiphys resubmit {name}` run it again"
    return RefusedError("TIP216", f"cannot {what} {name}: {why}", fix=fix or f"look at `tiphys get {name}`")


def seen(record: runtime.Record) -> Workflow:
    """The Workflow of a run as it stands; asked again, it is read from where it was."""
    workflow = record.workflow()
    if record.refresh():
        workflow = record.workflow()
    workflow["metadata"]["resourceVersion"] = f"{record.retries}.{record.seen}"
    marked(workflow, record.name)
    status = workflow["status"]
    if not ended(workflow) and not record.live and not status.get("message"):
        status["message"] = _KILLED if record.begun().name == record.name else _KILLED_BEFORE
    return workflow


def _gone(record: runtime.Record, patience: float) -> None:
    """Wait until the engine of a workflow that has ended is gone, too: then it can be retried."""
    until = time.monotonic() + patience
    while record.live and time.monotonic() < until:
        time.sleep(_PERIOD)
