"""The state machine of one workflow: events in, commands out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tiphys.argo.copies import plain_copy
from tiphys.argo.selectors import matches_node, parse_fields
from tiphys.argo.time import rfc3339
from tiphys.argo.version import NEWEST, Argo
from tiphys.engine.machine import protocol as p
from tiphys.engine.machine.before import first_obstacle
from tiphys.engine.machine.bodies.kinds import make_body
from tiphys.engine.machine.bodies.retry import Retrying
from tiphys.engine.machine.counters import Counters
from tiphys.engine.machine.library import Context, Library, TemplateError
from tiphys.engine.machine.lifecycle import Lifecycle
from tiphys.engine.machine.metadata import apply_metadata, relabelled
from tiphys.engine.machine.state import State
from tiphys.engine.machine.submit import (
    GlobalsError,
    InvalidSpec,
    effective_spec,
    refuse_unsupported,
    workflow_parameters,
)
from tiphys.expr.moment import PRESENT

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, Parameter, Workflow, WorkflowSpec, WorkflowStatus


__all__ = ["Machine"]


class Machine:
    """One workflow's execution state.

    Parameters
    ----------
    workflow:
        The Workflow object as in its JSON/YAML; not modified.
    name, namespace, uid:
        Its identity; ``name`` also when the object has only ``generateName``.
    parameters:
        Values for ``spec.arguments.parameters`` (``-p name=value``).
    context:
        Objects given with the workflow: ConfigMaps, Secrets, WorkflowTemplates, ClusterWorkflowTemplates.
    now:
        Creation time in seconds since the epoch.
    invalid:
        What validation found wrong, if anything: the workflow then ends Failed with ``invalid spec: …``, as when Argo's
        controller finds it.
    earlier:
        The ``status`` of an earlier run as a retry or a memoized resubmit leaves it: its nodes that ended are kept,
        those that are Running are gone through again.
    argo:
        The version of Argo to behave as, where they differ (docs/conformance.md).

    Attributes
    ----------
    nodes:
        ``status.nodes``: node ID to the node as Argo writes it. Read only.
    changed:
        The IDs of the nodes that the last ``handle`` created or changed.
    done:
        Whether the workflow is complete.

    Raises
    ------
    tiphys.errors.RefusedError
        The workflow uses a feature that cannot run locally, or a parameter is wrong.
    """

    def __init__(
        self,
        workflow: Workflow,
        *,
        name: str,
        namespace: str = "argo",
        uid: str,
        parameters: Mapping[str, str] | None = None,
        context: Sequence[GivenObject] = (),
        now: float,
        invalid: str = "",
        earlier: WorkflowStatus | None = None,
        argo: Argo = NEWEST,
        strict_values: bool = False,
    ) -> None:
        self._workflow = workflow
        self._uid = uid
        self._created = now
        library = Library(namespace, context, None, argo)
        failure: tuple[str, str] | None = ("Failed", f"invalid spec: {invalid}") if invalid else None
        try:
            spec, stored = effective_spec(workflow, library)
        except TemplateError as error:
            failure = ("Error", str(error))
            spec, stored = (workflow.get("spec") or {}).copy(), None
        library.defaults = spec.get("templateDefaults") or None
        self._stored_spec = stored
        metadata = workflow.get("metadata") or {}
        state = self._state = State(
            name=name,
            namespace=namespace,
            uid=uid,
            metadata=metadata,
            spec=spec,
            library=library,
            context=context,
            now=now,
            make_body=make_body,
            make_retrying=Retrying,
            argo=argo,
            strict_values=strict_values,
        )
        values: list[Parameter] = []
        try:
            if failure is None or invalid:
                values = workflow_parameters(state, parameters or {})
        except InvalidSpec as error:
            if not invalid.startswith(
                "spec.templates["
            ):  # Argo looks at these names before it does at arguments
                failure = ("Failed", f"invalid spec: {error}")
        except GlobalsError as error:
            failure = ("Failed", str(error))
        if values:
            spec["arguments"] = {**(spec.get("arguments") or {}), "parameters": values}
        state.globals.set_parameters(values)
        self._metadata, problem = apply_metadata(state, metadata)
        if problem and failure is None:
            failure = ("Error", problem)
        label = "local/" if spec.get("workflowTemplateRef") else f"local/{name}"
        local = Context(library, label, spec.get("templates") or [], spec.get("podMetadata"))
        if earlier:
            state.nodes.adopt(earlier.get("nodes") or {})
            state.globals.adopt(earlier.get("outputs") or {})
            library.stored.update(earlier.get("storedTemplates") or {})
        refuse_unsupported(spec, library, [spec.get("templates") or []])
        state.volumes = tuple(spec.get("volumes") or ()) + tuple(
            {
                "name": item["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": f"{name}-{item['metadata']['name']}"},
            }
            for item in spec.get("volumeClaimTemplates") or ()
        )
        self._life = Lifecycle(state, local)
        self._life.failure = failure
        self._life.obstacle = first_obstacle(spec, name, context)
        self.nodes = state.nodes.by_id
        self.changed: dict[str, None] = {}

    @property
    def done(self) -> bool:
        """Whether the workflow is complete."""
        return self._life.done

    @property
    def annotations(self) -> Mapping[str, str]:
        """Those of the workflow, with what its spec adds."""
        return self._metadata.get("annotations") or {}

    @property
    def priority(self) -> int:
        """The class of the workflow: the higher, the sooner."""
        return self._state.priority

    @property
    def suspended(self) -> bool:
        """Whether it is to start nothing new."""
        return self._state.suspended

    @property
    def phase(self) -> str:
        """The workflow's phase."""
        return self._life.phase

    @property
    def message(self) -> str:
        """The workflow's message."""
        return self._life.message

    @property
    def progress(self) -> tuple[int, int]:
        """Finished and known units of work (``status.progress``)."""
        return self._state.nodes.done, self._state.nodes.total

    @property
    def metrics(self) -> Counters:
        """What the workflow's metrics have come to."""
        return self._state.metrics.registry

    def handle(self, event: p.Event) -> list[p.Command]:
        """Move the state on by one event and return what must be done outside.

        An event for a node that does not wait for it is ignored, so late and doubled answers do no harm.
        """
        state = self._state
        state.nodes.now = max(event.now, state.nodes.now)
        state.commands = []
        state.nodes.changed = {}
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise TypeError(f"not an event: {event!r}")
        PRESENT.set(state.nodes.now)
        state.begin_walk()
        handler(self, event)
        state.work()
        while not self._life.done and (state.must_walk or state.unpark()):
            state.begin_walk()
            state.work()
        if self._life.hooks or self._life.pending_hooks:
            self._life.look()
            state.work()
        if self._life.seen():
            state.begin_walk()
            self._life.look()
            state.work()
        if self._life.waits_for_nothing() and state.idle():
            self._life.end_forgotten()
        self.changed = state.nodes.changed
        return state.commands

    # -- events ----------------------------------------------------------------------------------------------

    def _begin(self, event: p.Begin) -> None:
        if self._life.root is None:
            self._life.begin()

    def _pod_waiting(self, event: p.PodWaiting) -> None:
        pod = self._state.pods.get(event.node_id)
        if pod is not None:
            pod.waiting(event.message)

    def _pod_running(self, event: p.PodRunning) -> None:
        pod = self._state.pods.get(event.node_id)
        if pod is not None:
            pod.running(event.pod_ip)

    def _pod_says(self, event: p.PodSays) -> None:
        pod = self._state.pods.get(event.node_id)
        if pod is not None:
            pod.says(event.message)

    def _pod_progress(self, event: p.PodProgress) -> None:
        pod = self._state.pods.get(event.node_id)
        if pod is not None:
            self._state.nodes.set_progress(pod.node, event.progress)

    def _pod_finished(self, event: p.PodFinished) -> None:
        pod = self._state.pods.get(event.node_id)
        if pod is not None:
            pod.finished(event)

    def _cache_answer(self, event: p.CacheAnswer) -> None:
        run = self._state.awaiting_cache.pop(event.node_id, None)
        if run is not None and not run.done:
            run.cache_answer(event.entry, event.error)

    def _cache_stored(self, event: p.CacheStored) -> None:
        run = self._state.awaiting_store.pop(event.node_id, None)
        if run is not None:
            run.cache_stored(event.error)

    def _locks_granted(self, event: p.LocksGranted) -> None:
        self._state.locks.grant(event.node_id)
        if not event.node_id:
            self._life.locks_granted()
            return
        run = self._state.awaiting_locks.pop(event.node_id, None)
        if run is not None and not run.done:
            run.locks_granted()

    def _locks_waiting(self, event: p.LocksWaiting) -> None:
        if not event.node_id:
            self._life.locks_waiting(event.message)
            return
        run = self._state.awaiting_locks.get(event.node_id)
        if run is not None:
            run.locks_waiting(event.message, event.lock)

    def _locks_refused(self, event: p.LocksRefused) -> None:
        self._state.locks.drop(event.node_id)
        if not event.node_id:
            self._life.locks_refused(event.message)
            return
        run = self._state.awaiting_locks.pop(event.node_id, None)
        if run is not None:
            run.fail(event.message)

    def _timer_fired(self, event: p.TimerFired) -> None:
        callback = self._state.timers.pop(event.token, None)
        if callback is not None and not self._life.done:
            callback()

    def _shutdown(self, event: p.Shutdown) -> None:
        self._life.shut_down(event.strategy)

    def _suspend(self, event: p.Suspend) -> None:
        self._life.suspend()

    def _resume(self, event: p.Resume) -> None:
        self._life.resume(event.selector, event.message)

    def _relabel(self, event: p.Relabel) -> None:
        self._metadata = relabelled(self._metadata, event.labels, event.annotations)
        self._state.globals.set_metadata("labels", self._metadata.get("labels") or {})
        self._state.globals.set_metadata("annotations", self._metadata.get("annotations") or {})
        self._state.globals.changed()

    def _node_set(self, event: p.NodeSet) -> None:
        wanted = parse_fields(event.selector)
        for wait in list(self._state.suspends.values()):
            if wait.node["phase"] == "Running" and matches_node(wanted, wait.node):
                wait.set(event.phase, event.message, event.output_parameters)

    # -- the result ------------------------------------------------------------------------------------------

    def workflow(self) -> Workflow:
        """Return the Workflow object with ``status`` as Argo writes it (a copy)."""
        return plain_copy(self.result())

    def result(self) -> Workflow:
        """As :meth:`workflow`, with the nodes and templates themselves: who is done with the machine needs no second
        ones, which are much of the memory of a large workflow."""
        state, life = self._state, self._life
        resources = state.nodes.sum_up()
        metadata = plain_copy(self._metadata)
        metadata["name"] = state.name
        metadata["namespace"] = state.namespace
        metadata["uid"] = self._uid
        metadata["creationTimestamp"] = rfc3339(self._created)
        labels = metadata.setdefault("labels", {})
        labels["workflows.argoproj.io/phase"] = life.phase
        if life.done:
            labels["workflows.argoproj.io/completed"] = "true"
        done, total = self.progress
        status: WorkflowStatus = {"phase": life.phase}
        if life.message:
            status["message"] = life.message
        if life.started_at is not None:
            status["startedAt"] = rfc3339(life.started_at)
        status["finishedAt"] = rfc3339(life.finished_at) if life.finished_at is not None else None
        status["progress"] = f"{done}/{total}"
        if resources:
            status["resourcesDuration"] = resources
        if state.nodes.by_id:
            status["nodes"] = state.nodes.by_id
        if state.globals.outputs:
            status["outputs"] = state.globals.outputs
        if state.library.stored:
            status["storedTemplates"] = state.library.stored
        if self._stored_spec is not None:
            status["storedWorkflowTemplateSpec"] = self._stored_spec
        locks = state.locks.status() if not life.done else None  # what has ended holds none
        if locks is not None:
            status["synchronization"] = locks
        if life.done:
            status["conditions"] = [{"type": "Completed", "status": "True"}]
        if (condition := state.metrics.condition()) is not None:
            status.setdefault("conditions", []).append(condition)
        spec: WorkflowSpec = {**(self._workflow.get("spec") or {})}
        if state.shutdown:
            spec["shutdown"] = state.shutdown
        if state.suspended:
            spec["suspend"] = True
        else:
            spec.pop("suspend", None)
        return {
            "apiVersion": self._workflow.get("apiVersion", "argoproj.io/v1alpha1"),
            "kind": "Workflow",
            "metadata": metadata,
            "spec": spec,
            "status": status,
        }


_HANDLERS: dict[type[p.Event], Callable[[Machine, Any], None]] = {
    p.Begin: Machine._begin, p.PodRunning: Machine._pod_running, p.PodProgress: Machine._pod_progress,
    p.PodWaiting: Machine._pod_waiting, p.PodSays: Machine._pod_says, p.PodFinished: Machine._pod_finished,
    p.CacheAnswer: Machine._cache_answer, p.CacheStored: Machine._cache_stored,
    p.LocksGranted: Machine._locks_granted, p.LocksWaiting: Machine._locks_waiting,
    p.LocksRefused: Machine._locks_refused, p.TimerFired: Machine._timer_fired, p.Shutdown: Machine._shutdown,
    p.Suspend: Machine._suspend, p.Resume: Machine._resume, p.NodeSet: Machine._node_set,
    p.Relabel: Machine._relabel,
}  # fmt: skip
