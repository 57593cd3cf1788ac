"""The workflow as a whole: locks, entrypoint, hooks, exit handler, shutdown, deadline, the final phase."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiphys.argo.locks import LockError, lock_names
from tiphys.argo.nodes import ACTIVE, FAILED
from tiphys.argo.selectors import matches_node, parse_fields
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.bodies.hooks import evaluate_hook
from tiphys.engine.machine.library import Context, named_by
from tiphys.engine.machine.parts import APod
from tiphys.engine.machine.protocol import AcquireLocks, ReleaseLocks, StopPod, WorkflowFinished
from tiphys.engine.machine.state import DEADLINE_PASSED, State
from tiphys.expr import gojson
from tiphys.expr.evaluate import ExprError
from tiphys.expr.tags import TagError, compile_plan, substitute

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Hook, Node


__all__ = ["Lifecycle"]

_WORKFLOW_PHASE = {
    "Succeeded": "Succeeded",
    "Skipped": "Succeeded",
    "Omitted": "Succeeded",
    "Failed": "Failed",
    "Error": "Error",
    "Running": "Succeeded",  # a daemon is done when it is up
}


class Lifecycle:
    """Owner of the entry node, the exit handler and the workflow's hooks."""

    def __init__(self, state: State, context: Context) -> None:
        self.state = state
        self.context = context
        self.phase = "Pending"
        self.message = ""
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.holds_locks = False
        self.waiting_for_locks = False
        self.root: Call | None = None
        self.exit: Call | None = None
        self.hooks: dict[str, Hook] = {
            name: hook for name, hook in (state.spec.get("hooks") or {}).items() if name != "exit"
        }
        self.hook_nodes: list[str] = []
        self.pending_hooks = 0
        self.entry_phase = ""
        self.entry_message = ""
        self.done = False
        self.failure: tuple[str, str] | None = None
        self.obstacle = ""  # to be told when it starts
        state.give_up = self._give_up

    # -- begin -----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take the workflow's locks, then start."""
        spec = self.state.spec
        if self.failure is not None:
            self._finish(*self.failure)
            return
        self.state.shutdown = str(spec.get("shutdown") or "")
        synchronization = spec.get("synchronization")
        if synchronization:
            plan = compile_plan(synchronization)
            try:
                if plan is not None:
                    synchronization = plan.render(
                        synchronization, lambda text: substitute(text, self.state.base)
                    )
                names = lock_names(synchronization, self.state.namespace)
            except (LockError, TagError) as error:
                self._finish("Failed", f"Failed to acquire the synchronization lock. {error}")
                return
            if names.locks:
                self.waiting_for_locks = True
                self.state.locks.ask("", f"{self.state.namespace}/{self.state.name}", names.locks)
                self.state.emit(
                    AcquireLocks(
                        "",
                        names.locks,
                        self.state.priority,
                        self.state.created,
                        names.semaphores,
                        self.state.name,
                    )
                )
                return
        self._start()

    def locks_waiting(self, message: str) -> None:
        """The workflow waits."""
        self.phase, self.message = "Pending", message

    def locks_granted(self) -> None:
        """The workflow may start."""
        self.holds_locks = True
        self.waiting_for_locks = False
        if not self.done:
            self._start()

    def locks_refused(self, message: str) -> None:
        """The locks do not exist."""
        self._finish("Failed", f"Failed to acquire the synchronization lock. {message}")

    def _start(self) -> None:
        state = self.state
        self.phase, self.message = "Running", ""
        state.suspended = bool(state.spec.get("suspend"))
        self.started_at = state.started = state.now
        if self.obstacle:
            self._finish("Error", self.obstacle)
            return
        deadline = state.spec.get("activeDeadlineSeconds")
        if deadline is not None:
            state.workflow_deadline = state.now + int(deadline)
            state.timer(state.workflow_deadline, "deadline", self._deadline)
            if int(deadline) <= 0:
                state.deadline_passed = True
        entry = str(state.spec.get("entrypoint") or "")
        self.root = Call(
            state, state.name, {"template": entry}, self._filled(state.spec.get("arguments")), self.context, self,
            local={"steps.name": ""}, key="entry",
        )  # fmt: skip
        self.look()
        state.defer(self.root.start)
        state.later(self._measure)

    def _measure(self) -> None:
        """Realtime metrics of the workflow begin with it."""
        state = self.state
        state.metrics.take(state.spec.get("metrics"), state.nodes.by_id.get(state.name), realtime=True)

    def seen(self) -> bool:
        """The controller has been at the workflow once: from now on it is known to be running.

        Return whether there are hooks that may wait for that: the controller comes back at once.
        """
        values = self.state.globals.moving
        if values["workflow.status"] or self.phase != "Running":
            return False
        values["workflow.status"] = "Running"
        self.state.base.refresh()
        return bool(self.hooks)

    # -- as the owner of runs --------------------------------------------------------------------------------

    def node_created(self, run: Call, node: Node) -> None:
        """Attach hooks to the entry node."""
        if run.key == "hook":
            self.hook_nodes.append(node["id"])
        root = self.state.nodes.by_id.get(self.state.name)
        if root is not None:
            for identity in self.hook_nodes:
                self.state.nodes.add_child(root, identity)

    def run_changed(self, run: Call) -> None:
        """Nothing depends on it here."""

    def run_done(self, run: Call) -> None:
        """The entry node, a hook or the exit handler ended."""
        node = run.node
        assert node is not None
        if run.key == "entry":
            self._entry_done(node["phase"], node.get("message", ""))
        elif run.key == "hook":
            self.pending_hooks -= 1
            self._maybe_exit()
        else:
            self._exit_done(node["phase"], node.get("message", ""))

    def run_error(self, run: Call, message: str) -> None:
        """A template could not be executed at all."""
        if run.key == "entry":
            self._give_up(f"error in entry template execution: {message}")
        elif run.key == "hook":
            self.pending_hooks -= 1
            self._entry_done("Error", message)
        else:
            self._exit_done("Error", f"error in exit template execution : {message}")

    def run_timeout(self, run: Call) -> None:
        """The entry or exit pod timed out before it ran."""
        self.run_done(run)

    # -- hooks -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Trigger the workflow's hooks whose expression holds now."""
        state = self.state
        if (
            not self.hooks
            or self.phase != "Running"
            or self.done
            or not state.globals.moving["workflow.status"]
        ):
            return
        for name, hook in list(self.hooks.items()):
            node_name = f"{state.name}.hooks.{name}"
            try:
                if not evaluate_hook(str(hook.get("expression") or ""), state.base):
                    continue
            except ExprError as error:
                self.hooks.clear()
                self._hook_error(str(hook.get("expression") or ""), str(error))
                return
            del self.hooks[name]
            self.pending_hooks += 1
            run = Call(
                state, node_name, named_by(hook), self._filled(hook.get("arguments")), self.context, self,
                flag={"hooked": True}, on_exit=True, local={"steps.name": ""}, key="hook",
            )  # fmt: skip
            state.defer(run.start)

    def _give_up(self, message: str) -> None:
        """The controller cannot go on with the workflow at all; no exit handler runs."""
        root = self.state.nodes.by_id.get(self.state.name)
        if root is not None and root["phase"] in ("Pending", "Running"):
            self.state.nodes.mark(root, "Error", "Workflow operation error")
        self._finish("Error", message)

    def waits_for_nothing(self) -> bool:
        """Whether the workflow has begun, is not over, and itself waits neither for a lock nor for a person."""
        return self.root is not None and not (self.done or self.waiting_for_locks or self.state.suspended)

    def end_forgotten(self) -> None:
        """No event can come any more that would end the workflow: it says so instead of waiting for ever."""
        waiting = [node["name"] for node in self.state.nodes.by_id.values() if node["phase"] in ACTIVE]
        of = f": {', '.join(waiting[:3])}{' …' if len(waiting) > 3 else ''}" if waiting else ""
        self._give_up(f"every step has ended or can never start, and the workflow is not over{of}")

    def _hook_error(self, expression: str, message: str) -> None:
        """A hook's expression cannot be evaluated: the workflow is in Error, and evaluated once more as such."""
        state = self.state
        state.globals.moving["workflow.status"] = "Error"
        state.base.refresh()
        again = message
        try:
            evaluate_hook(expression, state.base)
        except ExprError as error:
            again = str(error)
        root = state.nodes.by_id.get(state.name)
        if root is not None and root["phase"] in ("Pending", "Running"):
            state.nodes.mark(root, "Error", again)
        self._finish("Error", message)

    def _filled(self, arguments: Arguments | None) -> Arguments:
        """Return arguments with the global variables put in place once."""
        given: Arguments = (arguments or {}).copy()
        plan = compile_plan(given)
        return given if plan is None else plan.render(given, lambda text: substitute(text, self.state.base))

    # -- the end ---------------------------------------------------------------------------------------------

    def _entry_done(self, phase: str, message: str) -> None:
        if self.entry_phase:
            return
        state = self.state
        self.entry_phase = _WORKFLOW_PHASE[phase]
        if phase in FAILED and state.shutdown:
            message = f"Stopped with strategy '{state.shutdown}'"
        self.entry_message = message
        values = state.globals.moving
        values["workflow.status"] = "Running" if phase == "Running" else self.entry_phase
        values["workflow.failures"] = self._failures()
        state.base.refresh()
        self.look()
        self._maybe_exit()

    def _failures(self) -> str:
        found = [
            {
                "displayName": node["displayName"],
                "message": node.get("message", ""),
                "templateName": node.get("templateName", ""),
                "phase": node["phase"],
                "podName": node["id"],
                "finishedAt": node.get("finishedAt"),
            }
            for node in self.state.nodes.by_id.values()
            if node["phase"] in ("Failed", "Error")
        ]
        return json.dumps(gojson.marshal(found, sort=False)) if found else "null"

    def _maybe_exit(self) -> None:
        if not self.entry_phase or self.pending_hooks or self.done or self.exit is not None:
            return
        state, spec = self.state, self.state.spec
        hook = (spec.get("hooks") or {}).get("exit")  # its expression, if any, is not asked for at this level
        if spec.get("onExit"):
            hook = {"template": spec["onExit"]}
        if hook is None or state.shutdown == "Terminate":
            self._finish(self.entry_phase, self.entry_message)
            return
        state.globals.tick()
        arguments = self._filled(hook.get("arguments") or state.spec.get("arguments"))
        self.exit = Call(
            state,
            f"{state.name}.onExit",
            named_by(hook),
            arguments,
            self.context,
            self,
            on_exit=True,
            local={"steps.name": ""},
            key="exit",
            flag={"hooked": True},
        )
        state.defer(self.exit.start)

    def _exit_done(self, phase: str, message: str) -> None:
        if phase in FAILED and self.entry_phase == "Succeeded":
            self._finish(_WORKFLOW_PHASE[phase], message)
        else:
            self._finish(self.entry_phase, self.entry_message)

    def _finish(self, phase: str, message: str) -> None:
        if self.done:
            return
        self.done = True
        state = self.state
        self.phase, self.message = phase, message
        self.finished_at = state.now
        if self.started_at is None:
            self.started_at = state.now
        state.globals.moving["workflow.status"] = phase
        if state.spec.get("metrics"):
            state.globals.tick()
            state.metrics.take(state.spec["metrics"], state.nodes.by_id.get(state.name))
        for pod in list(state.pods.values()):
            state.emit(StopPod(pod.node["id"]))
        for pods in list(state.daemons.values()):
            for daemon in pods:
                daemon.end_daemon()
        if self.holds_locks or self.waiting_for_locks:
            state.emit(ReleaseLocks(""))
        state.emit(WorkflowFinished(phase, message))

    # -- from outside ----------------------------------------------------------------------------------------

    def shut_down(self, strategy: str) -> None:
        """``argo stop`` or ``terminate``."""
        state = self.state
        if self.done or state.shutdown == "Terminate":
            return
        state.shutdown = strategy
        if self.root is None:
            self._finish("Failed", f"Stopped with strategy '{strategy}'")
            return
        for pod in list(state.pods.values()):
            if pod.run.on_exit and strategy != "Terminate":
                continue
            self._stop_pod(pod, f"workflow shutdown with strategy:  {strategy}")
        stopped = f"Stopped with strategy '{strategy}'"
        for wait in list(state.suspends.values()):
            if not wait.run.on_exit or strategy == "Terminate":
                wait.stop("Failed", stopped)
        for run in [*state.awaiting_locks.values()]:
            if not run.on_exit or strategy == "Terminate":
                run.give_up_waiting(stopped)
        self._release_held()
        for retry in list(state.backing_off):
            retry.shut_down(stopped)

    def _stop_pod(self, pod: APod, message: str) -> None:
        if pod.node["phase"] == "Pending":
            pod.stop("Failed", message)
            return
        if not pod.node.get("daemoned"):
            pod.phase_after_stop, pod.message_after_stop = "Failed", message
        pod.stop("", "")

    def _deadline(self) -> None:
        state = self.state
        if self.done:
            return
        state.deadline_passed = True
        message = DEADLINE_PASSED
        for pod in list(state.pods.values()):
            if pod.run.on_exit:
                continue
            if pod.node["phase"] == "Pending":
                pod.stop("Failed", message)
            else:
                pod.phase_after_stop, pod.message_after_stop = "Failed", message
                pod.stop("", "")
        for wait in list(state.suspends.values()):
            if not wait.run.on_exit:
                wait.stop("Failed", message)
        for run in [*state.awaiting_locks.values()]:
            if not run.on_exit:
                run.give_up_waiting(message)
        for retry in list(state.backing_off):
            retry.shut_down(f"retry exceeded workflow deadline {state.deadline_text()}")

    def _release_held(self) -> None:
        held, self.state.held_back = self.state.held_back, []
        for run in held:
            self.state.defer(run.enter)

    def suspend(self) -> None:
        """``argo suspend``."""
        self.state.suspended = True

    def resume(self, selector: str, message: str) -> None:
        """``argo resume``: without a selector everything goes on."""
        state, wanted = self.state, parse_fields(selector)
        if not selector:
            state.suspended = False
            self._release_held()
        for wait in list(state.suspends.values()):
            if wait.node["phase"] == "Running" and matches_node(wanted, wait.node):
                if message:
                    before = "" if selector else wait.node.get("message", "")
                    wait.node["message"] = f"{before}; {message}" if before else message
                wait.resume()
