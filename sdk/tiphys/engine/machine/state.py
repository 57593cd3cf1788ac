"""What every part of a running workflow shares: nodes, globals, queues of work, routes for events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.nodes import ENDED
from tiphys.argo.time import rfc3339
from tiphys.argo.version import NEWEST, Argo
from tiphys.engine.machine.arguments import ArgumentError
from tiphys.engine.machine.globals import Globals
from tiphys.engine.machine.library import Library
from tiphys.engine.machine.metrics import Metrics
from tiphys.engine.machine.nodes import NodeStore
from tiphys.engine.machine.parallelism import Turnstile
from tiphys.engine.machine.parts import ABoundary, ACall, APod, ASuspend, MakeBody, MakeRetrying, Retries
from tiphys.engine.machine.protocol import Command, SetTimer
from tiphys.engine.machine.synchronization import LockBook
from tiphys.expr.tags import Layers

if TYPE_CHECKING:
    from tiphys.argo.pod_types import KeySelector, ObjectMeta
    from tiphys.argo.types import GivenObject, WorkflowSpec
    from tiphys.argo.volume_types import VolumeSpec


__all__ = ["DEADLINE_PASSED", "State"]

DEADLINE_PASSED = "Step exceeded its deadline"

_PARAMETER_LABEL = "workflows.argoproj.io/configmap-type"


class State:
    """The shared part of the machine; its fields are only for the modules of this package."""

    def __init__(
        self,
        *,
        name: str,
        namespace: str,
        uid: str,
        metadata: ObjectMeta,
        spec: WorkflowSpec,
        library: Library,
        context: Sequence[GivenObject],
        now: float,
        make_body: MakeBody,
        make_retrying: MakeRetrying,
        argo: Argo = NEWEST,
        strict_values: bool = False,
    ) -> None:
        self.name = name
        self.strict_values = strict_values
        self.argo = argo
        self.make_body = make_body
        self.make_retrying = make_retrying
        self.namespace = namespace
        self.uid = uid
        self.spec = spec
        self.created = now
        self.priority = int(spec.get("priority") or 0)
        self.library = library
        self.nodes = NodeStore(name, now)
        self.started = now
        self.globals = Globals(self, metadata)
        self.base = Layers(self.globals.moving, self.globals.values)
        self.volumes: tuple[VolumeSpec, ...] = ()
        self.workflow_deadline: float | None = None
        self.result_users: dict[str, frozenset[str]] = {}
        self.boundaries: dict[str, ABoundary] = {}
        self.gate = Turnstile(self)
        if spec.get("parallelism") is not None:
            self.gate.limit = int(spec["parallelism"])
        self.pods: dict[str, APod] = {}
        self.suspends: dict[str, ASuspend] = {}
        self.awaiting_locks: dict[str, ACall] = {}
        self.locks = LockBook()
        self.awaiting_cache: dict[str, ACall] = {}
        self.awaiting_store: dict[str, ACall] = {}
        self.daemons: dict[str, list[APod]] = {}
        self.held_back: list[ACall] = []
        self.backing_off: dict[Retries, None] = {}
        self.walk = 0
        self.must_walk = False
        self.next_walk: list[Callable[[], None]] = []
        self._parked: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self.metrics = Metrics(self)
        self.shutdown = ""
        self.give_up: Callable[[str], None] = lambda message: None
        self.suspended = False
        self.deadline_passed = False
        self.commands: list[Command] = []
        self.timers: dict[str, Callable[[], None]] = {}
        self._queue: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._fresh: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._late: dict[Callable[[], None], None] = {}
        self._timer_count = 0
        self._config_maps = {
            str((item.get("metadata") or {}).get("name")): item
            for item in context
            if item.get("kind") == "ConfigMap"
        }

    @property
    def now(self) -> float:
        """The time of the event that is being handled."""
        return self.nodes.now

    # -- work ------------------------------------------------------------------------------------------------

    def defer(self, function: Callable[..., None], *arguments: object) -> None:
        """Do something in this ``handle``, right after what is being done now (depth first, as Argo walks)."""
        self._fresh.append((function, arguments))

    def later(self, function: Callable[[], None]) -> None:
        """Do something once, when no deferred work is left."""
        self._late[function] = None

    def walk_again(self, function: Callable[[], None]) -> None:
        """Do something in the next walk, which comes at once: Argo would reconcile again."""
        self.next_walk.append(function)
        self.must_walk = True

    def begin_walk(self) -> None:
        """What was left for this walk is done first."""
        self.walk += 1
        self.must_walk = False
        if self.walk > 1:
            self.globals.expand()
        again, self.next_walk = self.next_walk, []
        for function in again:
            self.defer(function)

    def park(self, function: Callable[..., None], *arguments: object) -> None:
        """Do something only if the workflow would otherwise wait for ever."""
        self._parked.append((function, arguments))

    def unpark(self) -> bool:
        """When nothing from outside is awaited, do what was parked; return whether there was anything."""
        if not self.idle():
            return False
        if not self._parked:
            stuck = next((body for body in reversed(self.boundaries.values()) if body.is_stuck()), None)
            if stuck is None:
                return False
            self.defer(stuck.end_stuck)
            return True
        parked, self._parked = self._parked, []
        for function, arguments in parked:
            self.defer(function, *arguments)
        return True

    def idle(self) -> bool:
        """Whether nothing from outside is awaited: no pod, lock, cache or person, no moment that changes something."""
        return not (
            self.pods or self.suspends or self.awaiting_locks or self.awaiting_cache
            or self.awaiting_store or self.held_back or self._timers_left()
        )  # fmt: skip

    def _timers_left(self) -> bool:
        """Whether a timer may still change something: those of nodes that have ended do not, and are forgotten."""
        for token in list(self.timers):
            _, of_node, rest = token.partition("/")
            node = self.nodes.by_id.get(rest.rpartition("#")[0]) if of_node else None
            if node is not None and node["phase"] in ENDED:
                del self.timers[token]
        return bool(self.timers)

    def work(self) -> None:
        """Do all deferred work."""
        queue = self._queue
        while True:
            if self._fresh:
                queue.extendleft(reversed(self._fresh))
                self._fresh.clear()
            while queue:
                function, arguments = queue.popleft()
                function(*arguments)
                if self._fresh:
                    queue.extendleft(reversed(self._fresh))
                    self._fresh.clear()
            if (self.nodes.dirty_limits or self.gate.waiting) and (
                self.gate.settle() or self.nodes.dirty_limits
            ):
                continue
            if not self._late:
                return
            late = next(iter(self._late))
            del self._late[late]
            late()

    def emit(self, command: Command) -> None:
        """Ask the driver for something."""
        self.commands.append(command)

    def timer(self, at: float, what: str, callback: Callable[[], None]) -> str:
        """ACall ``callback`` at ``at``; ``what`` makes the token readable."""
        self._timer_count += 1
        token = f"{what}#{self._timer_count}"
        self.timers[token] = callback
        self.emit(SetTimer(token, at))
        return token

    # -- questions -------------------------------------------------------------------------------------------

    def deadline_text(self) -> str:
        """Return the workflow's deadline as messages have it."""
        moment = rfc3339(self.workflow_deadline or 0)
        return moment.replace("T", " ").replace("Z", " +0000 UTC")

    def config_map_value(self, reference: KeySelector) -> str | None:
        """Return the value of a ConfigMap that may feed parameters, None when there is no such map.

        Raises
        ------
        ArgumentError
            The map lacks the key.
        """
        name = str(reference.get("name"))
        found = self._config_maps.get(name)
        labels = ((found or {}).get("metadata") or {}).get("labels") or {}
        if found is None or labels.get(_PARAMETER_LABEL) != "Parameter":
            return None  # the controller sees only maps with the label
        value = (found.get("data") or {}).get(str(reference.get("key")))
        if value is None:
            raise ArgumentError(f"ConfigMap '{name}' does not have the key '{reference.get('key')}'")
        return str(value)
