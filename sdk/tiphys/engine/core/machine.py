"""The state machine of one workflow: events in, commands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tiphys.engine.core.protocol import Command, Event

Json = Any

__all__ = ["Machine"]


class Machine:
    """One workflow's execution state.

    Parameters
    ----------
    workflow:
        The Workflow object as in its JSON/YAML.
    name, namespace, uid:
        Its identity; ``name`` also when the object has only ``generateName``.
    parameters:
        Values for ``spec.arguments.parameters`` (``-p name=value``).
    context:
        Objects given with the workflow: ConfigMaps, Secrets, WorkflowTemplates, ClusterWorkflowTemplates.
    now:
        Creation time in seconds since the epoch.

    Raises
    ------
    tiphys.errors.RefusedError
        The workflow uses a feature that cannot run locally, or a parameter it does not have.
    """

    def __init__(
        self,
        workflow: Mapping[str, Json],
        *,
        name: str,
        namespace: str = "argo",
        uid: str,
        parameters: Mapping[str, str] | None = None,
        context: Sequence[Mapping[str, Json]] = (),
        now: float,
    ) -> None:
        self.nodes: dict[str, dict[str, Json]] = {}
        self.done = False

    def handle(self, event: Event) -> list[Command]:
        """Move the state on by one event and return what must be done outside."""
        raise NotImplementedError

    def changed(self) -> list[str]:
        """Return the IDs of the nodes that the last ``handle`` created or changed."""
        raise NotImplementedError

    def workflow(self) -> dict[str, Json]:
        """Return the Workflow object with ``status`` as Argo writes it."""
        raise NotImplementedError
