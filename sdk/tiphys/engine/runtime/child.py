"""Runs made by a resource template (``action: create`` of a Workflow): started as any other.

Such a Workflow is a run of the store in its own right: ``tiphys get``, ``logs``, ``list``, ``retry`` take it. What
holds for its name:

* within the run that makes it, the objects are those of one small cluster: a second ``create`` of the name is refused
  with the API server's ``AlreadyExists``, also when the first has ended;
* a run of that name that another engine goes on with exists as well: ``AlreadyExists``, and the step fails in kubectl's
  words, as on a cluster;
* one that has ended, or whose engine was killed, is an earlier run: it is kept under a number, as when ``tiphys run``
  takes a name again.

When the parent's engine was killed and the parent is resumed, the child goes on, too, with its steps that outlived the
engine or have ended: its pods are its parent's keeper's. A retry of the parent makes it anew.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tiphys.argo.answers import ApiError
from tiphys.argo.decode import as_stored
from tiphys.argo.newer import older_reading
from tiphys.engine.machine.protocol import Shutdown
from tiphys.engine.objects import Controllers
from tiphys.engine.objects.kinds import already_exists
from tiphys.engine.objects.workflow import ChildRun
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.folders import Folders
from tiphys.engine.runners.left import Left
from tiphys.engine.runtime.dropped import drop_child, drop_children
from tiphys.engine.runtime.execution import Execution
from tiphys.engine.runtime.facts import RunFacts, remembered
from tiphys.engine.runtime.judged import judged
from tiphys.engine.runtime.kept_by import keep, kept_by
from tiphys.engine.runtime.stored import Ownership, Record
from tiphys.engine.runtime.withheld import hollow, name_of
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import KubeObject
    from tiphys.argo.types import Workflow, WorkflowStatus


__all__ = ["start_child"]


def start_child(
    item: KubeObject, parent: Host, resources: Controllers, *, again: bool = False
) -> ChildRun | None:
    """The run of a Workflow object, made and not begun.

    ``again``: the run that the object stood for before the engine was killed, to go on from its own journal as a
    workflow on a cluster does when the controller comes back; None when there is none any more.

    Raises
    ------
    ApiError
        AlreadyExists: another engine has a run of this name; BadRequest: the manifest cannot be decoded.
    RefusedError
        What cannot run on this machine.
    """
    if again:
        found = None
        try:
            found = _found(item, parent, resources)
        finally:
            if not isinstance(found, _Child):
                drop_children(parent, resources.going_on())
        return found
    given = {key: value for key, value in item.items() if key != "status"}
    workflow = as_stored(cast("Workflow", copy.deepcopy(given)))
    name, context = str(item["metadata"]["name"]), [*parent.objects.all()]
    try:
        invalid = judged(workflow, context, parent.options.argo)
    except RefusedError as error:
        words = error.message.partition(": ")[2]
        raise ApiError("BadRequest", f'Workflow in version "v1alpha1" cannot be handled: {words}') from error
    facts = RunFacts(
        workflow=older_reading(workflow) if parent.options.argo == "4.0" else workflow,
        name=name,
        namespace=parent.namespace,
        uid=str(item["metadata"]["uid"]),
        now=parent.loop.now(),
        # what its steps see are the parent's objects: no Secret is written down once more
        context=[hollow(each, parent.origins.get(name_of(each), "")) for each in context],
        origins=parent.origins,
        invalid=invalid,
        options=remembered(parent.options),
    )
    try:
        execution = Execution(facts, parent.store, parent.images)
    except RefusedError as error:
        if error.code == "TIP210":
            raise already_exists(item) from error
        raise
    try:
        left = _new(facts, parent, execution.folder)
    except BaseException:
        execution.close()
        raise
    return _Child(execution, parent, resources, left)


def _found(item: KubeObject, parent: Host, resources: Controllers) -> ChildRun | None:
    name = str(item["metadata"]["name"])
    try:
        with Record(parent.store, name) as record:
            facts = record.begun()
            if facts.uid != item["metadata"]["uid"]:
                return None
            if record.state == "ended":
                return _Ended(record.workflow()["status"])
            ownership = record.own()
    except RefusedError as error:
        if error.code in ("TIP211", "TIP226"):
            return None
        if error.code == "TIP210":
            raise already_exists(item) from error
        raise
    try:
        left = _left(ownership, facts, parent, parent.store.run(name))
        execution = Execution(facts, parent.store, parent.images, ownership=ownership, resumed=True)
    except BaseException:
        ownership.close()
        raise
    return _Child(execution, parent, resources, left)


def _new(facts: RunFacts, parent: Host, folder: Path) -> Left | None:
    """What is written down of a run of which nothing is left."""
    if parent.left is None:
        return None
    return parent.left.of_child(keep(folder, parent, facts.name, facts.uid), folder)


def _left(ownership: Ownership, facts: RunFacts, parent: Host, folder: Path) -> Left | None:
    """What a killed engine left of a run that goes on."""
    if parent.left is None:
        ownership.end_left()
        return None
    kept = kept_by(folder)
    if kept is not None and kept.top == parent.left.home.name:
        return parent.left.of_child(kept.child, folder)
    ownership.end_left()  # somebody else had it meanwhile
    drop_child(parent, facts.uid)
    return _new(facts, parent, folder)


class _Child:
    """A run in the loop of its parent, with the parent's objects and lock table."""

    def __init__(self, execution: Execution, parent: Host, resources: Controllers, left: Left | None) -> None:
        self._execution = execution
        self._resources = resources
        self._closed = False
        folder = execution.folder
        self._host = replace(
            parent,
            folder=folder,
            workflow=execution.facts.name,
            uid=execution.facts.uid,
            created=execution.facts.now,
            spec=execution.spec,
            folders=Folders(folder / "nodes", reuse=not parent.options.keep_folders),
            left=left,
        )

    @property
    def done(self) -> bool:
        return self._execution.done

    def begin(self, wake: Callable[[], None]) -> None:
        self._execution.begin(self._host, self._resources, wake)
        if (left := self._host.left) is not None:
            self._host.spawner.kill(left.stray(self._host.runner.name))

    def turn(self) -> None:
        if self._execution.begun:
            self._execution.driver.drain()

    def status(self) -> WorkflowStatus:
        return self._execution.machine.workflow()["status"]

    def terminate(self) -> None:
        if self._execution.begun and not self.done:
            self._execution.driver.emit(Shutdown(self._host.loop.now(), "Terminate"))
            self._execution.driver.kill_all()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self.done:
                self._execution.finish()
        finally:
            self._execution.halt()
            self._execution.close()


class _Ended:
    """A run that ended before its parent's engine was killed."""

    done = True

    def __init__(self, status: WorkflowStatus) -> None:
        self._status = status

    def begin(self, wake: Callable[[], None]) -> None:
        """It has begun."""

    def turn(self) -> None:
        """Nothing happens any more."""

    def status(self) -> WorkflowStatus:
        return self._status

    def terminate(self) -> None:
        """It has ended."""

    def close(self) -> None:
        """Nothing is held."""
