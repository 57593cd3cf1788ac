"""A run: its planned graph, live; its steps as a list; when they ran; why it waits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from starlette.routing import Route

from tiphys.argo.decode import as_stored
from tiphys.argo.nodes import ACTIVE, BUNDLES, FAILED, is_hit, label
from tiphys.errors import TiphysError
from tiphys.graph import plan
from tiphys.pages.html import phase_class
from tiphys.runs.records import record_of
from tiphys.server.page.drawing import SIGNS, LaidOut, drawing, laid_out
from tiphys.server.page.feed import events, told
from tiphys.server.page.locks import waiting_of
from tiphys.server.page.states import ItemState, item_states
from tiphys.server.page.timeline import rows
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.argo.types import Node, Workflow
    from tiphys.graph import PlannedGraph
    from tiphys.server.page.frame import Frame

__all__ = ["NAV", "Branch", "routes", "shortened", "tree"]

NAV = None
_MOST = 200  # steps beside each other in the list, where not all are asked for


@dataclass
class Branch:
    """A node in the nested list, with those inside it."""

    node: str
    name: str
    phase: str
    hit: bool
    message: str
    inner: list[Branch] = field(default_factory=list)
    left_out: int = 0  # of those inside


def tree(workflow: Workflow) -> list[Branch]:
    """The nodes of a run as people count them, inside those that they belong to."""
    name = workflow["metadata"]["name"]
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    tried = {
        child: node["id"]
        for node in nodes.values()
        if node.get("type") == "Retry"
        for child in node.get("children") or ()
    }
    branches = {
        each["id"]: Branch(
            each["id"],
            str(each.get("displayName") or label(each, name)),
            str(each.get("phase") or ""),
            is_hit(each),
            str(each.get("message") or ""),
        )
        for each in nodes.values()
        if each.get("type") not in BUNDLES
    }
    top: list[Branch] = []
    for identity in sorted(branches, key=lambda each: _order(nodes[each])):
        around = tried.get(identity) or nodes[identity].get("boundaryID") or ""
        where = branches[around].inner if around in branches and around != identity else top
        where.append(branches[identity])
    return top[0].inner + top[1:] if top and top[0].inner else top


def shortened(found: list[Branch], most: int = _MOST) -> tuple[list[Branch], int]:
    """Those that are shown, and how many are not: of more than ``most`` beside each other first go those that
    succeeded, the last of them first."""
    shown = found
    if len(found) > most:
        ranked = sorted(range(len(found)), key=lambda place: (found[place].phase == "Succeeded", place))
        shown = [found[place] for place in sorted(ranked[:most])]
    for each in shown:
        each.inner, each.left_out = shortened(each.inner, most)
    return shown, len(found) - len(shown)


def _order(node: Node) -> tuple[str, str]:
    return str(node.get("startedAt") or "9"), str(node.get("name") or "")


def planned(workflow: Workflow) -> PlannedGraph | None:
    """What would run; None where nothing can be drawn."""
    try:
        status = workflow.get("status") or {}
        spec = status.get("storedWorkflowTemplateSpec") or workflow.get("spec") or {}
        return plan(as_stored(cast("Workflow", {**workflow, "spec": spec})))
    except (TiphysError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _told(states: Mapping[str, ItemState]) -> dict[str, list[str]]:
    return {
        key: [each.css or "yet", SIGNS[each.css], each.told or "not begun"] for key, each in states.items()
    }


def routes(frame: Frame) -> list[Route]:
    board = frame.desk.board

    def one(request: Request) -> Response:
        number = board.number
        workflow, run = frame.desk.run(request.path_params["name"])
        base = link("runs", run.name)
        picture = _plan_of(workflow)
        svg = ""
        if picture is not None:
            states = item_states(picture.plan, workflow, run)
            svg = drawing(picture, states, lambda state: _link(run.name, state))
        times, axis, left_out = rows(run)
        steps, more = tree(workflow), 0
        if request.query_params.get("steps") != "all":
            steps, more = shortened(steps)
        return frame.show(
            request,
            "run.html",
            title=run.name,
            run=run,
            base=base,
            number=number,
            active=run.phase in ACTIVE,
            failed=run.phase in FAILED,
            suspended=bool((workflow.get("spec") or {}).get("suspend")),
            gates=[each for each in run.steps if each.kind == "Suspend" and each.phase == "Running"],
            graph=frame.drawn(svg),
            tree=steps,
            more=more,
            times=[(each.step, frame.drawn(each.svg)) for each in times],
            axis=axis,
            left_out=left_out,
            causes=run.causes(),
            waiting=waiting_of(frame.desk, run) if run.phase in ACTIVE else [],
            now=time.time(),
        )

    async def feed(request: Request) -> Response:
        name = request.path_params["name"]
        before: dict[str, list[str]] = {}
        phases: list[str] = []

        def news(names: frozenset[str]) -> object:
            if name not in names and "*" not in names:
                return None
            workflow = board.get(name)
            if workflow is None:
                return {"gone": True}
            run = record_of(workflow, board.store, name)
            picture = _plan_of(workflow)
            now = _told(item_states(picture.plan, workflow, run)) if picture is not None else {}
            changed = {key: each for key, each in now.items() if before.get(key) != each}
            before.update(now)
            said = "" if phases[-1:] in ([], [run.phase]) else f"{run.name}: {run.phase}"
            phases.append(run.phase)
            return {"items": changed, "phase": [run.phase, phase_class(run.phase)], "said": said}

        return events(told(request, board, _since(request, board.number), news))

    async def every(request: Request) -> Response:
        return events(told(request, board, _since(request, board.number), lambda names: {"items": {}}))

    return [
        Route("/ui/feed", every),
        Route("/ui/runs/{name}", one),
        Route("/ui/runs/{name}/feed", feed),
    ]


def _since(request: Request, number: int) -> int:
    text = request.headers.get("last-event-id") or request.query_params.get("since", "")
    return int(text) if text.isascii() and text.isdigit() else number


@dataclass(frozen=True)
class _Plannable:
    """A Workflow, as far as its plan needs it: a run has the same, once the templates that it refers to are stored."""

    uid: str
    stored: bool
    workflow: Workflow = field(compare=False)


def _plan_of(workflow: Workflow) -> LaidOut | None:
    status = workflow.get("status") or {}
    stored = "storedWorkflowTemplateSpec" in status or "storedTemplates" in status
    return _kept(_Plannable(str(workflow["metadata"].get("uid")), stored, workflow))


@lru_cache(maxsize=32)
def _kept(of: _Plannable) -> LaidOut | None:
    found = planned(of.workflow)
    return laid_out(found) if found is not None else None


def _link(run: str, state: ItemState) -> str:
    if not state.steps:
        return ""
    worst = next((each for each in state.steps if each.phase in FAILED), state.steps[0])
    return link("runs", run, "steps", worst.node)
