"""What all bodies of templates have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.engine.machine.bodies.call import Call

if TYPE_CHECKING:
    from tiphys.argo.types import Node, NodeFlag, Template


__all__ = ["Body"]


class Body:
    """What runs under one node: a pod, a Steps, a DAG, a wait."""

    __slots__ = ("attempt", "name", "node", "run", "template")
    memoized = True

    def __init__(
        self, run: Call, name: str, template: Template, node: Node | None, attempt: int = -1
    ) -> None:
        self.run = run
        self.name = name
        self.template = template
        self.attempt = attempt
        self.node: Node = node  # type: ignore[assignment]  # created by start()

    def begin(self, kind: str, phase: str) -> None:
        """Create the node, or take over one that waited for a lock."""
        if self.node is None:
            flag: NodeFlag | None = {"retried": True} if self.attempt >= 0 else None
            if flag and self.run.flag and self.run.flag.get("hooked"):
                flag["hooked"] = True
            self.node = self.run.create_node(self.name, kind, phase=phase, flag=flag)
        else:
            self.run.state.nodes.mark(self.node, phase)

    def start(self) -> None:
        """Begin."""
        raise NotImplementedError

    def stop(self, phase: str, message: str) -> None:
        """End early."""
        raise NotImplementedError

    def closed(self) -> None:
        """The node is fulfilled: forget what was kept to route events."""
