"""Loops of a DAG: the walk after an item's error, and hooks of items and of the TaskGroup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.engine.machine.bodies.boundary import Boundary
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.bodies.dag_plan import DagPlan
from tiphys.engine.machine.bodies.dag_task import DagTask
from tiphys.engine.machine.bodies.hooks import ChildHooks, GroupRun
from tiphys.engine.machine.scope import BoundaryScope

if TYPE_CHECKING:
    from tiphys.argo.types import WorkflowStep

__all__ = ["LoopingBody", "Loops"]


class LoopingBody(Boundary):
    """What loops ask of the DAG body that they are in."""

    __slots__ = ("active", "ended", "plan")
    active: int
    ended: bool
    plan: DagPlan

    def scope_for(self, name: str) -> BoundaryScope:
        """What a task may refer to."""
        raise NotImplementedError

    def start_run(self, begun: DagTask, run: Call) -> None:
        """Start one item."""
        raise NotImplementedError

    def one_less(self, begun: DagTask) -> None:
        """One thing less to wait for at a task."""
        raise NotImplementedError

    def is_done(self, name: str) -> bool:
        """Whether a task has ended."""
        raise NotImplementedError

    def assess(self) -> None:
        """Look whether the DAG has ended."""
        raise NotImplementedError


class Loops:
    """The part of a DAG body that is about looped tasks."""

    __slots__ = ("dag",)

    def __init__(self, dag: LoopingBody) -> None:
        self.dag = dag

    def walk_again(self, begun: DagTask) -> None:
        """The walk after an item's error: start the items held back, unless all before them have ended."""
        held, begun.held = begun.held, []
        begun.stopped = False
        begun.pending -= 1
        if begun.pending > len(held):
            for run in held:
                self.dag.state.defer(self.dag.start_run, begun, run)
            return
        begun.pending = 1
        self.dag.one_less(begun)

    def released(self, begun: DagTask) -> None:
        if self.dag.ended:
            return
        self.dag.active += 1
        begun.pending = 1
        if begun.task.get("hooks") or begun.task.get("onExit"):
            self.group_hooks(begun).finish()
        else:
            self.dag.one_less(begun)

    def item_hooks(self, run: Call) -> ChildHooks:
        begun = run.key[0]
        hooks = begun.task.get("hooks") or {}
        step: WorkflowStep = {
            "hooks": {"exit": hooks["exit"]} if "exit" in hooks else {},
            "onExit": begun.task.get("onExit", ""),
        }
        scope = self.dag.scope_for(begun.name)
        return ChildHooks(self.dag, run, step, scope, f"tasks.{begun.name}", self._item_done)

    def _item_done(self, run: Call) -> None:
        self.dag.active -= 1
        if not self.dag.active:
            self.dag.state.later(self.dag.assess)

    def group_hooks(self, begun: DagTask) -> ChildHooks:
        """Return the hooks of a loop as a whole: its TaskGroup has its own."""
        found = self.dag.hooks.get(begun.name)
        if found is None:
            assert begun.node is not None
            group = GroupRun(
                self.dag.state, f"{self.dag.name}.{begun.name}", begun.node, self.dag.run.on_exit
            )
            group.key = (begun, None)
            found = self.dag.hooks[begun.name] = ChildHooks(
                self.dag,
                group,
                begun.task,
                self.dag.scope_for(begun.name),
                f"tasks.{begun.name}",
                lambda _: self.dag.one_less(begun),
            )
        return found

    def late_hooks(self, begun: DagTask) -> None:
        waited_for = any(not self.dag.is_done(name) for name in self.dag.plan.wanted_by[begun.name])
        if self.dag.ended or not (waited_for or begun.name in self.dag.plan.targets):
            return
        self.dag.active += 1
        begun.done, begun.pending = False, 1
        begun.late = True
        self.group_hooks(begun).finish()
