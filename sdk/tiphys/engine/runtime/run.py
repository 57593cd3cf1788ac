"""Runs: start one, go on with one, and control one from outside while it goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Literal, cast

from tiphys.argo import parameters as declared
from tiphys.argo.decode import as_stored
from tiphys.argo.names import generated_name
from tiphys.argo.newer import older_reading
from tiphys.argo.selectors import parse_fields
from tiphys.argo.verbs import given_parameters
from tiphys.argo.version import known
from tiphys.engine.base.loop import Loop
from tiphys.engine.base.observations import Notice, Observation, RunFinished, RunStarted
from tiphys.engine.base.options import RunOptions, RunResult
from tiphys.engine.machine.protocol import Event, NodeSet, Resume, Shutdown, Suspend
from tiphys.engine.objects import Controllers
from tiphys.engine.pods.environment import base_environment, project_environment
from tiphys.engine.pods.gpus import GpuDesk
from tiphys.engine.pods.host import Host, Objects
from tiphys.engine.pods.room import Room
from tiphys.engine.runners.choose import choose_runner
from tiphys.engine.runners.folders import Folders
from tiphys.engine.runners.gpus import chosen
from tiphys.engine.runners.images import Images
from tiphys.engine.runners.network import RunNetwork
from tiphys.engine.runners.spawner import Spawner
from tiphys.engine.runtime.child import start_child
from tiphys.engine.runtime.driver import Driver
from tiphys.engine.runtime.execution import Execution
from tiphys.engine.runtime.facts import RunFacts, remembered
from tiphys.engine.runtime.follow import LogFollower
from tiphys.engine.runtime.judged import judged
from tiphys.engine.runtime.kept_servers import record_kept
from tiphys.engine.runtime.refusals import unaliased
from tiphys.engine.runtime.stored import Ownership, Record
from tiphys.errors import StoreError
from tiphys.garbage import seldom_collected
from tiphys.store import Store
from tiphys.store.files import no_room

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ObjectMeta
    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.engine.runners.base import Runner


__all__ = ["Run", "new_name", "resume", "run"]


def run(
    workflow: Mapping[str, object],
    *,
    parameters: Mapping[str, str] | None = None,
    options: RunOptions | None = None,
    context: Sequence[Mapping[str, object]] = (),
    invalid: str | None = None,
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
        What validation found wrong, if anything: the workflow then ends Failed with ``invalid spec: …``. None: it is
        asked here (:func:`tiphys.engine.runtime.judged.judged`).

    Raises
    ------
    RefusedError
        Before anything runs: an image, volume, resource kind or feature that this machine cannot give; TIP280, TIP281:
        a parameter that the workflow does not have, or a value that it cannot have.
    StoreError
        The store cannot be written (TIP411: no space left). The run can be resumed.
    """
    # what is no Workflow, the judge and `check` tell
    given, beside = cast("Workflow", workflow), [cast("GivenObject", dict(item)) for item in context]
    literal = options is not None and options.strict_values
    declared.check(given, parameters or {}, complete=False, literal=literal)
    return Run(given, parameters=parameters, options=options, context=beside, invalid=invalid).execute()


def resume(name: str, *, options: RunOptions | None = None) -> RunResult:
    """Go on with a run whose engine was killed: finished nodes stay finished, steps that still run or have ended are
    taken over, and those that were lost start again.

    Raises RefusedError for a run that does not exist, has ended, or goes on in another process.
    """
    return Run.load(name, options=options).execute()


class Run:
    """One run. :meth:`execute` blocks; the other methods may be called from other threads meanwhile.

    Parameters are checked by who makes it: :func:`run` and :func:`tiphys.run`. ``origins`` are the files that Secrets
    of the ``context`` are in, by their names.
    """

    def __init__(
        self,
        workflow: Workflow,
        *,
        parameters: Mapping[str, str] | None = None,
        options: RunOptions | None = None,
        context: Sequence[GivenObject] = (),
        invalid: str | None = None,
        origins: Mapping[str, str] | None = None,
    ) -> None:
        self.options = options or RunOptions()
        self.store = Store(self.options.store)
        argo = known(self.options.argo)
        workflow, context = as_stored(workflow), [as_stored(item) for item in context]
        if argo == "4.0":
            workflow, context = older_reading(workflow), [older_reading(item) for item in context]
        if invalid is None:
            invalid = judged(workflow, context, argo)  # what is no Workflow is told before anything reads it
        self._facts = RunFacts(
            workflow=given_parameters(workflow, parameters or {}),
            name=self.options.name or new_name(workflow),
            namespace=self.options.namespace,
            uid=str(uuid.uuid4()),
            parameters=dict(parameters or {}),
            context=[item.copy() for item in context],
            origins=origins or {},
            invalid=invalid,
            options=remembered(self.options),
            now=time.time(),
        )
        self._ownership: Ownership | None = None
        self._resumed = False
        self._loop: Loop | None = None
        self._emit: Callable[[Event], None] | None = None
        self._early: list[Callable[[], Event]] = []
        self._guard = threading.Lock()
        self._interrupts = 0

    @classmethod
    def load(cls, name: str, *, options: RunOptions | None = None, partly: bool = False) -> Run:
        """A run of the store, to be resumed; ``partly``: also without Secrets that cannot be had any more."""
        options = options or RunOptions()
        with Record(Store(options.store), name) as record:
            facts = record.begun().revealed(record.folder, options.secrets, partly=partly)
            return cls.of(facts, options, record.take_up())

    @classmethod
    def of(
        cls,
        facts: RunFacts,
        options: RunOptions,
        ownership: Ownership | None = None,
        *,
        resumed: bool = True,
    ) -> Run:
        """A run with these facts. ``resumed``: they are in its journal already; ``ownership``: its folder is held."""
        self = cls(facts.workflow, options=facts.recalled(options), invalid=facts.invalid)
        self._facts = facts
        self._resumed = resumed
        self._ownership = ownership
        return self

    @property
    def name(self) -> str:
        return self._facts.name

    @property
    def facts(self) -> RunFacts:
        """What is known of it before it begins."""
        return self._facts

    # -- from other threads -------------------------------------------------------------------------------------

    def shutdown(self, strategy: Literal["Stop", "Terminate"] = "Stop") -> None:
        """``argo stop`` or ``argo terminate``."""
        self._send(lambda: Shutdown(time.time(), strategy))

    def suspend(self) -> None:
        """``argo suspend``."""
        self._send(lambda: Suspend(time.time()))

    def resume_nodes(self, selector: str = "") -> None:
        """``argo resume``. Raises RefusedError TIP266 for what is no field selector."""
        parse_fields(selector)
        self._send(lambda: Resume(time.time(), selector))

    def node_set(
        self, selector: str, *, phase: str = "", message: str = "", outputs: Mapping[str, str] | None = None
    ) -> None:
        """``argo node set``. Raises RefusedError TIP266 for what is no field selector."""
        parse_fields(selector)
        self._send(lambda: NodeSet(time.time(), selector, phase, message, dict(outputs or {})))

    # -- the run ------------------------------------------------------------------------------------------------

    def execute(self) -> RunResult:
        """Run to the end. See :func:`run`."""
        try:
            return self._execute()
        except (StoreError, OSError) as error:
            if not no_room(error):
                raise
            raise self._out_of_room(error) from error
        finally:
            if self._ownership is not None:
                self._ownership.close()

    def lay_down(self) -> str:
        """Write the run into its store, for another process to begin it (:func:`resume`); its name.

        Raises what :func:`run` raises before anything runs.
        """
        images = Images(self.options.images, everything=self.options.runner == "docker")
        try:
            Execution(
                self._facts, self.store, images, ownership=self._ownership, resumed=self._resumed
            ).close()
        finally:
            if self._ownership is not None:
                self._ownership.close()
        return self.name

    def _out_of_room(self, error: StoreError | OSError) -> StoreError:
        """Like a kill, it interrupts the run; steps that ran begin again when it goes on."""
        goes_on = f"`tiphys run --resume {self.name}` goes on with it" if self._resumed else "run it again"
        return StoreError(
            "TIP411",
            error.message if isinstance(error, StoreError) else f"the run cannot go on: {error}",
            where=error.where if isinstance(error, StoreError) else str(self.store.root),
            cause="the disk, the quota or the file size limit is exhausted",
            fix=f"free some space (tiphys cache gc), then {goes_on}",
        )

    def _execute(self) -> RunResult:
        runner, weaker = choose_runner(self.options)
        try:
            return self._run(runner, weaker)
        finally:
            runner.network.close()

    def _run(self, runner: Runner, weaker: str) -> RunResult:
        options, facts = self.options, self._facts
        if options.gpus is not None:  # what there is not is refused before anything is written
            chosen(options.gpus, GpuDesk.machine.gpus() if options.gpus else [])
        images = Images(options.images, everything=runner.name == "docker")
        execution = Execution(facts, self.store, images, ownership=self._ownership, resumed=self._resumed)
        resumed, self._resumed = self._resumed, True
        folder = execution.folder
        with execution, seldom_collected(), contextlib.ExitStack() as stack:
            loop = Loop()
            stack.callback(loop.close)
            written = runner.name != "docker"  # its containers are somebody else's
            spawner = Spawner(loop, folder if written else None)
            gpus = GpuDesk(loop, options.gpus, lambda: spawner.keepers[0] if left is not None else 0)
            stack.callback(gpus.close)
            room = Room(
                loop,
                gpus,
                self.store.locks,
                self.store.queue_rules,
                lambda: spawner.keepers if left is not None else (),
            )
            stack.callback(room.close)
            stack.callback(spawner.close)  # before that
            execution.part()
            if not written:
                execution.end_left()
            left = spawner.take_over(lambda network: _joins(runner, network)) if written else None
            spawner.network = runner.network.descriptor
            follower = None
            if options.follow_logs:
                latest = options.follow_logs == "latest"
                follower = LogFollower(loop, folder / "logs", self._tell, latest=latest)
            host = Host(
                loop=loop,
                spawner=spawner,
                store=self.store,
                folder=folder,
                options=options,
                images=images,
                runner=runner,
                objects=Objects(facts.context),
                workflow=self.name,
                namespace=facts.namespace,
                uid=facts.uid,
                spec=execution.spec,
                tell=follower.hear if follower is not None else self._tell,
                base_env=base_environment(str(options.project)),
                project_env=project_environment(str(options.project)),
                folders=Folders(folder / "nodes", reuse=not options.keep_folders),
                room=room,
                created=facts.now,
                origins=facts.origins,
                left=left,
            )
            resources = Controllers(host, start_child, execution.journal.put_object)
            stack.callback(execution.halt)
            stack.callback(resources.kill)
            resources.know(self.name, facts.uid, facts.workflow)
            self._tell(RunStarted(time.time(), self.name, str(folder), resumed))
            if weaker:
                self._tell(Notice(time.time(), weaker, "TIP222"))
            if aliases := unaliased(execution.spec, runner.name):
                self._tell(Notice(time.time(), aliases, "TIP273"))
            execution.begin(host, resources)
            if left is not None:
                spawner.kill(left.stray(runner.name))
            driver = execution.driver
            self._open(loop, driver.emit)
            with self._signals(loop, driver):
                while not execution.done:
                    driver.step()
            self._close()
            if follower is not None:
                follower.close()
            return self._finish(execution, resources)

    # -- inside -----------------------------------------------------------------------------------------------

    def _finish(self, execution: Execution, resources: Controllers) -> RunResult:
        services: list[dict[str, str]] = []
        if self.options.keep_serving:
            kept = resources.release()
            if kept is not None:
                record_kept(self.store, self.name, kept)
                services = kept["services"]
        for child in resources.cut_off():
            text = f"the workflow {child} still ran and ends with this run: go on with `tiphys retry {child}`"
            self._tell(Notice(time.time(), text))
        workflow = execution.finish()
        status = workflow.get("status") or {}
        self._tell(RunFinished(time.time(), str(status.get("phase", "")), str(status.get("message", ""))))
        return RunResult(self.name, workflow, execution.folder, services, self._interrupts > 0)

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
            driver.host.store.artifacts.abandoned = True
            driver.kill_all()


def new_name(workflow: Workflow) -> str:
    metadata: ObjectMeta = workflow.get("metadata") or {}
    if metadata.get("name"):
        return str(metadata["name"])
    prefix = str(metadata.get("generateName") or "workflow-")
    return generated_name(prefix, random.Random())


def _joins(runner: Runner, descriptor: int) -> bool:
    """Have the pods of a runner in the network that those are in which outlived a killed engine; whether they are."""
    if descriptor < 0:
        return not runner.network.own
    if not runner.network.own:
        os.close(descriptor)
        return False
    try:
        found = RunNetwork(descriptor)
    except OSError:
        return False
    runner.network.close()
    runner.network = found
    return True
