"""Steps templates: groups in order, the steps of a group together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.argo.spec import step_groups
from tiphys.engine.machine.bodies.boundary import Boundary
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.bodies.hooks import ChildHooks, GroupRun
from tiphys.engine.machine.bodies.loops import LoopError, expand, is_loop
from tiphys.engine.machine.nodes import failed_or_error
from tiphys.engine.machine.scope import (
    BoundaryScope,
    Flat,
    ScopeError,
    aggregate,
    node_values,
    template_outputs,
)
from tiphys.expr.govaluate import WhenError, evaluate_when
from tiphys.expr.tags import NotReadyError, TagError

if TYPE_CHECKING:
    from tiphys.argo.types import Node, WorkflowStep


__all__ = ["StepsBody", "continues_on"]


def continues_on(step: WorkflowStep, phase: str) -> bool:
    """Return whether ``continueOn`` covers the phase."""
    rule = step.get("continueOn") or {}
    return (phase == "Failed" and bool(rule.get("failed"))) or (phase == "Error" and bool(rule.get("error")))


class _Child:
    """A step of the current group: its node and what must still happen."""

    __slots__ = ("name", "node", "own", "run", "step")

    def __init__(self, name: str, step: WorkflowStep, own: str) -> None:
        self.name = name
        self.own = own  # the step's name, with the item's part in a loop
        self.step = step
        self.node: Node | None = None
        self.run: Call | None = None


class StepsBody(Boundary):
    """See the module."""

    __slots__ = (
        "children",
        "early",
        "ended",
        "group",
        "groups",
        "index",
        "launching",
        "loops",
        "pending",
        "to_look",
        "values",
    )
    prefix = "steps"
    hooks_must_run = True

    def start(self) -> None:
        self.open("Steps")
        self.groups = step_groups(self.template)
        self.index = -1
        self.ended = False
        self.launching = False
        self.early: list[Call] = []
        self.to_look: dict[Call, None] = {}
        self.values: dict[str, Flat] = {}
        self.scope = BoundaryScope(
            "steps",
            self.state.base,
            self.template,
            self.values.get,
            lambda: list(self.values),
            self.state.argo,
        )
        self.state.defer(self._next_group)

    # -- groups ----------------------------------------------------------------------------------------------

    def _next_group(self) -> None:
        if self.ended:
            return
        self.index += 1
        if self.index == len(self.groups):
            self._succeed()
            return
        nodes, name = self.state.nodes, f"{self.name}[{self.index}]"
        previous: Node | None = self.group if self.index else None
        kept = nodes.kept(name)
        if kept is not None:
            self._keep_group(kept)
            return
        self.group: Node = nodes.create(
            name,
            "StepGroup",
            phase="Running",
            scope=self.run.context.label,
            boundary=self.node["id"],
            display=f"[{self.index}]",
        )
        if previous is None:
            nodes.add_child(self.node, self.group["id"])
        elif not previous.get("children"):
            nodes.add_child(previous, self.group["id"])
        else:
            for child in previous["children"]:
                for leaf in nodes.outbound(child):
                    nodes.add_child(nodes.by_id[leaf], self.group["id"])
        self.children: list[_Child] = []
        self.loops: dict[str, list[_Child]] = {}
        self.pending = 0
        self._launch_group(self.groups[self.index])

    def _keep_group(self, group: Node) -> None:
        """The group ended in an earlier run: what its steps gave is there."""
        self.group = group
        if group["phase"] != "Succeeded":
            self._end("Failed", group.get("message", ""))
            return
        nodes = self.state.nodes
        self.children, self.loops = [], {}
        for step in self.groups[self.index]:
            name = f"{group['name']}.{step['name']}"
            single = nodes.by_name(name)
            found = [single] if single is not None else nodes.items_of(group, name)
            for node in found:
                child = _Child(node["name"], step, str(step["name"]))
                child.node = node
                self.children.append(child)
                if single is None:
                    self.loops.setdefault(str(step["name"]), []).append(child)
        self._close_group()

    def _launch_group(self, group: list[WorkflowStep]) -> None:
        prepared: list[tuple[_Child, str | None, WorkflowStep]] = []
        try:
            resolved = [self._resolved(step) for step in group]
            for step, one in zip(group, resolved, strict=True):
                prepared.extend(self._prepare(step, one))
        except NotReadyError as error:
            self.state.park(self._not_ready, f"failed to resolve references: {error}")
            return
        except (ScopeError, TagError, WhenError) as error:
            self._end_group("Error", f"failed to resolve references: {error}")
            return
        except LoopError as error:
            self._end_group("Error", str(error))
            return
        self.pending = 1 + len(prepared)
        self.launching = True
        nodes = self.state.nodes
        for child, skip_message, ready in prepared:
            self.children.append(child)
            kept = nodes.kept(child.name)
            if kept is not None and kept["type"] == "Skipped":
                child.node = kept
                nodes.add_child(self.group, kept["id"])
                self.pending -= 1
            elif skip_message is not None and kept is None:
                self._skip_child(child, ready, "Skipped", skip_message)
        for child, _, ready in prepared:
            if child.node is None:
                self.state.defer(self._start_child, child, ready)
        self.state.defer(self._launched)

    def _not_ready(self, message: str) -> None:
        """What Argo would wait for will never come."""
        if not self.ended:
            self._end_group("Error", message)

    def _skip_child(self, child: _Child, step: WorkflowStep, phase: str, message: str) -> None:
        child.node = self.skip(child.name, step, phase, message)
        self.state.nodes.add_child(self.group, child.node["id"])
        self.pending -= 1

    def _launched(self) -> None:
        """All steps have been started: hooks of those that have ended already come now."""
        self.launching = False
        looking, self.to_look = self.to_look, {}
        for run in looking:
            if not self.ended and run not in self.early:
                self._hooks(run).look()
        early, self.early = self.early, []
        for run in early:
            if not self.ended:
                self._hooks(run).finish()
        self._one_less()

    def _start_child(self, child: _Child, step: WorkflowStep) -> None:
        """Start a step, unless one before it ended the group."""
        if self.ended or self.group["phase"] != "Running":
            return
        try:
            kept = self.state.nodes.kept(child.name) is not None
            proceed = kept or evaluate_when(str(step.get("when") or ""))
        except WhenError as error:
            self._skip_child(child, step, "Error", str(error))
            self._end_group("Error", str(error))
            return
        if not proceed:
            self._skip_child(child, step, "Skipped", f"when '{step['when']}' evaluated false")
            return
        child.run = self.child_run(child.name, step, child)
        child.run.start()

    def _resolved(self, step: WorkflowStep) -> WorkflowStep:
        false = self.plainly_false(step, self.scope)
        return self.resolve(step, self.scope) if false is None else {**step, "when": false}

    def _prepare(
        self, step: WorkflowStep, resolved: WorkflowStep
    ) -> list[tuple[_Child, str | None, WorkflowStep]]:
        name = f"{self.group['name']}.{step['name']}"
        if not is_loop(resolved):  # as it is when its list came out as an empty text
            return [(_Child(name, step, str(step["name"])), None, resolved)]
        expanded = expand(resolved, self.scope, strict_values=self.state.strict_values)
        if not expanded:
            return [(_Child(name, step, str(step["name"])), "Skipped, empty params", step)]
        made: list[tuple[_Child, str | None, WorkflowStep]] = [
            (_Child(f"{self.group['name']}.{item['name']}", step, str(item["name"])), None, item)
            for item in expanded
        ]
        self.loops[str(step["name"])] = [child for child, _, _ in made]
        return made

    # -- children --------------------------------------------------------------------------------------------

    def node_created(self, run: Call, node: Node) -> None:
        """Attach a step to its group."""
        run.key.node = node
        self.state.nodes.add_child(self.group, node["id"])
        self.run_changed(run)

    def run_changed(self, run: Call) -> None:
        """Let lifecycle hooks look, once all steps of the group have been started."""
        if not run.key.step.get("hooks") or run.node is None:
            return
        if self.launching:
            self.to_look[run] = None
        else:
            self._hooks(run).look()

    def _hooks(self, run: Call) -> ChildHooks:
        found = self.hooks.get(run.name)
        if found is None:
            found = self.hooks[run.name] = ChildHooks(
                self, run, run.key.step, self.scope, f"steps.{run.key.own}", self._child_done
            )
        return found

    def run_done(self, run: Call) -> None:
        """A step ended; its hooks come first."""
        if self.ended:
            return
        step = run.key.step
        if step.get("hooks") or step.get("onExit"):
            if self.launching:
                self.early.append(run)
            else:
                self._hooks(run).finish()
        else:
            self._child_done(run)

    def _child_done(self, run: Call) -> None:
        self._one_less()

    def run_error(self, run: Call, message: str) -> None:
        """A step's template could not be executed: the whole group is in Error."""
        if run.node is not None:
            self.state.nodes.add_child(self.group, run.node["id"])
        if not self.ended and self.group["phase"] == "Running":
            self._end_group("Error", f"step group deemed errored due to child {run.name} error: {message}")

    def run_timeout(self, run: Call) -> None:
        """A step timed out before it ran: the group ends at once."""
        if not self.ended and self.group["phase"] == "Running":
            self._end_group("Failed", "timeout")

    def hook_error(self, run: Call | GroupRun, message: str, *, at_exit: bool) -> None:
        """A hook could not be executed; where it is an exit handler the controller gives up on the workflow."""
        if self.ended or self.group["phase"] != "Running":
            return
        if at_exit:
            self.ended = True
            self.state.nodes.mark(self.group, "Error", message)
            self.state.give_up(message)
        else:
            self._end_group("Error", message)

    def _one_less(self) -> None:
        self.pending -= 1
        if self.pending == 0 and not self.ended and self.group["phase"] == "Running":
            self.state.defer(self._judge_group)

    def _judge_group(self) -> None:
        if self.ended or self.group["phase"] != "Running":
            return
        if self.state.gate.failed_fast(self.node["id"]):
            return
        for child in self.children:
            node = child.node
            if node is not None and failed_or_error(node) and not continues_on(child.step, node["phase"]):
                self._end_group("Failed", f"child '{node['id']}' failed")
                return
        self.state.nodes.mark(self.group, "Succeeded")
        self._close_group()

    def _close_group(self) -> None:
        """What the group gave is there for those after it."""
        try:
            self._offer()
        except ScopeError as error:
            self._error(str(error))
            return
        self._next_group()

    def _end_group(self, phase: str, message: str) -> None:
        self.state.nodes.mark(self.group, phase, message)
        self._end("Failed", message)

    def _offer(self) -> None:
        done: set[str] = set()
        for child in self.children:
            name = str(child.step["name"])
            if name in done or child.node is None:
                continue
            done.add(name)
            prefix = f"steps.{name}"
            if name in self.loops:
                if child.step.get("inline") is not None:
                    raise ScopeError("failed to get a template")  # Argo looks for it by the group's name
                found = [item.node for item in self.loops[name] if item.node is not None]
                ran = any(node["type"] != "Skipped" or node.get("outputs") for node in found)
                # a loop has no node of its own here: Argo takes the group's
                own = node_values(prefix, self.group)
                self.values[name] = {**own, **aggregate(prefix, found)} if ran else own
                continue
            values = node_values(prefix, child.node)
            if (
                child.node["type"] == "Skipped"
                and not child.node.get("outputs")
                and child.node["phase"] in ("Skipped", "Omitted")
            ):
                values.update(self.skipped_outputs(prefix, child.step))
            self.values[name] = values

    def daemon_failed(self, run: Call) -> None:
        """The group that had succeeded has failed after all, and the Steps at once; what runs is left as it is."""
        group = self.state.nodes.by_name(run.name[: run.name.index("]", len(self.name)) + 1])
        if self.ended or group is None or run.node is None:
            return
        message = f"child '{run.node['id']}' failed"
        self.state.nodes.mark(group, "Failed", message)
        self._end("Failed", message)

    # -- the end ---------------------------------------------------------------------------------------------

    def _outbound(self) -> None:
        """Note the last nodes of the last group there is."""
        nodes = self.state.nodes
        last = nodes.by_name(f"{self.name}[{min(self.index, len(self.groups) - 1)}]")
        children = last.get("children", []) if last is not None else []
        self.node["outboundNodes"] = [leaf for child in children for leaf in nodes.outbound(child)]

    def _succeed(self) -> None:
        self._outbound()
        try:
            outputs = template_outputs(self.template, self.scope)
        except (ScopeError, TagError) as error:
            self._error(str(error))
            return
        if outputs:
            self.node["outputs"] = outputs
        self._end("Succeeded", "")

    def _error(self, message: str) -> None:
        self.ended = True
        self.run.fail_body(self, message)

    def _end(self, phase: str, message: str) -> None:
        if self.ended:
            return
        self.ended = True
        if phase != "Succeeded":
            self._outbound()
        self.run.complete(self, phase, message)

    def stop(self, phase: str, message: str) -> None:
        """End the node now (``failFast``); nothing of it runs any more."""
        if not self.ended:
            self.state.nodes.mark(self.group, phase, message)
            self._end(phase, message)
