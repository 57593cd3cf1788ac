"""A step: what it was given and made, what it ran, each attempt, and why its result was or was not an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from tiphys.argo.nodes import ACTIVE, label, template_name, texts
from tiphys.compiler.emit import emit
from tiphys.records.requests import templates_of
from tiphys.reuse.explain import explain
from tiphys.server.answers import RequestError
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.argo.types import Node, Workflow
    from tiphys.records.record import StepRecord
    from tiphys.server.page.frame import Frame

__all__ = ["NAV", "routes"]

NAV = None


def _step(steps: tuple[StepRecord, ...], node: str) -> StepRecord | None:
    """The step of a node, or that whose attempt it is."""
    for step in steps:
        if step.node == node or any(each.node == node for each in step.attempts):
            return step
    return None


def _given(node: Node) -> dict[str, str]:
    found = (node.get("inputs") or {}).get("parameters") or []
    return {str(each["name"]): str(each.get("value", "")) for each in found}


def _template(workflow: Workflow, name: str) -> str:
    """A template as YAML; empty where it is kept elsewhere."""
    return next((emit(each) for each in templates_of(workflow) if each.get("name") == name), "")


def routes(frame: Frame) -> list[Route]:
    def one(request: Request) -> Response:
        number = frame.desk.board.number
        workflow, run = frame.desk.run(request.path_params["name"])
        identity = request.path_params["node"]
        node = ((workflow.get("status") or {}).get("nodes") or {}).get(identity)
        if node is None:
            raise RequestError(404, f"{run.name} has no step {identity[:200]!r}.")
        step = _step(run.steps, identity)
        name = label(node, run.name)
        why = explain(frame.desk.board.store, step.name, run.name) if step is not None else []
        return frame.show(
            request,
            "step.html",
            title=f"{name} · {run.name}",
            run=run,
            base=link("runs", run.name),
            name=name,
            node=node,
            number=number,
            active=run.phase in ACTIVE,
            step=step,
            hit=step is not None and step.hit,
            phase=str(node.get("phase") or ""),
            message=str(node.get("message") or ""),
            inputs=step.inputs if step is not None else _given(node),
            outputs=step.outputs if step is not None else texts(node.get("outputs")),
            body=_template(workflow, template_name(node)),
            why=why,
        )

    return [Route("/ui/runs/{name}/steps/{node}", one)]
