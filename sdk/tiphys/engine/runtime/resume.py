"""Going on with a run whose engine was killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tiphys.engine.machine.machine import Machine
from tiphys.engine.machine.protocol import (
    AcquireLocks,
    Begin,
    Command,
    Event,
    LocksGranted,
    LocksRefused,
    LookupCache,
    PodFinished,
    PodRunning,
    ReleaseLocks,
    SetTimer,
    Shutdown,
    StartPod,
    StopPod,
    StoreCache,
    TimerFired,
    WorkflowFinished,
)
from tiphys.engine.objects import Controllers
from tiphys.engine.runtime.driver import Driver
from tiphys.engine.runtime.dropped import drop_children
from tiphys.engine.runtime.journal import Journal

__all__ = ["Outstanding", "replay"]


class Outstanding:
    """The commands of a replayed history that were not answered."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Command] = {}
        self.held: dict[str, AcquireLocks] = {}  # locks that were granted and not given back
        self.released: set[str] = set()  # nodes that gave theirs back: was that done before the kill?

    def command(self, command: Command) -> None:
        """The core asked for something."""
        match command:
            case StartPod() | LookupCache() | StoreCache() | AcquireLocks():
                self._open[type(command).__name__, command.node_id] = command
            case StopPod():
                self._open["StopPod", command.node_id] = command
            case ReleaseLocks():
                self._open.pop(("AcquireLocks", command.node_id), None)
                if self.held.pop(command.node_id, None) is not None:
                    self.released.add(command.node_id)
            case SetTimer():
                self._open["SetTimer", command.token] = command
            case WorkflowFinished():
                self._open["WorkflowFinished", ""] = command

    def event(self, event: Event) -> None:
        """Something was answered."""
        match event:
            case PodFinished():
                self._open.pop(("StartPod", event.node_id), None)
                self._open.pop(("StopPod", event.node_id), None)
            case LocksGranted():
                asked = self._open.pop(("AcquireLocks", event.node_id), None)
                if isinstance(asked, AcquireLocks):
                    self.held[event.node_id] = asked
            case LocksRefused():
                self._open.pop(("AcquireLocks", event.node_id), None)
            case TimerFired():
                self._open.pop(("SetTimer", event.token), None)
            case _:
                name = {"CacheAnswer": "LookupCache", "CacheStored": "StoreCache"}.get(type(event).__name__)
                if name:
                    self._open.pop((name, getattr(event, "node_id", "")), None)

    def lost(self, kept: Callable[[str], bool]) -> list[str]:
        """The nodes whose pods went with the killed engine and are to be stopped: they are not started again. Those
        that are ``kept`` go on, to be stopped."""
        found = [
            node_id
            for kind, node_id in self._open
            if kind == "StopPod" and ("StartPod", node_id) in self._open and not kept(node_id)
        ]
        for node_id in found:
            del self._open["StopPod", node_id], self._open["StartPod", node_id]
        return found

    @property
    def asking(self) -> set[str]:
        """The nodes whose pods must be started again, or go on."""
        return {node_id for kind, node_id in self._open if kind == "StartPod"}

    def commands(self) -> list[Command]:
        """What must be done again, in the order it was asked for."""
        return list(self._open.values())


def replay(
    driver: Driver, machine: Machine, journal: Journal, resources: Controllers, created: float
) -> None:
    """Bring the machine to where it was, then do again what was under way."""
    outstanding = Outstanding()
    begun = False
    for event in journal.events():
        begun = True
        outstanding.event(event)
        if isinstance(event, PodRunning):
            driver.host.since[event.node_id] = event.now
        for command in machine.handle(event):
            outstanding.command(command)
    for number, event in journal.requests():  # a stop: what ran before is not started once more to be stopped
        if isinstance(event, Shutdown) and begun and not machine.done:
            journal.append(asked := replace(event, now=driver.host.loop.now()))
            journal.answer(number)
            journal.commit()
            for command in machine.handle(asked):
                outstanding.command(command)
    driver.forget_locks(outstanding.released - outstanding.held.keys())
    resources.restore(journal.objects())
    driver.remember()
    for node_id in outstanding.lost(driver.kept):
        driver.emit(PodFinished(driver.host.loop.now(), node_id, "Error", "pod deleted"))
    resources.go_on(driver.host, outstanding.asking)
    drop_children(driver.host, resources.going_on())
    commands = outstanding.commands()

    def set_off() -> None:
        if not begun:  # killed before the first commit, or retried
            driver.emit(Begin(created))
        driver.carry_out(commands)

    def go_on() -> None:
        # a lock that the killed engine held may be somebody else's by now: wait for it
        if not all(driver.reacquire(command) for command in outstanding.held.values()):
            driver.host.loop.call_later(0.25, go_on)
            return
        # steps that go on may ask services that finished steps had started
        resources.recovered(set_off)

    go_on()
