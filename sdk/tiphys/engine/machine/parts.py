"""What the shared state, the gate and a call know of the parts that stand above them: just what they ask of them.

Bodies know calls, calls know the state, and nobody knows upward; what comes from above is one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tiphys.engine.machine.nodes import NodeStore
from tiphys.engine.machine.protocol import PodFinished
from tiphys.expr.tags import Layers

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry, Node, RetryStrategy, Template, WorkflowSpec


__all__ = ["ABody", "ABoundary", "ACall", "APod", "ASuspend", "MakeBody", "MakeRetrying", "Retries", "Shared"]


class Shared(Protocol):
    """The state as its own parts see it."""

    name: str
    namespace: str
    uid: str
    spec: WorkflowSpec
    created: float
    started: float
    base: Layers
    nodes: NodeStore

    @property
    def now(self) -> float:
        """The time of the event that is being handled."""

    def defer(self, function: Callable[..., None], *arguments: object) -> None:
        """Do something in this ``handle``."""


class ABody(Protocol):
    """What runs under one node."""

    memoized: bool

    @property
    def node(self) -> Node:
        """Its node."""

    def start(self) -> None:
        """Begin."""

    def stop(self, phase: str, message: str) -> None:
        """End early."""

    def closed(self) -> None:
        """The node is fulfilled."""


class Retries(Protocol):
    """The attempts of a call."""

    @property
    def attempts(self) -> list[Node]:
        """Their nodes."""

    def start(self) -> None:
        """Create the Retry node and the first attempt."""

    def stop(self, phase: str, message: str) -> None:
        """End early."""

    def shut_down(self, message: str) -> None:
        """The workflow ends while the next attempt is awaited."""

    def covers_errors(self) -> bool:
        """Whether a template that cannot be executed is tried again."""

    def daemoned(self, body: Any) -> None:
        """The attempt is a daemon that is up."""

    def attempt_done(self, body: Any) -> None:
        """An attempt ended."""


class ACall(Protocol):
    """A call that waits: for room, for locks, for the cache."""

    @property
    def on_exit(self) -> bool:
        """Whether it belongs to an exit handler."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""

    @property
    def id(self) -> str:
        """That of its node."""

    @property
    def holds_locks(self) -> bool:
        """Whether it holds semaphores or mutexes."""

    @property
    def depth(self) -> int:
        """How many boundaries are around it."""

    @property
    def node(self) -> Node | None:
        """Its node, if there is one yet."""

    @property
    def boundary(self) -> Node | None:
        """The node of the Steps or DAG that it is in."""

    @property
    def template(self) -> Template:
        """The template with its inputs."""

    @property
    def retrying(self) -> Retries | None:
        """Its attempts, if it has a retry strategy."""

    def enter(self) -> None:
        """Go on as far as possible."""

    def fail(self, message: str) -> None:
        """It cannot be executed."""

    def give_up_waiting(self, message: str) -> None:
        """It is not waited any longer."""

    def locks_granted(self) -> None:
        """All locks are held."""

    def locks_waiting(self, message: str, lock: str) -> None:
        """A lock is somebody else's."""

    def cache_answer(self, entry: CacheEntry | None, error: str) -> None:
        """What the cache holds."""

    def cache_stored(self, error: str) -> None:
        """The outputs are in the cache."""


class APod(ABody, Protocol):
    """A pod that runs."""

    phase_after_stop: str
    message_after_stop: str

    @property
    def run(self) -> ACall:
        """The call that it is the body of."""

    def says(self, message: str) -> None:
        """It runs, and people should know this of it."""

    def waiting(self, message: str) -> None:
        """There is no room for it yet."""

    def running(self, ip: str) -> None:
        """It has begun."""

    def finished(self, event: PodFinished) -> None:
        """It has ended."""

    def end_daemon(self) -> None:
        """Its boundary has ended."""


class ASuspend(ABody, Protocol):
    """A suspend template that waits."""

    @property
    def run(self) -> ACall:
        """The call that it is the body of."""

    def resume(self) -> None:
        """It goes on, with the defaults of its outputs."""

    def set(self, phase: str, message: str, outputs: Mapping[str, str]) -> None:
        """``argo node set``."""


class ABoundary(Protocol):
    """A Steps or DAG at work."""

    @property
    def run(self) -> ACall:
        """The call that it is the body of."""

    def is_stuck(self) -> bool:
        """Whether all that began has ended, and yet the body has not."""

    def end_stuck(self) -> None:
        """End by what its children ended in."""

    def daemon_failed(self, run: Any) -> None:
        """A daemon ended badly while what needs it may still run."""


class MakeBody(Protocol):
    """Makes the body of a call; see :func:`tiphys.engine.machine.bodies.kinds.make_body`."""

    def __call__(self, run: Any, name: str, template: Template, node: Node | None, attempt: int = -1) -> Any:
        """The body for the call's template, not yet started."""


class MakeRetrying(Protocol):
    """Makes the attempts of a call; see :class:`tiphys.engine.machine.bodies.retry.Retrying`."""

    def __call__(self, run: Any, strategy: RetryStrategy) -> Retries:
        """Nothing is begun yet."""
