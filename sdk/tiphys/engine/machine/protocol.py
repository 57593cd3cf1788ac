"""What goes in and out of the pure core: events and commands.

The core is a state machine: ``machine.handle(event) -> list[Command]``. It reads no clock, starts no process
and touches no file; time comes in with each event (``now``: seconds since the epoch, as a float), and all that
must happen outside goes out as a command. The driver carries commands out and answers with events. The journal
records events; replaying them through a new machine rebuilds the same state.

Ownership of effects:

* pods: ``StartPod`` .. ``PodWaiting``* .. ``PodRunning``/``PodProgress``/``PodSays`` .. exactly one ``PodFinished``;
  ``StopPod`` asks for an early end
* memoization: ``LookupCache`` -> ``CacheAnswer``; ``StoreCache`` -> ``CacheStored``
* locks: ``AcquireLocks`` -> ``LocksWaiting``* -> ``LocksGranted`` | ``LocksRefused``; ``ReleaseLocks`` has no answer
* time: ``SetTimer`` -> ``TimerFired``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Literal, TypeAlias

from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.argo.types import CacheEntry, Outputs, Template
    from tiphys.argo.volume_types import VolumeSpec


__all__ = [
    "AcquireLocks",
    "Begin",
    "CacheAnswer",
    "CacheStored",
    "Command",
    "Event",
    "LocksGranted",
    "LocksRefused",
    "LocksWaiting",
    "LookupCache",
    "NodeSet",
    "PodFinished",
    "PodPhase",
    "PodProgress",
    "PodRunning",
    "PodSays",
    "PodWaiting",
    "Relabel",
    "ReleaseLocks",
    "Resume",
    "SetTimer",
    "Shutdown",
    "StartPod",
    "StopPod",
    "StoreCache",
    "Suspend",
    "TimerFired",
    "WorkflowFinished",
]


PodPhase: TypeAlias = Literal["Succeeded", "Failed", "Error"]  # of a pod that has ended


@frozen
class Event:
    """Something that happened outside. ``now`` is seconds since the epoch."""

    now: float


@frozen
class Begin(Event):
    """The workflow is to start."""


@frozen
class PodRunning(Event):
    """The node's process runs (all its containers have started). ``pod_ip`` feeds ``ip`` of daemon steps."""

    node_id: str
    pod_ip: str = ""


@frozen
class PodWaiting(Event):
    """No room for the node's pod so far; ``message`` as Argo tells it of a pod that is not scheduled."""

    node_id: str
    message: str


@frozen
class PodProgress(Event):
    """The step wrote ``$ARGO_PROGRESS_FILE``: ``progress`` is ``N/M``."""

    node_id: str
    progress: str


@frozen
class PodSays(Event):
    """What people should know of a pod that runs: the node's ``message`` until it ends."""

    node_id: str
    message: str


@frozen
class PodFinished(Event):
    """The pod of a node ended.

    ``phase`` is Succeeded, Failed or Error, ``message`` what Argo would write on the node, ``outputs`` an Argo
    ``Outputs`` object with resolved values (``parameters``, ``artifacts``, ``result``, ``exitCode``). ``containers``
    holds, for a containerSet, a name -> {phase, message, exitCode} mapping. ``created=False``: the pod could not even
    be made (Argo: the API server refused it); that is an Error of whatever contains the step, too. ``resources`` is its
    ``resourcesDuration``.
    """

    node_id: str
    phase: PodPhase
    message: str = ""
    outputs: Outputs | None = None
    containers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    created: bool = True
    resources: Mapping[str, int] = field(default_factory=dict)


@frozen
class CacheAnswer(Event):
    """The entry (Argo's JSON layout) of a memoization cache, None for a miss, or ``error``."""

    node_id: str
    entry: CacheEntry | None = None
    error: str = ""


@frozen
class CacheStored(Event):
    """A ``StoreCache`` was carried out, or failed with ``error``."""

    node_id: str
    error: str = ""


@frozen
class LocksGranted(Event):
    """All locks of the holder were taken (``node_id`` empty: the workflow-level locks)."""

    node_id: str


@frozen
class LocksWaiting(Event):
    """Not yet; ``message`` as Argo writes it, ``lock`` the lock waited for."""

    node_id: str
    message: str
    lock: str = ""


@frozen
class LocksRefused(Event):
    """The locks can never be taken (no such ConfigMap key, bad limit)."""

    node_id: str
    message: str


@frozen
class TimerFired(Event):
    """A timer that ``SetTimer`` asked for."""

    token: str


@frozen
class Shutdown(Event):
    """``argo stop`` or ``argo terminate``."""

    strategy: Literal["Stop", "Terminate"]


@frozen
class Suspend(Event):
    """``argo suspend``: what runs ends, nothing new starts."""


@frozen
class Resume(Event):
    """``argo resume``: lifts ``Suspend`` and completes waiting suspend nodes that match the selector. ``message``: what
    they say then, behind what they said before where everything goes on."""

    selector: str = ""
    message: str = ""


@frozen
class NodeSet(Event):
    """``argo node set`` on suspend nodes that match the selector."""

    selector: str
    phase: str = ""
    message: str = ""
    output_parameters: Mapping[str, str] = field(default_factory=dict)


@frozen
class Relabel(Event):
    """Labels and annotations of the workflow change, also of one that has ended; None takes one away."""

    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)


@frozen
class Command:
    """Something that the driver must do."""


@frozen
class StartPod(Command):
    """Run one leaf template.

    ``template`` is the fully substituted Argo template (container, script, containerSet, resource, http or data) with
    ``inputs.parameters[].value`` and ``inputs.artifacts[]`` resolved to their locations. ``volumes``: those of spec and
    template together.
    ``capture_result``: the parent refers to ``outputs.result``, keep stdout. ``deadline``: seconds since the epoch at
    which the pod must be killed, with ``deadline_message`` as the node's message. ``daemon``: report ready through
    ``PodRunning`` when the readiness probe passes and run until ``StopPod``. ``patches``: ``podSpecPatch`` of workflow
    and template, to be applied in this order. ``holder``: the node whose locks it runs under; empty: none.
    """

    node_id: str
    node_name: str
    pod_name: str
    template: Template
    volumes: tuple[VolumeSpec, ...] = ()
    capture_result: bool = False
    deadline: float | None = None
    deadline_message: str = ""
    daemon: bool = False
    retry_attempt: int = 0
    patches: tuple[str, ...] = ()
    holder: str = ""


@frozen
class StopPod(Command):
    """End a pod: SIGTERM, then SIGKILL after ``grace`` seconds. It still answers with ``PodFinished``."""

    node_id: str
    grace: float = 30.0


@frozen
class LookupCache(Command):
    """Read ``key`` of memoization cache (ConfigMap) ``cache_name``; a hit also updates lastHitTimestamp.

    ``max_age`` is the template's, a Go duration or empty, which counts back from ``now``; ``template`` its name,
    ``parts`` what the key is made of.
    """

    node_id: str
    cache_name: str
    key: str
    max_age: str = ""
    template: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    node_name: str = ""
    now: float = 0.0


@frozen
class StoreCache(Command):
    """Write an entry of a memoization cache; ``max_age``, ``template`` and ``parts`` as in :class:`LookupCache`."""

    node_id: str
    cache_name: str
    key: str
    outputs: Outputs | None
    max_age: str = ""
    template: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)


@frozen
class AcquireLocks(Command):
    """Take all locks or none.

    ``locks``: names as Argo writes them, ``ns/ConfigMap/<cm>/<key>``, ``ns/Mutex/<name>`` or ``ns/Database/<key>``;
    ``semaphores``: those that have a limit of their own, the others admit one. ``within``: the nearest node around it
    that holds locks; empty for the workflow.
    """

    node_id: str
    locks: tuple[str, ...]
    priority: int = 0
    created: float = 0.0
    semaphores: tuple[str, ...] = ()
    node_name: str = ""
    within: str = ""


@frozen
class ReleaseLocks(Command):
    """Give back all locks of a holder (``node_id`` empty: the workflow level)."""

    node_id: str


@frozen
class SetTimer(Command):
    """Answer with ``TimerFired(token)`` at ``at`` (seconds since the epoch) or soon after."""

    token: str
    at: float


@frozen
class WorkflowFinished(Command):
    """The workflow is complete; no further command follows."""

    phase: str
    message: str = ""
