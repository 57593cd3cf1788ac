"""One execution of a template under a node's name: arguments, parallelism, locks, memo, retry, then the body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tiphys.argo.display import DISPLAY_NAME, PATTERN, legal_display_name
from tiphys.argo.locks import LockError, lock_names
from tiphys.argo.names import pod_name
from tiphys.engine.machine.arguments import ArgumentError, process_arguments
from tiphys.engine.machine.bodies import memo
from tiphys.engine.machine.library import NODE_TYPES, Compiled, Context, TemplateError
from tiphys.engine.machine.parts import ABody, Retries
from tiphys.engine.machine.protocol import AcquireLocks, ReleaseLocks
from tiphys.engine.machine.state import DEADLINE_PASSED, State
from tiphys.expr.durations import parse_loose
from tiphys.expr.tags import Layers, TagError

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, CacheEntry, Node, NodeFlag, RetryStrategy, Template, WorkflowStep


__all__ = ["Call", "Owner"]

_DEEPEST = 100
_TOO_DEEP = "Maximum recursion depth exceeded"
_POD_KINDS = frozenset(["container", "containerSet", "script", "resource", "data"])


class Owner(Protocol):
    """What started a run: a step group, a task, a hook, the workflow."""

    def node_created(self, run: Call, node: Node) -> None:
        """The run's node exists now."""

    def run_changed(self, run: Call) -> None:
        """The run's node changed its phase but has not ended."""

    def run_done(self, run: Call) -> None:
        """The run's node is fulfilled."""

    def run_error(self, run: Call, message: str) -> None:
        """The template could not be executed at all; the node, if any, is in Error."""

    def run_timeout(self, run: Call) -> None:
        """The template's ``timeout`` passed before its pod ran; the node is Failed."""


class Call:
    """See the module; ``key`` is the owner's own handle for it."""

    __slots__ = (
        "arguments", "attempt_inputs", "body", "boundary", "compiled", "context", "depth", "done", "flag", "holder",
        "holds_locks", "id", "key", "local", "memo", "name", "node", "on_exit", "owner", "retrying", "scope_label",
        "state", "template", "waiting_for_store",
    )  # fmt: skip

    def __init__(
        self,
        state: State,
        name: str,
        holder: WorkflowStep,
        arguments: Arguments,
        context: Context,
        owner: Owner,
        *,
        boundary: Node | None = None,
        flag: NodeFlag | None = None,
        on_exit: bool = False,
        local: Mapping[str, str] | None = None,
        key: Any = None,
    ) -> None:
        self.state = state
        self.name = name
        self.id = state.nodes.take_id(name)
        self.holder = holder
        self.arguments = arguments
        self.context = context
        self.scope_label = context.label
        self.owner = owner
        self.boundary = boundary
        self.flag = flag
        self.on_exit = on_exit
        self.local: dict[str, str] = dict(local or {})
        self.key = key
        self.node: Node | None = None
        self.body: ABody | None = None
        self.retrying: Retries | None = None
        self.memo: memo.Memo | None = None
        self.holds_locks = False
        self.waiting_for_store: tuple[ABody, str, str] | None = None
        self.done = False
        self.attempt_inputs: Arguments | None = None
        outer = state.boundaries.get(boundary["id"]) if boundary is not None else None
        self.depth: int = outer.run.depth + 1 if outer is not None else 1
        self.template: Template = {}
        self.compiled: Compiled | None = None

    # -- the way to the body ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Resolve the template and its inputs, then go on as far as possible."""
        state = self.state
        kept = state.nodes.kept(self.name)
        if kept is not None:
            self._keep(kept)
            return
        if self.depth > _DEEPEST:
            state.park(self.fail, _TOO_DEEP)  # Argo does not go deeper, and waits
            return
        try:
            self.context, self.compiled = self.context.resolve(self.holder)
            self.local["node.name"] = self.name
            if self.compiled.kind in _POD_KINDS and self._retry_strategy(self.compiled.template) is None:
                self.local["pod.name"] = pod_name(
                    state.name, self.id, str(self.compiled.template.get("name") or "")
                )
            self.template = self._processed(self.compiled)
        except (TemplateError, ArgumentError, TagError) as error:
            self.fail(str(error))
            return
        if not self.compiled.kind:
            self.fail(f"Template '{self.template.get('name')}' missing specification")
            return
        self.enter()

    def _processed(self, compiled: Compiled) -> Template:
        """The template with its inputs, and what is known by now in place of its tags."""
        state = self.state
        known = Layers(self.local, state.globals.moving, state.globals.values)
        early = Layers(self.local, state.globals.values, early=True)
        return process_arguments(
            compiled,
            self.arguments,
            known,
            state.config_map_value,
            body=early if compiled.kind in ("steps", "dag") else known,
            strict_values=state.strict_values,
        )

    def _keep(self, node: Node) -> None:
        """The node ended in the earlier run that is retried or resubmitted."""
        self.node = node
        self.done = True
        self.owner.node_created(self, node)
        self.owner.run_done(self)

    def enter(self) -> None:
        """Pass the parallelism gate, or wait there; called again when there may be room."""
        if self.done or not self.state.gate.admit(self):
            return
        if self._held_up():
            return
        synchronization = self.template.get("synchronization")
        if synchronization:
            try:
                names = lock_names(synchronization, self.state.namespace)
            except LockError as error:
                self.fail(str(error))
                return
            if names.locks:
                self.state.awaiting_locks[self.id] = self
                key = f"{self.state.namespace}/{self.state.name}/{self.name}"
                self.state.locks.ask(self.id, key, names.locks)
                self.state.emit(
                    AcquireLocks(
                        self.id,
                        names.locks,
                        self.state.priority,
                        self.state.created,
                        names.semaphores,
                        self.name,
                        self._within(),
                    )
                )
                return
        self.look_up()

    def _within(self) -> str:
        """The nearest around it that holds locks."""
        outer = self.boundary
        while outer is not None and (around := self.state.boundaries.get(outer["id"])) is not None:
            if around.run.holds_locks:
                return around.run.id
            outer = around.run.boundary
        return ""

    def locks_waiting(self, message: str, lock: str) -> None:
        """Show what the node waits for."""
        nodes = self.state.nodes
        if self.node is None:
            self.node = self.create_node(self.name, self.node_type(), phase="Pending", message=message)
            self._wait_no_longer_than(self.node)
        else:
            nodes.mark(self.node, "Pending", message)
        nodes.lock_wait(self.node, lock or message)
        if self.state.deadline_passed and not self.on_exit:
            self.give_up_waiting(DEADLINE_PASSED)

    def _wait_no_longer_than(self, node: Node) -> None:
        """``timeout`` and ``pendingTimeout`` count from the node's start, the wait for a lock included."""
        limits = [
            seconds for field in ("timeout", "pendingTimeout") if (seconds := self.seconds(field)) is not None
        ]
        if limits:
            at = self.state.nodes.started[node["id"]] + min(limits)
            self.state.timer(at, f"timeout/{node['id']}", self._waited_too_long)

    def seconds(self, field: str) -> float | None:
        """A duration of the template; None where there is none, or none that can be read."""
        text = str(self.template.get(field) or "")
        if not text:
            return None
        try:
            return parse_loose(text)
        except ValueError:
            return None  # what is wrong with it is said where the body starts

    def _waited_too_long(self) -> None:
        if not self.done and self.id in self.state.awaiting_locks and self.node is not None:
            self.state.nodes.mark(self.node, "Failed", "timeout")
            self.done = True
            self._release()
            self.owner.run_timeout(self)

    def give_up_waiting(self, message: str) -> None:
        """The workflow ends, or its deadline passed, while the node waits for a lock."""
        if self.node is not None and not self.done:
            self.stop("Failed", message)

    def locks_granted(self) -> None:
        """Go on: the memo is looked up now, whatever it said before."""
        self.holds_locks = True
        if self.node is not None:
            self.state.nodes.lock_wait(self.node, "")
            self.state.nodes.mark(self.node, self.node["phase"], "")
        memoize = self.compiled.template.get("memoize") if self.compiled is not None else None
        if self.compiled is not None and memoize and "{{" in str(memoize.get("maxAge")):
            try:  # Argo makes the template anew each time it looks at the node: an age may be told with now()
                self.template = {**self.template, "memoize": self._processed(self.compiled)["memoize"]}
            except (TemplateError, ArgumentError, TagError) as error:
                self.fail(str(error))
                return
        self.look_up()

    def look_up(self) -> None:
        """Ask the memoization cache, if the template has one."""
        declared = self.template.get("memoize")
        if declared and self.compiled is not None and self.compiled.kind != "plugin":
            try:
                self.memo = memo.Memo.of(declared, self.template, self.state.now)
            except memo.MemoError as error:
                self.fail(str(error))
                return
            self.state.awaiting_cache[self.id] = self
            self.state.emit(self.memo.lookup(self.id, self.name))
            return
        self.execute()

    def cache_answer(self, entry: CacheEntry | None, error: str) -> None:
        """Take a hit over as the node, or execute."""
        assert self.memo is not None
        hit = False
        if not error:
            try:
                hit = self.memo.accept(entry)
            except memo.MemoError as problem:
                error = str(problem)
        if error:
            self.memo = None  # the node bears no mark
            self.fail(error)
            return
        if not hit:
            if self.node is not None:  # it waited for a lock before
                self.node["memoizationStatus"] = self.memo.status(hit=False)
            self.execute()
            return
        if self.node is None:
            self.node = self.create_node(self.name, self.node_type(), phase="Succeeded")
        outputs = (entry or {}).get("outputs")
        if outputs:
            self.node["outputs"] = outputs
        self.node["memoizationStatus"] = self.memo.status(hit=True)
        self.state.nodes.mark(self.node, "Succeeded", "")
        self.finish(cached=True)

    def _held_up(self) -> bool:
        """Whether nothing may start now: the call is ended, or kept for later, accordingly."""
        state = self.state
        if self.on_exit and state.shutdown != "Terminate":
            return False
        if state.shutdown:
            message = f"workflow shutdown with strategy: {state.shutdown}"
            if self.node is None and self.compiled is not None:
                if NODE_TYPES[self.compiled.kind] not in ("Pod", "HTTP"):
                    return False
                self.create_node(self.name, self.node_type(), phase="Failed", message=message)
                self.finish()
            return True
        if state.deadline_passed:
            return self.compiled is None or self.compiled.kind not in ("steps", "dag", "suspend")
        if state.suspended:
            state.held_back.append(self)
            return True
        return False

    def execute(self) -> None:
        """Start the body, or the first attempt."""
        strategy = self._retry_strategy(self.template)
        if strategy is not None:
            self.retrying = self.state.make_retrying(self, strategy)
            self.retrying.start()
            return
        self.body = self.state.make_body(self, self.name, self.template, self.node)
        self.body.start()

    def _retry_strategy(self, template: Template) -> RetryStrategy | None:
        own = template.get("retryStrategy")
        return own if own is not None else self.state.spec.get("retryStrategy")

    def node_type_of_body(self) -> str:
        """Return the type of the node that an attempt has."""
        assert self.compiled is not None
        return NODE_TYPES[self.compiled.kind]

    def node_type(self) -> str:
        """Return the type the node has, or will have."""
        assert self.compiled is not None
        return "Retry" if self._retry_strategy(self.template) is not None else NODE_TYPES[self.compiled.kind]

    # -- nodes -----------------------------------------------------------------------------------------------

    def create_node(
        self,
        name: str,
        kind: str,
        *,
        phase: str,
        message: str = "",
        flag: NodeFlag | None = None,
        inputs: bool = True,
    ) -> Node:
        """Create the run's node, or that of an attempt."""
        node = self.state.nodes.create(
            name,
            kind,
            phase=phase,
            scope=self.scope_label,
            holder=self.holder,
            boundary=self.boundary["id"] if self.boundary else "",
            message=message,
            flag=flag if flag is not None else self.flag,
            inputs=(self.attempt_inputs or self.template.get("inputs")) if inputs else None,
            display=self._display_name(name),
        )
        if self.memo is not None:
            node["memoizationStatus"] = self.memo.status(hit=False)
        if name == self.name:
            self.node = node
            self.owner.node_created(self, node)
            self.state.metrics.take_run(self, made=True)
        return node

    def _display_name(self, name: str) -> str:
        # Argo takes it when it makes the pod, for the node that stands for the step
        if self.compiled is None or self.compiled.kind not in _POD_KINDS or name != self.name:
            return ""
        wanted = self.wanted_display_name()
        return wanted if legal_display_name(wanted) else ""

    def wanted_display_name(self) -> str:
        """Return the name that the template asks for its node to be shown with, if any."""
        return str((self.template.get("annotations") or {}).get(DISPLAY_NAME) or "")

    def display_problem(self) -> str:
        """Return what is wrong with the display name: a pod that asks for an illegal one cannot be made."""
        wanted = self.wanted_display_name()
        good = not wanted or legal_display_name(wanted)
        return "" if good else f"displayName must match the regex ^{PATTERN}$"

    # -- the end ---------------------------------------------------------------------------------------------

    def fail(self, message: str) -> None:
        """Put the node in Error: the template cannot be executed."""
        if self.node is None:
            self.node = self.create_node(self.name, "Skipped", phase="Error", message=message, inputs=False)
        else:
            self.state.nodes.mark(self.node, "Error", message)
        self.done = True
        self._release()
        self.owner.run_error(self, message)

    def fail_body(self, body: ABody, message: str) -> None:
        """A body could not begin: an error of the template, not of what it runs."""
        self.state.nodes.mark(body.node, "Error", message)
        body.closed()
        if self.retrying is not None and self.retrying.covers_errors():
            self.retrying.attempt_done(body)
            return
        self.done = True
        self._release()
        self.owner.run_error(self, message)

    def time_out(self, body: ABody) -> None:
        """The template's ``timeout`` passed before the pod ran."""
        self.state.nodes.mark(body.node, "Failed", "timeout")
        body.closed()
        if self.retrying is not None:
            self.retrying.attempt_done(body)
            return
        self.done = True
        self._release()
        self.owner.run_timeout(self)

    def complete(self, body: ABody, phase: str, message: str = "") -> None:
        """A body ended in ``phase``: keep it in the memo first, if that is asked for."""
        if phase == "Succeeded" and self.memo is not None and body.memoized:
            self.waiting_for_store = (body, phase, message)
            self.state.awaiting_store[body.node["id"]] = self
            self.state.emit(self.memo.store(body.node["id"], body.node.get("outputs")))
            return
        self._completed(body, phase, message)

    def cache_stored(self, error: str) -> None:
        """The memo was written, or could not be: pods are in Error then, Steps and DAGs are not."""
        if self.waiting_for_store is None:
            return
        body, phase, message = self.waiting_for_store
        self.waiting_for_store = None
        if error and body.node["type"] not in ("Steps", "DAG"):
            phase, message = "Error", error
        self._completed(body, phase, message)

    def _completed(self, body: ABody, phase: str, message: str) -> None:
        node = body.node
        self.state.nodes.mark(node, phase, message)
        if node["type"] in ("Pod", "HTTP") or (node["type"] == "Steps" and phase == "Succeeded"):
            self.state.globals.export(node)  # what a DAG's tasks export comes when the DAG has succeeded
        body.closed()
        if self.retrying is not None:
            self.retrying.attempt_done(body)
        else:
            self.finish()

    def finish(self, cached: bool = False) -> None:
        """The node is fulfilled: give back locks, export outputs, tell the owner."""
        if self.done:
            return
        self.done = True
        self._release()
        node = self.node
        assert node is not None
        if cached and node["type"] == "Steps":
            self.state.globals.export(node)
        if not cached:
            self.state.metrics.take_run(self)
        self.owner.run_done(self)

    def daemoned(self) -> None:
        """The node is a daemon that is up: what waits for it goes on, its locks stay held."""
        self.owner.run_done(self)

    def daemon_lost(self, body: ABody, phase: str, message: str) -> None:
        """A daemon's pod ended before its boundary did."""
        nodes = self.state.nodes
        nodes.mark(body.node, phase, message)
        if self.node is not None and self.node is not body.node:
            self.node.pop("daemoned", None)
            nodes.mark(self.node, phase, message)
        self.done = True
        self._release()
        outer = self.state.boundaries.get(self.boundary["id"]) if self.boundary is not None else None
        if outer is not None and phase in ("Failed", "Error"):
            outer.daemon_failed(self)

    def _release(self) -> None:
        if self.holds_locks or self.id in self.state.awaiting_locks:
            self.state.awaiting_locks.pop(self.id, None)
            self.state.locks.drop(self.id)
            self.holds_locks = False
            self.state.emit(ReleaseLocks(self.id))

    def stop(self, phase: str, message: str) -> None:
        """End a run that is waiting (for a lock, the cache, room) or a body that has no process."""
        if self.done:
            return
        if self.retrying is not None:
            self.retrying.stop(phase, message)
        elif self.body is not None:
            self.body.stop(phase, message)
        elif self.node is not None:
            self.state.nodes.mark(self.node, phase, message)
            self.finish()
