"""Runs: start one, go on with one, and control one from outside while it goes on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from tiphys.engine.cleanup import clean_up
from tiphys.engine.core import Machine
from tiphys.engine.core.protocol import Begin, Event, NodeSet, Resume, Shutdown, Suspend
from tiphys.engine.driver import Driver
from tiphys.engine.follow import LogFollower
from tiphys.engine.journal import VERSION, Journal
from tiphys.engine.loop import Loop
from tiphys.engine.observe import Notice, Observation, RunFinished, RunStarted
from tiphys.engine.options import RunOptions, RunResult
from tiphys.engine.precheck import check
from tiphys.engine.replay import replay
from tiphys.engine.resources import Resources
from tiphys.engine.runners.choose import choose_runner
from tiphys.engine.runners.environment import base_environment, project_environment
from tiphys.engine.runners.folders import Folders
from tiphys.engine.runners.host import Host, Objects
from tiphys.engine.runners.images import Images
from tiphys.engine.runners.spawner import Spawner
from tiphys.engine.serving import record_kept
from tiphys.errors import RefusedError
from tiphys.store import Store, write_atomic

__all__ = ["Run", "resume", "run"]

Json = Any
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def run(
    workflow: Mapping[str, Json],
    *,
    parameters: Mapping[str, str] | None = None,
    options: RunOptions | None = None,
    context: Sequence[Mapping[str, Json]] = (),
    invalid: str = "",
) -> RunResult:
    """Run a Workflow object here and wait for its end.

    Parameters
    ----------
    workflow:
        The object as in its YAML.
    parameters:
        Values for ``spec.arguments.parameters``.
    options:
        See :class:`RunOptions`.
    context:
        Objects given with it: ConfigMaps, Secrets, WorkflowTemplates.
    invalid:
        What validation found wrong, if anything: the workflow then ends Failed with ``invalid spec: …``.

    Raises
    ------
    RefusedError
        Before anything runs: an image, volume, resource kind or feature that this machine cannot give, or a
        parameter that the workflow does not have.
    StoreError
        The store cannot be written (TIP411: no space left). The run can be resumed.
    """
    return Run(workflow, parameters=parameters, options=options, context=context, invalid=invalid).execute()


def resume(name: str, *, options: RunOptions | None = None) -> RunResult:
    """Go on with a run whose engine was killed: finished nodes stay finished, those that ran start again.

    Raises RefusedError for a run that does not exist, has ended, or goes on in another process.
    """
    return Run.load(name, options=options).execute()


class Run:
    """One run. :meth:`execute` blocks; the other methods may be called from other threads meanwhile."""

    def __init__(
        self,
        workflow: Mapping[str, Json],
        *,
        parameters: Mapping[str, str] | None = None,
        options: RunOptions | None = None,
        context: Sequence[Mapping[str, Json]] = (),
        invalid: str = "",
    ) -> None:
        self.options = options or RunOptions()
        self.store = Store(self.options.store)
        now = time.time()
        self._facts: dict[str, Json] = {
            "version": VERSION,
            "workflow": dict(workflow),
            "name": self.options.name or _name(workflow),
            "namespace": self.options.namespace,
            "uid": str(uuid.uuid4()),
            "parameters": dict(parameters or {}),
            "context": [dict(item) for item in context],
            "invalid": invalid,
            "now": now,
        }
        self._resumed = False
        self._loop: Loop | None = None
        self._emit: Callable[[Event], None] | None = None
        self._early: list[Callable[[], Event]] = []
        self._guard = threading.Lock()
        self._interrupts = 0

    @classmethod
    def load(cls, name: str, *, options: RunOptions | None = None) -> Run:
        """A run of the store, to be resumed."""
        options = options or RunOptions()
        store = Store(options.store)
        if name not in store.runs() or not (store.run(name) / "journal.db").is_file():
            known = ", ".join(store.runs()[-5:]) or "none"
            raise RefusedError(
                "TIP211", f"there is no run {name!r}", where=str(store.root), cause=f"runs: {known}"
            )
        if (store.run(name) / "workflow.json").is_file():
            raise RefusedError(
                "TIP212", f"the run {name!r} has ended", fix="run the workflow again; what is cached is used"
            )
        journal = Journal(store.run(name) / "journal.db")
        facts = journal.facts()
        journal.close()
        if facts.get("version") != VERSION:
            raise RefusedError("TIP213", f"the journal of {name!r} is of another version of tiphys")
        self = cls(facts["workflow"], options=replace(options, name=name, namespace=facts["namespace"]))
        self._facts = facts
        self._resumed = True
        return self

    @property
    def name(self) -> str:
        return str(self._facts["name"])

    # -- from other threads -------------------------------------------------------------------------------------

    def shutdown(self, strategy: Literal["Stop", "Terminate"] = "Stop") -> None:
        """``argo stop`` or ``argo terminate``."""
        self._send(lambda: Shutdown(time.time(), strategy))

    def suspend(self) -> None:
        """``argo suspend``."""
        self._send(lambda: Suspend(time.time()))

    def resume_nodes(self, selector: str = "") -> None:
        """``argo resume``."""
        self._send(lambda: Resume(time.time(), selector))

    def node_set(
        self, selector: str, *, phase: str = "", message: str = "", outputs: Mapping[str, str] | None = None
    ) -> None:
        """``argo node set``."""
        self._send(lambda: NodeSet(time.time(), selector, phase, message, dict(outputs or {})))

    # -- the run ------------------------------------------------------------------------------------------------

    def execute(self) -> RunResult:
        """Run to the end. See :func:`run`."""
        options, facts = self.options, self._facts
        runner, weaker = choose_runner(options)
        images = Images(options.images, everything=runner.name == "docker")
        check(facts["workflow"], images)
        machine = Machine(
            facts["workflow"],
            name=self.name,
            namespace=facts["namespace"],
            uid=facts["uid"],
            parameters=facts["parameters"],
            context=facts["context"],
            now=facts["now"],
            invalid=facts.get("invalid", ""),
        )
        spec = facts["workflow"].get("spec") or {}
        if spec.get("workflowTemplateRef"):
            spec = machine.workflow()["status"].get("storedWorkflowTemplateSpec") or spec
        folder = self._folder()
        with _owned(folder, self.name), contextlib.ExitStack() as stack:
            loop = Loop()
            stack.callback(loop.close)
            spawner = Spawner(loop)
            stack.callback(spawner.close)
            journal = Journal(folder / "journal.db")
            stack.callback(journal.close)
            follower = LogFollower(loop, folder / "logs", self._tell) if options.follow_logs else None
            host = Host(
                loop=loop,
                spawner=spawner,
                store=self.store,
                folder=folder,
                options=options,
                images=images,
                runner=runner,
                objects=Objects(facts["context"]),
                workflow=self.name,
                namespace=facts["namespace"],
                uid=facts["uid"],
                spec=spec,
                tell=self._tell,
                base_env=base_environment(),
                project_env=project_environment(str(options.project)),
                folders=Folders(folder / "nodes", reuse=not options.keep_folders),
            )
            resources = Resources(host, journal.put_object)
            stack.callback(resources.kill)
            resources.know(self.name, facts["uid"], facts["workflow"])
            driver = Driver(host, machine, journal, resources)
            stack.callback(driver.close)
            if not self._resumed:
                journal.write_facts(facts)
            self._tell(RunStarted(time.time(), self.name, str(folder), self._resumed))
            if weaker:
                self._tell(Notice(time.time(), weaker, "TIP222"))
            if self._resumed:
                replay(driver, machine, journal, resources, facts["now"])
            else:
                driver.emit(Begin(facts["now"]))
            self._open(loop, driver.emit)
            with self._signals(loop, driver):
                while driver.finished is None and not machine.done:
                    driver.step()
            self._close()
            if follower is not None:
                follower.close()
            return self._finish(folder, machine, resources, spec)

    # -- inside -----------------------------------------------------------------------------------------------

    def _finish(
        self, folder: Path, machine: Machine, resources: Resources, spec: Mapping[str, Json]
    ) -> RunResult:
        workflow = machine.workflow()
        services: list[dict[str, Json]] = []
        if self.options.keep_serving:
            kept = resources.release()
            if kept:
                record_kept(self.store, self.name, kept)
                services = kept["services"]
        write_atomic(folder / "workflow.json", json.dumps(workflow, ensure_ascii=False).encode() + b"\n")
        status = workflow.get("status") or {}
        clean_up(self.store, workflow, spec)
        self._tell(RunFinished(time.time(), str(status.get("phase", "")), str(status.get("message", ""))))
        return RunResult(self.name, workflow, folder, services, self._interrupts > 0)

    def _folder(self) -> Path:
        folder = self.store.run(self.name)
        if not self._resumed and (folder / "journal.db").exists():
            # an earlier run of this very name (a fixed metadata.name): kept under a number
            with _owned(folder, self.name):
                number = 1
                while (folder.parent / f"{self.name}.{number}").exists():
                    number += 1
                folder.rename(folder.parent / f"{self.name}.{number}")
            folder = self.store.run(self.name)
        (folder / "logs").mkdir(exist_ok=True)
        # what a killed engine left there is of no use: those nodes start again
        shutil.rmtree(folder / "nodes", ignore_errors=True)
        (folder / "nodes").mkdir()
        return folder

    def _tell(self, observation: Observation) -> None:
        if self.options.observer is not None:
            self.options.observer(observation)

    def _send(self, make: Callable[[], Event]) -> None:
        with self._guard:
            if self._loop is None or self._emit is None:
                self._early.append(make)
                return
            emit = self._emit
            self._loop.call_threadsafe(lambda: emit(make()))

    def _open(self, loop: Loop, emit: Callable[[Event], None]) -> None:
        with self._guard:
            self._loop, self._emit = loop, emit
            for make in self._early:
                emit(make())
            self._early.clear()

    def _close(self) -> None:
        with self._guard:
            self._loop = self._emit = None

    @contextlib.contextmanager
    def _signals(self, loop: Loop, driver: Driver) -> Iterator[None]:
        """Ctrl-C and SIGTERM: the first stops the workflow, the second kills what runs, the third gives up."""
        if not self.options.handle_signals or threading.current_thread() is not threading.main_thread():
            yield
            return

        def interrupted(number: int, frame: FrameType | None) -> None:
            self._interrupts += 1
            if self._interrupts >= 3:
                raise KeyboardInterrupt
            loop.call_threadsafe(lambda: self._interrupt(driver))

        before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        wakeup = signal.set_wakeup_fd(loop.waker, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, driver: Driver) -> None:
        now = time.time()
        if self._interrupts == 1:
            driver.grace = self.options.grace
            text = f"stopping: running steps have {self.options.grace:g} s to end; once more to kill them"
            self._tell(Notice(now, text))
            driver.emit(Shutdown(now, "Stop"))
        else:
            self._tell(Notice(now, "killing what runs"))
            driver.emit(Shutdown(now, "Terminate"))
            driver.grace = 0.0
            driver.kill_all()


@contextlib.contextmanager
def _owned(folder: Path, name: str) -> Iterator[None]:
    """Hold the run's folder; refuses a run that goes on in another process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RefusedError(
                "TIP210",
                f"the run {name!r} goes on in another process",
                where=str(folder),
                fix="wait for it, stop it, or give this run another name",
            ) from error
        yield
    finally:
        os.close(descriptor)


def _name(workflow: Mapping[str, Json]) -> str:
    metadata = workflow.get("metadata") or {}
    if metadata.get("name"):
        return str(metadata["name"])
    prefix = str(metadata.get("generateName") or "workflow-")
    return prefix + "".join(random.choices(_LETTERS, k=5))
