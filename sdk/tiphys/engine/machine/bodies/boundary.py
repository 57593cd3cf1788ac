"""What Steps and DAG bodies share: resolving a step's arguments, loops, ``when``, hooks of finished children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.engine.machine.arguments import without_absent
from tiphys.engine.machine.bodies.body import Body
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.bodies.hooks import ChildHooks, GroupRun
from tiphys.engine.machine.bodies.loops import is_loop
from tiphys.engine.machine.bodies.pod import result_users
from tiphys.engine.machine.scope import BoundaryScope, Flat, ScopeError, resolve_artifact, skipped_values
from tiphys.engine.machine.state import State
from tiphys.expr.govaluate import WhenError, evaluate_when
from tiphys.expr.tags import compile_plan, keeps_tags, substitute

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Artifact, Node, WorkflowStep


__all__ = ["Boundary"]


class Boundary(Body):
    """A template whose children are other templates."""

    __slots__ = ("hooks", "scope")
    prefix = ""
    hooks_must_run = False
    scope: BoundaryScope

    def open(self, kind: str) -> None:
        """Create the node and register limits and result users."""
        self.begin(kind, "Running")
        state, run = self.run.state, self.run
        self.hooks: dict[str, ChildHooks] = {}
        state.gate.watch(self, self.template)
        assert run.compiled is not None
        users = run.compiled.users
        if users is None:
            users = run.compiled.users = result_users(run.compiled.template)
        if users:
            state.result_users[self.node["id"]] = users
        state.boundaries[self.node["id"]] = self

    @property
    def state(self) -> State:
        """The shared state."""
        return self.run.state

    def closed(self) -> None:
        """Kill daemons of this boundary, forget its registrations."""
        state, identity = self.state, self.node["id"]
        state.gate.forget(identity)
        state.boundaries.pop(identity, None)
        state.result_users.pop(identity, None)
        for pod in state.daemons.pop(identity, ()):
            pod.end_daemon()

    def is_stuck(self) -> bool:
        """Return whether all that began has ended, and yet the body has not."""
        return False

    def end_stuck(self) -> None:
        """End a stuck body by what its children ended in."""

    def daemon_failed(self, run: Call) -> None:
        """A daemon ended badly while what needs it may still run."""

    # -- as the owner of runs; see :class:`tiphys.engine.machine.bodies.call.Owner` ---

    def node_created(self, run: Call, node: Node) -> None:
        """The node of a child exists now."""
        raise NotImplementedError

    def run_changed(self, run: Call) -> None:
        """A child's node changed its phase but has not ended."""
        raise NotImplementedError

    def run_done(self, run: Call) -> None:
        """A child's node is fulfilled."""
        raise NotImplementedError

    def run_error(self, run: Call, message: str) -> None:
        """A child's template could not be executed."""
        raise NotImplementedError

    def run_timeout(self, run: Call) -> None:
        """A child timed out before it ran."""
        raise NotImplementedError

    def hook_error(self, run: Call | GroupRun, message: str, *, at_exit: bool) -> None:
        """A hook of a child could not be evaluated or executed; ``at_exit``: its exit handler."""
        raise NotImplementedError

    # -- arguments -------------------------------------------------------------------------------------------

    def plainly_false(self, step: WorkflowStep, scope: BoundaryScope) -> str | None:
        """Return the substituted ``when`` if it can be told to be false before anything else is resolved.

        Raises
        ------
        WhenError
            It is complete and not an expression.
        TagError
            It refers to what is not there.
        """
        when = step.get("when")
        if not when:
            return None
        text = substitute(when, scope, strict=(self.prefix + ".",))
        if "{{" in text and is_loop(step) and keeps_tags(when, scope):
            return None
        try:
            return None if evaluate_when(text) else text
        except WhenError:
            if is_loop(step):  # asked again for each item, if there is one
                return None
            raise

    def resolve(self, step: WorkflowStep, scope: BoundaryScope) -> WorkflowStep:
        """Return the step with every known tag replaced and its artifacts resolved.

        Raises
        ------
        ScopeError, TagError
            Something it refers to is not there.
        """
        body = step.copy()
        items = body.pop("withItems", None)
        body.pop("hooks", None)
        body.pop("onExit", None)
        if "arguments" in body:  # Argo's step begins with them: what is wrong there is told first
            body = {"arguments": body["arguments"], **body}
        body = self._without_absent(body, scope)
        plan = compile_plan(body)
        resolved = body
        if plan is not None:
            strict = (self.prefix + ".",)

            def replace(text: str) -> str:
                if ".outputs.artifacts." in text:
                    return substitute(text, scope)
                return substitute(text, scope, strict=strict, literal=self.state.strict_values)

            resolved = plan.render(body, replace)
        if items is not None:
            items_plan = compile_plan(items)
            resolved["withItems"] = (
                items
                if items_plan is None
                else items_plan.render(items, lambda text: substitute(text, scope))
            )
        if "hooks" in step:
            resolved["hooks"] = step["hooks"]
        if "onExit" in step:
            resolved["onExit"] = step["onExit"]
        arguments: Arguments = resolved.get("arguments") or {}
        if arguments.get("artifacts"):
            resolved["arguments"] = {**arguments, "artifacts": self._artifacts(arguments["artifacts"], scope)}
        return resolved

    def _without_absent(self, body: WorkflowStep, scope: BoundaryScope) -> WorkflowStep:
        arguments: Arguments = body.get("arguments") or {}
        marked = without_absent(arguments, scope, self.prefix)
        return body if marked is arguments else {**body, "arguments": marked}

    def _artifacts(self, artifacts: list[Artifact], scope: BoundaryScope) -> list[Artifact]:
        result: list[Artifact] = []
        for item in artifacts:
            if not item.get("from") and not item.get("fromExpression"):
                result.append(item)
                continue
            try:
                found = resolve_artifact(item, scope)
            except ScopeError as error:
                if item.get("optional"):
                    continue
                raise ScopeError(f"unable to resolve references: {error}") from None
            if found is None and self.prefix == "tasks" and not item.get("optional") and item.get("from"):
                raise ScopeError(f'Unable to resolve: "{item["from"].strip("{} ")}"')
            if found is not None:
                result.append({"name": item["name"], **found})
        return result

    # -- children --------------------------------------------------------------------------------------------

    def child_run(self, name: str, step: WorkflowStep, key: Any) -> Call:
        """Return the run of a resolved step."""
        step_name = (
            name[len(self.node["name"]) :].partition("].")[2]
            if self.prefix == "steps"
            else name[len(self.node["name"]) + 1 :]
        )
        return Call(
            self.state,
            name,
            step,
            step.get("arguments") or {},
            self.run.context,
            self,
            boundary=self.node,
            on_exit=self.run.on_exit,
            local={f"{self.prefix}.name": step_name},
            key=key,
        )

    def skip(self, name: str, step: WorkflowStep, phase: str, message: str) -> Node:
        """Create the node of a step that does not run."""
        return self.state.nodes.create(
            name,
            "Skipped",
            phase=phase,
            scope=self.run.context.label,
            holder=step,
            boundary=self.node["id"],
            message=message,
        )

    def skipped_outputs(self, prefix: str, step: WorkflowStep) -> Flat:
        """Return what a skipped step offers: its template's declared outputs, by default or absent."""
        try:
            _, compiled = self.run.context.resolve(step)
        except Exception:  # noqa: BLE001  # a template that cannot be found offers nothing
            return {}
        return skipped_values(prefix, compiled.template, self.state.argo)
