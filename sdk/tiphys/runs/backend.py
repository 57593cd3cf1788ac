"""The verbs of a backend: the Argo Server, the Kubernetes API itself, or the runs of this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow


__all__ = ["KEPT_AS", "Backend", "Change", "WorkflowLogLine", "ended"]

KEPT_AS = "tiphys.dev/kept-as"
"""The annotation of an earlier run on this machine whose name a later one took: what the verbs take for its name."""


def ended(workflow: Workflow) -> bool:
    """True when the workflow has reached its end, exit handlers included."""
    return bool((workflow.get("status") or {}).get("finishedAt"))


@dataclass(frozen=True)
class Change:
    """One event of a watch: ``kind`` is ADDED, MODIFIED or DELETED."""

    kind: str
    workflow: Workflow


@dataclass(frozen=True)
class WorkflowLogLine:
    """One line of a pod's log. ``source`` is a short name for people: a step's path, or ``job/worker-0``."""

    pod: str
    container: str
    source: str
    text: str


class Backend(Protocol):
    """What :class:`tiphys.runs.Client` asks for. Every method raises ClusterError (see errors.py)."""

    @property
    def url(self) -> str: ...

    def create(self, namespace: str, workflow: Workflow) -> Workflow: ...

    def get(self, namespace: str, name: str) -> Workflow: ...

    def list(
        self, namespace: str, *, labels: str = "", limit: int = 0, brief: bool = False
    ) -> Sequence[Workflow]:
        """``brief``: nodes, templates and outputs may be left out."""

    def watch(self, namespace: str, name: str, version: str, silence: float) -> Iterator[Change]:
        """The events after resource ``version``, until the stream ends or is silent for ``silence`` seconds.
        A version that is too old gives no event: the caller looks again."""

    def logs(
        self, namespace: str, name: str, *, follow: bool, pod: str = "", container: str = "", tail: int = 0
    ) -> Iterator[WorkflowLogLine]: ...

    def stop(self, namespace: str, name: str, *, nodes: str = "", message: str = "") -> Workflow: ...

    def terminate(self, namespace: str, name: str) -> Workflow: ...

    def suspend(self, namespace: str, name: str) -> Workflow: ...

    def resume(self, namespace: str, name: str, *, nodes: str = "") -> Workflow: ...

    def retry(
        self,
        namespace: str,
        name: str,
        *,
        parameters: Mapping[str, str],
        restart_successful: bool,
        nodes: str,
    ) -> Workflow: ...

    def resubmit(
        self, namespace: str, name: str, *, parameters: Mapping[str, str], memoized: bool
    ) -> Workflow: ...

    def delete(self, namespace: str, name: str) -> None: ...

    def limits(self, namespace: str, config_map: str, keys: Sequence[str]) -> dict[str, str]:
        """The values that exist among ``keys`` of a ConfigMap with semaphore limits."""

    def set_limits(self, namespace: str, config_map: str, values: Mapping[str, str]) -> None:
        """Create or change semaphore limits; other keys stay."""

    def cache_bytes(self, namespace: str, config_map: str) -> int | None:
        """How many bytes of data a ConfigMap holds; None where it is not there or cannot be seen."""

    def leftovers(self, namespace: str, name: str, *, delete: bool) -> Sequence[str]:
        """``kind/name`` of the TFJobs, Deployments and Services that carry the workflow's label; deleted if
        asked. A way that cannot see them raises ClusterError TIP611."""

    def close(self) -> None: ...
