"""Workflows made by a resource template: runs of their own, in the loop of the run that made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tiphys.argo.answers import ApiError
from tiphys.engine.base.loop import Loop, Timer
from tiphys.engine.objects.api import Api
from tiphys.errors import TiphysError
from tiphys.store.files import heed_full_disk

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.argo.types import WorkflowStatus

__all__ = ["MAKER", "ChildRun", "WorkflowObject"]

MAKER = "tiphys.dev/maker"  # the kind under which a journal keeps which node made an object

# seconds: a status holds every node, so that while the workflow runs it is written this often, not for each event
_PERIOD = 0.2


class ChildRun(Protocol):
    """A run that a resource template made: its folder is held, it has not begun."""

    @property
    def done(self) -> bool: ...

    def begin(self, wake: Callable[[], None]) -> None:
        """Set off; ``wake`` is called whenever there is something for :meth:`turn`."""

    def turn(self) -> None:
        """Deal with what has happened."""

    def status(self) -> WorkflowStatus:
        """The Workflow object's status as it stands."""

    def terminate(self) -> None:
        """End everything that runs; it still reports."""

    def close(self) -> None:
        """Let go of the run's folder; one that is done has its end written first."""


class WorkflowObject:
    """The controller of one Workflow object: its own folder in the store, the resources of the run that made it."""

    def __init__(
        self,
        loop: Loop,
        api: Api,
        item: KubeObject,
        changed: Callable[[], None],
        make: Callable[[], ChildRun | None],
    ) -> None:
        self.item = item
        self._loop = loop
        self._make = make
        self._api = api
        self._changed = changed
        self._run: ChildRun | None = None
        self._deleted = False
        self._gone: Callable[[], None] | None = None
        self._pumping = False
        self._reported = 0.0
        self._timer: Timer | None = None

    def claim(self) -> bool:
        """Hold what belongs to it; False when it is to go on and there is nothing to go on from.

        Raises ApiError AlreadyExists when a run of this name goes on elsewhere, and RefusedError for what cannot run
        here."""
        self._run = self._make()
        return self._run is not None

    def start(self) -> None:
        """Begin it."""
        if self._deleted:
            self.close()  # it may hold its folder already
            return
        if self._run is None:  # its name was still taken by one that was deleted
            try:
                self.claim()
            except (ApiError, TiphysError) as error:
                heed_full_disk(error)
                self._api.status(self.item, {"phase": "Error", "message": error.message})
                self._changed()
                return
        assert self._run is not None
        self._run.begin(self._wake)
        self._wake()

    def delete(self, gone: Callable[[], None]) -> None:
        """The object is gone: so are its pods. ``gone`` is called when they are."""
        self._deleted = True
        if self._run is None:
            gone()
        else:
            self._gone = gone
            self._run.terminate()
            self._wake()

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self._run is not None and not self._run.done

    def close(self) -> None:
        """Nothing goes on any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._run is not None:
            self._run.close()
        self._timer = self._run = None
        if self._gone is not None:
            gone, self._gone = self._gone, None
            gone()

    def _wake(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self._run is None:
            return
        self._run.turn()
        wait = self._reported + _PERIOD - self._loop.now()
        if self._run.done:
            self._report()
            self.close()
        elif wait <= 0:
            self._report()
        elif self._timer is None:
            self._timer = self._loop.call_later(min(wait, _PERIOD), self._report)

    def _report(self) -> None:
        """Write the status."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._run is None or self._deleted:
            return
        self._reported = self._loop.now()
        self._api.status(self.item, self._run.status())
        self._changed()
