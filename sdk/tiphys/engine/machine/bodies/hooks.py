"""Lifecycle hooks and exit handlers of steps and tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tiphys.argo.nodes import COMPLETED
from tiphys.engine.machine.arguments import without_absent
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.library import named_by
from tiphys.engine.machine.scope import (
    ArtifactScope,
    BoundaryScope,
    Flat,
    ScopeError,
    node_values,
    resolve_artifact,
)
from tiphys.engine.machine.state import State
from tiphys.expr.evaluate import ExprError, compile_expression, evaluate_bool
from tiphys.expr.tags import MISSING, TagError, Variables, compile_plan, environment, substitute

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Artifact, Hook, Node, WorkflowStep


__all__ = ["ChildHooks", "GroupRun", "evaluate_hook", "resolve_hook_arguments"]


def evaluate_hook(expression: str, scope: Variables) -> bool:
    """Evaluate a hook's ``expression``.

    Raises
    ------
    ExprError
        It fails or is not a boolean.
    """
    program = compile_expression(expression)
    return evaluate_bool(program, environment(program, scope))


def resolve_hook_arguments(arguments: Arguments, scope: ArtifactScope) -> Arguments:
    """Return the arguments with tags replaced and artifacts resolved.

    Raises
    ------
    TagError, ScopeError
        Something is not there.
    """
    plan = compile_plan(arguments)
    resolved = arguments.copy()
    if plan is not None:
        resolved = plan.render(arguments, lambda text: substitute(text, scope))
    if resolved.get("artifacts"):
        found: list[Artifact] = []
        for item in resolved["artifacts"]:
            if not item.get("from") and not item.get("fromExpression"):
                found.append(item)
                continue
            artifact = resolve_artifact(item, scope)
            if artifact is not None:
                found.append({"name": item["name"], **artifact})
        resolved["artifacts"] = found
    return resolved


class _SelfScope:
    """A boundary's scope in which the hooked node itself is visible."""

    __slots__ = ("_inner", "_name", "_prefix", "_values")

    def __init__(self, inner: BoundaryScope, prefix: str, values: Flat) -> None:
        self._inner = inner
        self._prefix = prefix
        self._name = prefix.partition(".")[2]
        self._values = values

    def find(self, name: str) -> object:
        value = self.raw(name)
        return MISSING if isinstance(value, dict) else value

    def raw(self, name: str) -> object:
        if name in self._values:
            return self._values[name]
        if name.startswith(self._prefix + "."):
            return MISSING
        return self._inner.raw(name)

    def tree(self, root: str, members: set[str] | None) -> object:
        found = self._inner.tree(root, members)
        if root != self._inner.kind:
            return found
        from tiphys.engine.machine.scope import _expand

        return {**(found if isinstance(found, dict) else {}), self._name: _expand(self._values)}


class GroupRun:
    """What hooks need of a run, for the TaskGroup of a loop."""

    __slots__ = ("key", "name", "node", "on_exit", "state")

    def __init__(self, state: State, name: str, node: Node, on_exit: bool) -> None:
        self.state = state
        self.name = name
        self.node: Node | None = node
        self.on_exit = on_exit
        self.key: Any = None


class HookOwner(Protocol):
    """The Steps or DAG whose children have hooks."""

    @property
    def run(self) -> Call:
        """The call that it is the body of."""

    @property
    def node(self) -> Node:
        """Its node."""

    @property
    def hooks_must_run(self) -> bool:
        """Whether a hook that cannot be executed is an error of its child."""

    def hook_error(self, run: Call | GroupRun, message: str, *, at_exit: bool) -> None:
        """A hook could not be executed."""


class ChildHooks:
    """The hooks of one step or task; ``then`` is called when the node and all triggered hooks are done."""

    def __init__(
        self,
        owner: HookOwner,
        run: Call | GroupRun,
        step: WorkflowStep,
        scope: BoundaryScope,
        prefix: str,
        then: Callable[[Any], None],
    ) -> None:
        self.owner = owner
        self.run = run
        self.scope = scope
        self.prefix = prefix
        self.then = then
        hooks: dict[str, Hook] = dict(step.get("hooks") or {})
        self.exit: Hook | None = hooks.pop("exit", None)
        if self.exit is None and step.get("onExit"):
            self.exit = {"template": step["onExit"]}
        self.hooks = hooks
        self.pending = 0
        self.finished = False
        self.settled = False
        self.too_late = False

    def _self_scope(self) -> _SelfScope:
        """The scope of an expression: of the hooked node itself only its phase is known."""
        assert self.run.node is not None
        return _SelfScope(self.scope, self.prefix, {f"{self.prefix}.status": self.run.node["phase"]})

    def _argument_scope(self) -> _SelfScope:
        """The scope of arguments: also the parameters and artifacts that the hooked node gave.

        A parameter that it declares and did not give is empty here, and only here.
        """
        assert self.run.node is not None
        declared = (self.run.node.get("outputs") or {}).get("parameters") or ()
        known: Flat = {f"{self.prefix}.outputs.parameters.{item['name']}": "" for item in declared}
        known |= node_values(self.prefix, self.run.node)
        offered = (
            f"{self.prefix}.status",
            f"{self.prefix}.outputs.parameters.",
            f"{self.prefix}.outputs.artifacts.",
        )
        return _SelfScope(
            self.scope,
            self.prefix,
            {name: value for name, value in known.items() if name.startswith(offered)},
        )

    def miss(self) -> None:
        """The node ended in the walk that created it: a DAG looks at hooks of a target only, and at exit handlers."""
        self.hooks.clear()
        self.too_late = True

    def look(self) -> None:
        """Trigger the hooks whose expression holds now."""
        for name, hook in list(self.hooks.items()):
            node_name = f"{self.run.name}.hooks.{name}"
            if not hook.get("expression"):
                del self.hooks[name]
                self._error(f"Expression required for hook {node_name}")
                continue
            try:
                if not evaluate_hook(hook["expression"], self._self_scope()):
                    continue
            except ExprError as error:
                del self.hooks[name]
                self._error(str(error))
                continue
            del self.hooks[name]
            self._trigger(node_name, hook, on_exit=False)

    def _trigger(self, name: str, hook: Hook, *, on_exit: bool) -> None:
        arguments = hook.get("arguments") or {}
        assert self.run.node is not None
        if arguments and (on_exit or self.run.node.get("outputs")):
            # while the node has no outputs, the arguments of a hook stay as they are written
            try:
                scope = self._argument_scope()
                family = self.prefix.partition(".")[0]
                arguments = resolve_hook_arguments(without_absent(arguments, scope, family), scope)
            except ScopeError as error:
                self._error(f"unable to resolve references: {error}", at_exit=on_exit)
                return
            except TagError as error:
                self._error(str(error))
                return
        run = Call(
            self.run.state,
            name,
            named_by(hook),
            arguments,
            self.owner.run.context,
            self,
            boundary=self.owner.node,
            flag={"hooked": True},
            on_exit=on_exit or self.run.on_exit,
            key=hook,
        )
        self.pending += 1
        self.run.state.defer(run.start)

    def _error(self, message: str, *, at_exit: bool = False) -> None:
        if not self.settled:
            self.settled = True
            self.owner.hook_error(self.run, message, at_exit=at_exit)

    # -- as the owner of hook runs ---------------------------------------------------------------------------

    def node_created(self, run: Call, node: Node) -> None:
        """Attach the hook to the hooked node."""
        assert self.run.node is not None
        if node["type"] != "Skipped" or run.name == f"{self.run.name}.onExit":
            self.run.state.nodes.add_child(self.run.node, node["id"])

    def run_changed(self, run: Call) -> None:
        """Hooks have no hooks."""

    def run_done(self, run: Call) -> None:
        """One hook less to wait for."""
        self.pending -= 1
        self._settle()

    def run_error(self, run: Call, message: str) -> None:
        """The hook's template could not be executed: a DAG goes on, a step group does not."""
        self.pending -= 1
        if self.owner.hooks_must_run:
            at_exit = run.name == f"{self.run.name}.onExit"
            self._error(message, at_exit=at_exit)
        self._settle()

    def run_timeout(self, run: Call) -> None:
        """The hook timed out before it ran."""
        self.run_done(run)

    # -- the end ---------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The hooked node ended: last look, then the exit handler."""
        if self.finished:
            return
        self.look()
        self.finished = True
        node = self.run.node
        assert node is not None
        state = self.run.state
        completed = node["phase"] in COMPLETED
        if self.exit is not None and completed and state.shutdown != "Terminate":
            execute = True
            if self.exit.get("expression"):
                try:
                    execute = evaluate_hook(self.exit["expression"], self._self_scope())
                except ExprError as error:
                    if not self.too_late:
                        self._error(str(error), at_exit=True)
                        return
                    execute = False
            if execute:
                self._trigger(f"{self.run.name}.onExit", self.exit, on_exit=True)
        self._settle()

    def _settle(self) -> None:
        if self.finished and not self.pending and not self.settled:
            self.settled = True
            self.then(self.run)
