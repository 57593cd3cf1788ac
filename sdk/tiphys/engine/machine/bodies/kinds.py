"""Which template has which kind of body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiphys.engine.machine.bodies.body import Body
from tiphys.engine.machine.bodies.call import Call
from tiphys.engine.machine.bodies.dag import DagBody
from tiphys.engine.machine.bodies.pod import PodBody
from tiphys.engine.machine.bodies.steps import StepsBody
from tiphys.engine.machine.bodies.suspend import SuspendBody

if TYPE_CHECKING:
    from tiphys.argo.types import Node, Template


__all__ = ["make_body"]

_KINDS: dict[str, type[Body]] = {
    "steps": StepsBody,
    "dag": DagBody,
    "suspend": SuspendBody,
}  # all others are pods


def make_body(run: Call, name: str, template: Template, node: Node | None, attempt: int = -1) -> Body:
    """Return the body for the call's template."""
    assert run.compiled is not None
    return _KINDS.get(run.compiled.kind, PodBody)(run, name, template, node, attempt)
