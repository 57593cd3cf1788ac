"""The clock: it starts the CronWorkflows that are due, makes up for what was missed, and keeps the history as short as
it is to be (:mod:`tiphys.server.crons` says what is to be done); of all runs it deletes those whose time is over
(:mod:`tiphys.server.expiry`).

A run has the name of its CronWorkflow and of its time, so a start that was decided twice, because the server was killed
between the run and its note, is one run.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from tiphys.argo import cron as schedules
from tiphys.argo.cron import child_workflow
from tiphys.argo.time import seconds
from tiphys.errors import RefusedError, TiphysError
from tiphys.expr.moment import PRESENT
from tiphys.lint import judge
from tiphys.server import crons
from tiphys.server.answers import RequestError
from tiphys.server.expiry import Expiry

if TYPE_CHECKING:
    from tiphys.argo.types import CronWorkflow, GivenObject, Workflow
    from tiphys.server.desk import Desk

__all__ = ["Clock"]

log = logging.getLogger("tiphys.server")
_PERIOD = 0.5  # seconds between two looks at the clock
_LABEL = "workflows.argoproj.io/cron-workflow"


class Clock:
    """The clock of a desk. ``now`` gives the time, in seconds since the epoch."""

    def __init__(self, desk: Desk, now: Callable[[], float] = time.time) -> None:
        self._desk, self._now = desk, now
        self._due: dict[
            tuple[str, str, str, str], float | None
        ] = {}  # of each schedule, since it was first seen
        self._expiry = Expiry(desk)
        self._seen: set[tuple[str, str]] = set()  # those for which it was looked what they have missed
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tiphys-clock", daemon=True)

    def start(self) -> None:
        """Begin to look, again and again."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(_PERIOD):
            try:
                self.tick()
            except Exception:  # the others must not wait for ever
                log.exception("a CronWorkflow")
            try:
                self._expiry.tick(self._now())
            except Exception:
                log.exception("what is over")

    def tick(self) -> None:
        """Do what is due by now."""
        now = self._now()
        PRESENT.set(now)
        given_crons = self._desk.crons.briefs()[1]
        children = self._children() if given_crons else {}  # which looks at all runs
        kept: dict[tuple[str, str, str, str], float | None] = {}
        for given in given_crons:
            cron = cast("CronWorkflow", given)
            try:
                kept.update(self._one(cron, children.get(cron["metadata"]["name"], []), now))
            except (TiphysError, RequestError, ValueError) as error:
                log.warning("the CronWorkflow %s: %s", cron["metadata"]["name"], error)
        self._due = kept

    def _children(self) -> dict[str, list[crons.Child]]:
        found: dict[str, list[crons.Child]] = {}
        for run in self._desk.board.briefs()[1]:
            name = (run["metadata"].get("labels") or {}).get(_LABEL)
            if name:
                status = run.get("status") or {}
                finished = status.get("finishedAt")
                found.setdefault(name, []).append(
                    crons.Child(
                        run["metadata"]["name"],
                        run["metadata"].get("uid", ""),
                        status.get("phase") or "",
                        seconds(finished) if finished else 0.0,
                    )
                )
        return found

    def _one(
        self, cron: CronWorkflow, children: list[crons.Child], now: float
    ) -> dict[tuple[str, str, str, str], float | None]:
        """Look at one; the times at which it is due next."""
        name, uid = cron["metadata"]["name"], str(cron["metadata"].get("uid") or "")
        for each in crons.surplus(cron, children):
            with contextlib.suppress(RefusedError):  # somebody has begun it again
                self._desk.delete_ended(each)
        self._amend(name, lambda known: crons.reconciled(known, children))
        if crons.is_over(cron):
            return {}
        spec = cron.get("spec") or {}
        zone = str(spec.get("timezone") or "")
        if (name, uid) not in self._seen:
            self._seen.add((name, uid))
            if (at := crons.missed(cron, now)) is not None:
                self._run(name, at)
        due: dict[tuple[str, str, str, str], float | None] = {}
        for schedule in [str(each) for each in spec.get("schedules") or []]:
            key = (name, uid, schedule, zone)
            at = self._due[key] if key in self._due else _after(schedule, zone, now)
            if at is not None and at <= now:
                self._run(name, at)
                at = _after(schedule, zone, now)
            due[key] = at
        return due

    def _run(self, name: str, at: float) -> None:
        """Do what a CronWorkflow does at a time that was due."""
        known = self._desk.crons.get(name)
        if known is None:
            return
        decision = crons.decide(
            cast("CronWorkflow", known), at, self._problem(cast("CronWorkflow", known), at)
        )
        for each in decision.terminate:
            try:
                self._desk.runs.terminate(self._desk.options.namespace, each)
            except RefusedError as error:  # it has ended, or is gone
                log.info("%s: %s", each, error)
        run: Workflow | None = None
        why = ""
        if decision.start is not None:
            try:
                run = self._desk.create(cast("GivenObject", decision.start))
            except RequestError as error:
                if error.number != 409:  # it was created before the server was killed
                    why = error.message
                run = self._desk.board.get(decision.start["metadata"]["name"])
            except TiphysError as error:
                why = str(error)

        def noted(now: CronWorkflow) -> CronWorkflow:
            told: CronWorkflow = {
                **now,
                "metadata": {**now["metadata"]},
                "status": decision.cron.get("status") or {},
            }
            for part in ("labels", "annotations"):
                if part in decision.cron["metadata"]:
                    told["metadata"][part] = decision.cron["metadata"][part]
            if run is not None:
                return crons.started(told, at, run)
            return crons.refused(told, why) if why else told

        self._amend(name, noted)

    def _problem(self, cron: CronWorkflow, at: float) -> str:
        """What is wrong with the Workflow that it would make."""
        made = child_workflow(cron, at)
        reference = (made.get("spec") or {}).get("workflowTemplateRef") or {}
        if name := reference.get("name"):
            kept = self._desk.templates[1 if reference.get("clusterScope") else 0]
            if kept.get(name) is None:
                return f'{kept.called} "{name}" not found'
        source = self._desk.source(cast("GivenObject", made))
        assert source.document is not None  # it was read from text
        verdict = judge(source.documents, source.document, self._desk.options.argo)
        return verdict.undecodable[0].message if verdict.undecodable else verdict.invalid

    def _amend(self, name: str, change: Callable[[CronWorkflow], CronWorkflow]) -> None:
        self._desk.crons.amend(name, lambda known: cast("Workflow", change(cast("CronWorkflow", known))))


def _after(schedule: str, zone: str, moment: float) -> float | None:
    try:
        return schedules.after(schedule, zone, moment)
    except RefusedError:  # nobody can say when
        return None
