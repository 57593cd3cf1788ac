"""DAG templates: a task starts when all tasks it names have ended and its ``depends`` holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.bodies.dag_loops import LoopingBody, Loops
from tiphys.engine.machine.bodies.dag_phase import dag_phase
from tiphys.engine.machine.bodies.dag_plan import DagPlan
from tiphys.engine.machine.bodies.dag_task import DagTask, task_results
from tiphys.engine.machine.bodies.hooks import ChildHooks, GroupRun
from tiphys.engine.machine.bodies.loops import LoopError, expand, is_loop
from tiphys.engine.machine.nodes import failed_or_error, fulfilled
from tiphys.engine.machine.scope import (
    BoundaryScope,
    Flat,
    ScopeError,
    aggregate,
    node_values,
    template_outputs,
)
from tiphys.expr.evaluate import ExprError
from tiphys.expr.govaluate import WhenError, evaluate_when
from tiphys.expr.tags import NotReadyError, TagError

if TYPE_CHECKING:
    from tiphys.argo.types import DAGTemplate, Node, WorkflowStep


__all__ = ["DagBody"]


class DagBody(LoopingBody):
    """See the module."""

    __slots__ = ("begun", "loops", "pending", "values")
    prefix = "tasks"

    def start(self) -> None:
        self.open("DAG")
        self.ended = False
        self.active = 0
        self.loops = Loops(self)
        self.begun: dict[str, DagTask] = {}
        self.values: dict[str, Flat | None] = {}
        compiled = self.run.compiled
        assert compiled is not None
        dag: DAGTemplate = self.template.get("dag") or {}
        try:
            if dag is compiled.template.get("dag"):
                if compiled.dag is None:
                    compiled.dag = DagPlan(dag)
                self.plan = compiled.dag
            else:
                self.plan = DagPlan(dag)
        except ExprError as error:
            self.state.defer(self._fail, str(error))
            return
        plan = self.plan
        self.scope = BoundaryScope(
            "tasks", self.state.base, self.template, self._given_by, lambda: list(self.begun), self.state.argo
        )
        self.pending = {name: len(plan.needs[name]) for name in plan.order}
        for name in plan.order:
            if not self.pending[name]:
                self.state.defer(self._launch, name)
        self.state.later(self.assess)

    def _fail(self, message: str) -> None:
        self.ended = True
        self.run.fail_body(self, message)

    # -- what tasks offer ------------------------------------------------------------------------------------

    def _values_of(self, name: str) -> Flat | None:
        found = self.values.get(name)
        if found is not None:
            return found
        begun = self.begun.get(name)
        if begun is None or begun.node is None:
            return None
        prefix = f"tasks.{name}"
        node = begun.node
        if begun.children is not None:
            values = {**node_values(prefix, node), **aggregate(prefix, begun.children)}
        else:
            values = node_values(prefix, node)
            if node["phase"] in ("Skipped", "Omitted") and not node.get("outputs"):
                values.update(self.skipped_outputs(prefix, begun.task))
        if begun.done:
            self.values[name] = values
        return values

    def _given_by(self, name: str) -> Flat | None:
        """What the outputs of the DAG see of a task: in 4.0 not what stands in for it where it was skipped."""
        begun = self.begun.get(name)
        node = None if begun is None else begun.node
        if self.state.argo == "4.0" and node is not None and node["phase"] in ("Skipped", "Omitted"):
            return node_values(f"tasks.{name}", node)
        return self._values_of(name)

    def scope_for(self, name: str) -> BoundaryScope:
        plan = self.plan

        def provider(other: str) -> Flat | None:
            return self._values_of(other) if other == name or plan.is_above(other, name) else None

        return BoundaryScope(
            "tasks", self.state.base, self.template, provider, lambda: plan.above(name), self.state.argo
        )

    # -- tasks -----------------------------------------------------------------------------------------------

    def _launch(self, name: str) -> None:
        if self.ended or name in self.begun or self.state.shutdown == "Terminate":
            return
        task = self.plan.tasks[name]
        begun = self.begun[name] = DagTask(name, task, self.state.walk)
        self.active += 1
        begun.pending = 1
        node_name = f"{self.name}.{name}"
        kept = self.state.nodes.kept(node_name)
        if kept is not None:
            self._keep(begun, kept)
            return
        logic = self.plan.depends[name]
        if logic is not None:
            try:
                holds = logic.holds({need: task_results(self.begun.get(need)) for need in logic.tasks})
            except ExprError as error:
                self._skipped(begun, node_name, "Error", str(error))
                return
            if not holds:
                self._skipped(begun, node_name, "Omitted", "omitted: depends condition not met")
                return
        scope = self.scope_for(name)
        try:
            self._look_at_loops(name)
        except ScopeError as error:
            self._skipped(begun, node_name, "Error", str(error), look=False)
            if name in self.plan.targets:
                self._fail(str(error))
            return
        try:
            false = self.plainly_false(task, scope)
            if false is not None and not is_loop(task):
                self._skipped(begun, node_name, "Skipped", f"when '{false}' evaluated false")
                return
            resolved = self.resolve(task, scope) if false is None else _with_when(task, false)
            expanded = None
            if is_loop(task):  # a list that came out as an empty text: Argo then has a group of nothing
                expanded = (
                    expand(resolved, scope, strict_values=self.state.strict_values)
                    if is_loop(resolved)
                    else []
                )
        except NotReadyError as error:
            # Argo comes back to it for ever; the DAG is judged without it
            self.active -= 1
            self.state.later(self.assess)
            self.state.park(self._not_ready, begun, node_name, str(error))
            return
        except (ScopeError, TagError, LoopError, WhenError) as error:
            self._skipped(begun, node_name, "Error", str(error))
            return
        if expanded is None:
            self._begin(begun, node_name, resolved, None)
            self.one_less(begun)
            return
        if not expanded and is_loop(resolved):
            self._skipped(begun, node_name, "Skipped", "Skipped, empty params")
            return
        group = self.state.nodes.create(
            node_name,
            "TaskGroup",
            phase="Running",
            scope=self.run.context.label,
            holder=task,
            boundary=self.node["id"],
        )
        self._connect(begun, group)
        begun.node = group
        begun.children = []
        begun.order = {f"{self.name}.{item['name']}": index for index, item in enumerate(expanded)}
        for item in expanded:
            self._begin(begun, f"{self.name}.{item['name']}", item, group)
        self.one_less(begun)

    def _keep(self, begun: DagTask, node: Node) -> None:
        """The task ended in an earlier run."""
        if node["type"] == "TaskGroup":
            begun.node = node
            begun.children = self.state.nodes.items_of(node, node["name"])
            begun.order = {child["name"]: index for index, child in enumerate(begun.children)}
            self._connect(begun, node)
            if begun.task.get("hooks") or begun.task.get("onExit"):
                self.loops.group_hooks(begun).finish()
            else:
                self.one_less(begun)
            return
        self._begin(begun, node["name"], begun.task, None)
        self.one_less(begun)

    def _not_ready(self, begun: DagTask, name: str, message: str) -> None:
        """What Argo would wait for will never come."""
        if not self.ended:
            self.active += 1
            self._skipped(begun, name, "Error", message)

    def _begin(self, begun: DagTask, name: str, task: WorkflowStep, group: Node | None) -> None:
        kept = self.state.nodes.kept(name)
        if kept is not None and kept["type"] == "Skipped":
            self._add(begun, kept, group)
            return
        try:
            proceed = kept is not None or evaluate_when(str(task.get("when") or ""))
        except WhenError as error:
            self._add(begun, self.skip(name, task, "Error", str(error)), group)
            return
        if not proceed:
            self._add(
                begun, self.skip(name, task, "Skipped", f"when '{task['when']}' evaluated false"), group
            )
            return
        run = self.child_run(name, task, (begun, group))
        begun.pending += 1
        self.state.defer(self.start_run, begun, run)

    def start_run(self, begun: DagTask, run: Call) -> None:
        if self.ended:
            return
        if not begun.stopped:
            run.start()
            return
        begun.held.append(run)

    def _add(self, begun: DagTask, node: Node, group: Node | None) -> None:
        if group is None:
            begun.node = node
            self._connect(begun, node)
        else:
            assert begun.children is not None
            begun.children.append(node)
            self.state.nodes.add_child(group, node["id"])

    def _skipped(self, begun: DagTask, name: str, phase: str, message: str, *, look: bool = True) -> None:
        begun.node = self.skip(name, begun.task, phase, message)
        self._connect(begun, begun.node)
        if phase == "Error" and ("exit" in (begun.task.get("hooks") or {}) or begun.task.get("onExit")):
            self.state.next_walk.insert(0, lambda: self.loops.late_hooks(begun))
        if look and phase == "Error" and begun.task.get("hooks") and begun.name in self.plan.targets:
            self.loops.group_hooks(begun).look()
        self.one_less(begun)

    def _connect(self, begun: DagTask, node: Node) -> None:
        nodes = self.state.nodes
        needs = self.plan.needs[begun.name]
        if not needs:
            nodes.add_child(self.node, node["id"])
            return
        for need in needs:
            other = self.begun[need].node if need in self.begun else None
            if other is not None:
                for leaf in nodes.outbound(other["id"]):
                    nodes.add_child(nodes.by_id[leaf], node["id"])

    # -- runs ------------------------------------------------------------------------------------------------

    def node_created(self, run: Call, node: Node) -> None:
        """Attach a task to what it depends on."""
        begun, group = run.key
        begun.made = self.state.walk
        self._add(begun, node, group)
        self.run_changed(run)

    def run_changed(self, run: Call) -> None:
        """Let lifecycle hooks look."""
        begun, group = run.key
        if not begun.task.get("hooks") or run.node is None:
            return
        if group is not None:
            self.loops.group_hooks(begun).look()
        elif begun.made == self.state.walk:
            # the walk that creates a node does not look at its hooks, the next one does
            self.state.walk_again(lambda: self._look(run))
        else:
            self._hooks(run).look()

    def _look(self, run: Call) -> None:
        if not self.ended and run.node is not None and not fulfilled(run.node):
            self._hooks(run).look()

    def _hooks(self, run: Call) -> ChildHooks:
        found = self.hooks.get(run.name)
        if found is None:
            begun = run.key[0]
            found = self.hooks[run.name] = ChildHooks(
                self, run, begun.task, self.scope_for(begun.name), f"tasks.{begun.name}", self.run_settled
            )
        return found

    def run_done(self, run: Call) -> None:
        """A task's node ended; its hooks come first."""
        begun, group = run.key
        task = begun.task
        if self.ended:
            return
        if not (task.get("hooks") or task.get("onExit")):
            self.run_settled(run)
        elif group is None:
            if begun.made == self.state.walk and begun.name not in self.plan.targets:
                self._hooks(run).miss()
            self._hooks(run).finish()
        else:
            # dependants do not wait for an item's exit handler, the DAG does
            self.active += 1
            self.loops.item_hooks(run).finish()
            self.run_settled(run)

    def is_done(self, name: str) -> bool:
        begun = self.begun.get(name)
        return begun is not None and begun.done

    def run_settled(self, run: Call) -> None:
        self.one_less(run.key[0])

    def run_error(self, run: Call, message: str) -> None:
        """The task's template could not be executed."""
        assert run.node is not None
        self.state.nodes.mark(run.node, "Error", f"task '{run.name}' errored: {message}")
        begun, group = run.key
        if group is not None and not begun.stopped:
            begun.stopped = True
            begun.pending += 1
            self.state.walk_again(lambda: self.loops.walk_again(begun))
        elif group is None and begun.task.get("hooks") and begun.name in self.plan.targets:
            hooks = self._hooks(run)
            hooks.exit = None  # only of the others does Argo ask once more
            hooks.finish()
            return
        self.one_less(run.key[0])

    def run_timeout(self, run: Call) -> None:
        """The task timed out before it ran."""
        self.one_less(run.key[0])

    def hook_error(self, run: Call | GroupRun, message: str, *, at_exit: bool) -> None:
        """A hook could not be executed: the task is in Error."""
        assert run.node is not None
        if not failed_or_error(run.node):
            self.state.nodes.mark(run.node, "Error", message)
        self.one_less(run.key[0])

    def one_less(self, begun: DagTask) -> None:
        begun.pending -= 1
        if begun.pending or begun.done:
            return
        if begun.children is not None and begun.node is not None and begun.node["phase"] == "Running":
            phase = "Succeeded"
            for child in self._in_order(begun):
                if failed_or_error(child):
                    phase = child["phase"]
            self.state.nodes.mark(begun.node, phase)
            if begun.walk != self.state.walk:
                # what waits for the loop, and the loop's own exit handler, come with the next walk
                self.active -= 1
                self.state.later(self.assess)
                self.state.walk_again(lambda: self.loops.released(begun))
                return
            if begun.task.get("hooks") or begun.task.get("onExit"):
                # all in one walk: nobody waits for the group's own exit handler, and only a later walk starts it
                if begun.task.get("hooks") and begun.name in self.plan.targets:
                    self.loops.group_hooks(begun).look()
                self.state.next_walk.insert(0, lambda: self.loops.late_hooks(begun))
        begun.done = True
        self.active -= 1
        for name in () if begun.late else self.plan.wanted_by[begun.name]:
            if name in self.pending:
                self.pending[name] -= 1
                if not self.pending[name]:
                    self.state.defer(self._launch, name)
        if not self.active:
            self.state.later(self.assess)

    def _in_order(self, begun: DagTask) -> list[Node]:
        """Return the loop's children in the order of its items."""
        assert begun.children is not None
        begun.children.sort(key=lambda node: begun.order.get(node["name"], 0))
        return begun.children

    # -- the end ---------------------------------------------------------------------------------------------

    def assess(self) -> None:
        if self.ended or self.active or self.state.gate.failed_fast(self.node["id"]):
            return
        try:
            self._join_results()
        except ScopeError as error:
            self._fail(str(error))
            return
        phase = dag_phase(self.plan, self.template.get("dag") or {}, self.name, self.node, self.state.nodes)
        if phase == "Running" and self.state.shutdown == "Terminate":
            phase = "Failed"  # what has not begun never will
        if phase == "Running":
            # what a failed step left running must end first, or a task has no node yet: ask again
            self.state.next_walk.append(self.assess)
            return
        if phase == "Succeeded":
            self._succeed()
        else:
            self._end(phase, None)

    def _join_results(self) -> None:
        """Look at what each target can see, as Argo does for its exit handler: results that are no JSON end the DAG."""
        if not self.plan.loops:
            return
        for target in self.plan.targets:
            begun = self.begun.get(target)
            if begun is None or not begun.done:
                return
        for target in self.plan.targets:
            self._look_at_loops(target)

    def _look_at_loops(self, name: str) -> None:
        """Join what the loops before a task made, whether it asks for it or not. Raises ScopeError."""
        for loop in self.plan.loops:
            if self.plan.is_above(loop, name):
                begun = self.begun.get(loop)
                if begun is not None and begun.children is not None and begun.task.get("inline") is not None:
                    raise ScopeError("failed to get a template")  # Argo looks for it by the group's name
                self._values_of(loop)

    def is_stuck(self) -> bool:
        return not self.ended and not self.active

    def end_stuck(self) -> None:
        """Judge by the tasks alone: the graph of nodes does not lead to every target.

        Argo waits for ever when the last group of a Steps that a task names has no nodes.
        """
        phases = [begun.node["phase"] for begun in self.begun.values() if begun.node is not None]
        worst = "Error" if "Error" in phases else "Failed" if "Failed" in phases else ""
        if worst:
            self._end(worst, None)
        else:
            self._succeed()

    def _succeed(self) -> None:
        for name in self.plan.tasks:
            begun = self.begun.get(name)
            if begun is not None and begun.node is not None:
                self.state.globals.export(begun.node)
        try:
            outputs = template_outputs(self.template, self.scope)
        except (ScopeError, TagError) as error:
            self._fail(str(error))
            return
        if outputs:
            self.node["outputs"] = outputs
        self._end("Succeeded", None)

    def _outbound(self) -> None:
        outbound: list[str] = []
        for name in self.plan.targets:
            begun = self.begun.get(name)
            if begun is not None and begun.node is not None:
                outbound.extend(self.state.nodes.outbound(begun.node["id"]))
        self.node["outboundNodes"] = outbound

    def _end(self, phase: str, message: str | None) -> None:
        if self.ended:
            return
        self.ended = True
        self._outbound()
        self.run.complete(self, phase, message or "")

    def stop(self, phase: str, message: str) -> None:
        """End the node now (``failFast``); nothing of it runs any more."""
        self._end(phase, message)


def _with_when(task: WorkflowStep, when: str) -> WorkflowStep:
    return {**task, "when": when}
