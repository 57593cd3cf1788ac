"""Workflows made by a resource template: run by the same engine, in the same loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tiphys.engine.base.loop import Timer
from tiphys.engine.machine.protocol import Begin, Shutdown
from tiphys.engine.objects.api import Api
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.folders import Folders
from tiphys.engine.runtime.journal import Journal
from tiphys.errors import TiphysError

if TYPE_CHECKING:
    from tiphys.engine.objects.controllers import Resources
    from tiphys.engine.runtime.driver import Driver

__all__ = ["WorkflowObject"]

Json = Any
_PERIOD = (
    0.2  # a status holds every node: while the workflow runs it is written this often, not for each event
)


class WorkflowObject:
    """The controller of one Workflow object: its own folder in the store, the resources of the run that made it."""

    def __init__(
        self, host: Host, resources: Resources, item: dict[str, Json], changed: Callable[[], None]
    ) -> None:
        self.item = item
        self._parent = host
        self._resources = resources
        self._api: Api = resources.api
        self._changed = changed
        self._driver: Driver | None = None
        self._journal: Journal | None = None
        self._pumping = False
        self._reported = 0.0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Check the workflow and begin it; one that is refused ends as Failed at once, as Argo's validation does."""
        from tiphys.engine.machine import Machine
        from tiphys.engine.runtime.driver import Driver
        from tiphys.engine.runtime.refusals import check

        metadata, now = self.item["metadata"], self._parent.loop.now()
        name = str(metadata["name"])
        try:
            check(self.item, self._parent.images)
            machine = Machine(
                self.item,
                name=name,
                namespace=self._parent.namespace,
                uid=str(metadata["uid"]),
                parameters={},
                context=self._parent.objects.context,
                now=now,
            )
        except TiphysError as error:
            self._api.status(self.item, {"phase": "Failed", "message": f"invalid spec: {error.message}"})
            return
        folder = self._parent.store.run(name)
        (folder / "logs").mkdir(exist_ok=True)
        (folder / "nodes").mkdir(exist_ok=True)
        host = replace(
            self._parent,
            folder=folder,
            workflow=name,
            uid=str(metadata["uid"]),
            spec=self.item.get("spec") or {},
            folders=Folders(folder / "nodes", reuse=not self._parent.options.keep_folders),
        )
        self._journal = Journal(folder / "journal.db")
        self._driver = Driver(host, machine, self._journal, self._resources)
        self._driver.wake = self._wake
        self._driver.emit(Begin(now))

    def delete(self) -> None:
        """The object is gone: so are its pods."""
        if self._driver is not None and self._driver.finished is None:
            self._driver.emit(Shutdown(self._parent.loop.now(), "Terminate"))
            self._driver.kill_all()

    def close(self) -> None:
        """The run is over."""
        self._cancel()
        if self._driver is not None:
            self._driver.close(shared=True)
        if self._journal is not None:
            self._journal.close()
        self._driver = self._journal = None

    def _wake(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._parent.loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self._driver is None:
            return
        self._driver.drain()
        wait = self._reported + _PERIOD - self._parent.loop.now()
        if self._driver.finished is not None or wait <= 0:
            self._report()
        elif self._timer is None:
            self._timer = self._parent.loop.call_later(min(wait, _PERIOD), self._report)

    def _report(self) -> None:
        """Write the status."""
        self._cancel()
        if self._driver is None:
            return
        self._reported = self._parent.loop.now()
        status = self._driver.machine.workflow()["status"]
        self._api.status(self.item, status)
        self._changed()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
