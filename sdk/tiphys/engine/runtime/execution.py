"""One way to start a run: what a :class:`~tiphys.engine.runtime.run.Run` and Workflows made by a step both pass.

A run's folder belongs to one run, and to one engine at a time:

* what cannot run here is refused before anything is written;
* the folder is locked (``flock``, which ends with the process); a second engine is refused with TIP210;
* an earlier run of the same name, ended or killed, is kept under ``NAME.1``, ``NAME.2``, …;
* the facts are in the journal before the first event, ``workflow.json`` is written at the end.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from tiphys.engine.base.observations import Notice
from tiphys.engine.machine.protocol import Begin, Event
from tiphys.engine.objects import Controllers
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.images import Images
from tiphys.engine.runners.left import RECORDS, clear_records
from tiphys.engine.runtime import kept_by
from tiphys.engine.runtime.cleanup import clean_up
from tiphys.engine.runtime.driver import Driver
from tiphys.engine.runtime.ends import write_end
from tiphys.engine.runtime.facts import RunFacts
from tiphys.engine.runtime.journal import Journal
from tiphys.engine.runtime.refusals import check
from tiphys.engine.runtime.requests import Bell, ring, unanswered
from tiphys.engine.runtime.resume import replay
from tiphys.engine.runtime.stored import Ownership
from tiphys.engine.runtime.withheld import forget, keep
from tiphys.errors import TiphysError
from tiphys.queue.rules import load_rules, this_user
from tiphys.store import Store
from tiphys.store.files import remove, sweep

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow, WorkflowSpec


__all__ = ["Execution"]


class Execution:
    """A run under way: made, its folder is held and its facts are written; then :meth:`begin`, at its end
    :meth:`finish`, and :meth:`close` in any case.

    Parameters
    ----------
    ownership:
        Of the run's folder, when it is held already.
    resumed:
        The facts are in the journal already, and perhaps events: the run goes on from them.

    Raises
    ------
    RefusedError
        What cannot run here (before anything is written); TIP210: another engine has the run.
    """

    def __init__(
        self,
        facts: RunFacts,
        store: Store,
        images: Images,
        *,
        ownership: Ownership | None = None,
        resumed: bool = False,
    ) -> None:
        check(facts.workflow, images, facts.context)
        self.facts = facts
        self.store = store
        self.resumed = resumed
        self.machine = facts.machine()
        if not resumed:  # what has begun goes on, whatever the rules say by now
            load_rules(store.queue_rules).check_class(this_user(), self.machine.priority)
        self.spec: WorkflowSpec = facts.workflow.get("spec") or {}
        if self.spec.get("workflowTemplateRef"):
            stored = self.machine.workflow()["status"].get("storedWorkflowTemplateSpec")
            self.spec = stored or self.spec
        self._ownership = ownership or _claim(store, facts.name)
        self.folder = store.run(facts.name)
        try:
            _make_room(self.folder)
            for place in (self.folder, store.artifacts.incoming):
                sweep(place)  # what killed engines were about to write
            self.journal = Journal(self.folder / "journal.db")
            if not resumed:
                store.note_beginning(facts.name, facts.now)
                keep(self.folder, facts.context, facts.origins)
                self.journal.write_facts(facts.to_json())
        except BaseException:
            self._ownership.close()
            raise
        self._driver: Driver | None = None
        self._bell: Bell | None = None

    @property
    def driver(self) -> Driver:
        """Of a run that has begun."""
        assert self._driver is not None
        return self._driver

    @property
    def begun(self) -> bool:
        return self._driver is not None

    @property
    def done(self) -> bool:
        """Whether it has begun and ended."""
        return self._driver is not None and (self._driver.finished is not None or self.machine.done)

    def begin(self, host: Host, resources: Controllers, wake: Callable[[], None] | None = None) -> None:
        """Set off, or go on from what the journal tells; from now on, other processes are heard.

        ``wake``: told that there is something to :meth:`Driver.drain`, where nobody calls :meth:`Driver.step`.
        """
        self._sweep(host)
        driver = self._driver = Driver(host, self.machine, self.journal, resources)
        driver.wake = wake
        if self.resumed:
            host.room.adopt(host.holder(""), f"{host.namespace}/{host.workflow}")
            replay(driver, self.machine, self.journal, resources, self.facts.started)
        else:
            driver.emit(Begin(self.facts.now))
        self._bell = Bell(host.loop, self.folder, lambda: self._heard(host, wake))
        ring(self.folder)  # what was asked while nobody listened

    def finish(self) -> Workflow:
        """Write the end of the run, and remove what Argo removes then; the Workflow object with its status."""
        workflow = self.machine.result()
        self.driver.metrics.write()
        self.driver.host.sampler.flush()
        if self.resumed and not self.driver.host.options.keep_folders:
            # of pods whose end was in the journal before the kill
            for entry in os.listdir(self.folder / "nodes"):
                remove(self.folder / "nodes" / entry)
        clear_records(self.folder, door=False)  # all that is in them is over
        kept_by.forget(self.folder)
        write_end(self.store, self.facts.name, self.journal, self.facts, workflow)
        clear_records(self.folder)
        forget(self.folder)
        clean_up(self.store, workflow, self.spec)
        return workflow

    def end_left(self) -> None:
        """As :meth:`Ownership.end_left`."""
        self._ownership.end_left()

    def part(self) -> None:
        """As :meth:`Ownership.part`."""
        self._ownership.part()

    def _sweep(self, host: Host) -> None:
        """Remove what a killed engine left of pods that begin anew."""
        kept = host.left.kept(host.runner.name) if host.left is not None else []
        if host.left is not None:
            host.addresses.update(host.left.addresses())
        names = {pod.folder for pod in kept}
        for entry in os.listdir(self.folder / "nodes"):
            if not any(entry == name or entry.startswith(f"{name}.") for name in names):
                remove(self.folder / "nodes" / entry)

    def halt(self) -> None:
        """Listen to nobody any more, and give back locks."""
        if self._bell is not None:
            self._bell.close()
        if self._driver is not None:
            self._driver.close()
            self._driver.host.sampler.flush()
        self._bell = None

    def close(self) -> None:
        """Let go of the run's folder."""
        self.journal.close()
        self._ownership.close()

    def __enter__(self) -> Execution:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _heard(self, host: Host, wake: Callable[[], None] | None) -> None:
        """Another process asked for something: now, and a person who watches here is told."""

        def asked(event: Event) -> None:
            now = time.time()
            host.tell(Notice(now, f"asked from outside: {type(event).__name__.lower()}"))
            self.driver.emit(replace(event, now=now))

        unanswered(self.journal, self.machine, asked)
        if wake is not None:
            wake()  # an answer may wait for the next commit


def _claim(store: Store, name: str) -> Ownership:
    """Hold the folder of a new run; an earlier run of this very name is kept under a number. Raises RefusedError."""
    while True:
        folder = store.new_run(name)
        try:
            ownership = Ownership(folder, name)
        except FileNotFoundError:
            continue  # just now renamed or deleted by somebody else
        if not (folder / "journal.db").exists() or _never_began(folder):
            return ownership
        with ownership:
            ownership.end_left()
            number = 1
            while (folder.parent / f"{name}.{number}").exists():
                number += 1
            folder.rename(folder.parent / f"{name}.{number}")


def _never_began(folder: Path) -> bool:
    """Whether its engine was killed before it had written what the run is, or had started anything: there is nothing to
    keep. (Of a workflow that a step makes, the run is there before the maker has written down that it is his.)"""
    with (
        contextlib.suppress(TiphysError),
        contextlib.closing(Journal(folder / "journal.db", reading=True)) as journal,
    ):
        if not journal.facts():
            return True
        logs = folder / "logs"
        begun = journal.last() > 1  # the first event is that it begins
        return not (begun or (folder / RECORDS).exists() or (logs.is_dir() and os.listdir(logs)))
    return False


def _make_room(folder: Path) -> None:
    folder.chmod(0o700)  # arguments, logs and outputs are nobody else's, whatever the umask
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "nodes").mkdir(exist_ok=True)
