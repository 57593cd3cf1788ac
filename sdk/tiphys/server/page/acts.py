"""Verbs: a page that says what will happen, and the button that does it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.routing import Route

from tiphys.argo.nodes import ACTIVE, is_step, label
from tiphys.argo.time import rfc3339
from tiphys.argo.verbs import retried
from tiphys.argo.verbs.problem import ImpossibleError
from tiphys.server.answers import RequestError
from tiphys.server.creators import acted, user_of
from tiphys.server.differences import AskedChange
from tiphys.server.page.frame import form_of, moved
from tiphys.server.verbs import carry_out
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.argo.types import Workflow
    from tiphys.records.record import RunRecord
    from tiphys.server.page.frame import Frame

__all__ = ["NAV", "foretold", "routes"]

NAV = None
_VERBS = {
    "stop": "Stop",
    "terminate": "Terminate",
    "suspend": "Suspend",
    "resume": "Resume",
    "retry": "Retry",
    "resubmit": "Resubmit",
    "delete": "Delete",
}


def foretold(verb: str, workflow: Workflow, run: RunRecord) -> list[str]:
    """What a verb will do, in sentences. Raises RequestError 409 where it cannot be done."""
    active = [each.name for each in run.steps if each.phase in ACTIVE]
    if verb == "retry":
        return _retry(workflow)
    if verb == "resubmit":
        given = ", ".join(f"{name}={value[:60]}" for name, value in run.parameters.items())
        return ["A new run begins, of all steps" + (f", with {given}." if given else ".")]
    if verb == "delete":
        ends = [f"It ends first: {_named(active)}"] if run.phase in ACTIVE else []
        return [
            *ends,
            "The run, its logs and its outputs are gone for good. What the cache took from it stays.",
        ]
    if run.phase not in ACTIVE:
        raise RequestError(409, f"{run.name} has ended as {run.phase}.")
    if verb == "stop":
        return [f"No further step begins; what runs is ended: {_named(active)}", "Exit handlers run."]
    if verb == "terminate":
        return [f"Everything ends at once: {_named(active)}", "Exit handlers do not run."]
    if verb == "suspend":
        return [f"What runs goes on to its end: {_named(active)}", "Nothing new begins until it is resumed."]
    gates = [each.name for each in run.steps if each.kind == "Suspend" and each.phase == "Running"]
    return [f"It goes on: {_named(gates)}" if gates else "It goes on where it stood."]


def _named(names: list[str]) -> str:
    if not names:
        return "nothing runs just now."
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}."


def _retry(workflow: Workflow) -> list[str]:
    try:
        after, _ = retried(workflow, rfc3339(time.time()))
    except ImpossibleError as error:
        raise RequestError(409, f"{error.message}. {error.fix}") from error
    name = workflow["metadata"]["name"]
    before, kept = (each["status"].get("nodes") or {} for each in (workflow, after))
    steps = {identity: label(node, name) for identity, node in before.items() if is_step(node)}
    stays = [
        identity
        for identity in steps
        if identity in kept and kept[identity].get("phase") == before[identity].get("phase")
    ]
    again = [each for identity, each in steps.items() if identity not in stays]
    return [
        f"Keeps {len(stays)} steps, runs {len(again)} again: {_named(again)}",
        "What was kept and has been lost or altered since runs again, too.",
    ]


def _do(verb: str, name: str, frame: Frame, who: str) -> str:
    """Carry it out; where to look then."""
    desk = frame.desk
    if verb == "delete":
        desk.delete(name)
        desk.board.look()
        return "/ui/runs"
    if verb == "resubmit":
        name = desk.submissions.resubmit(name, parameters={}, memoized=False, who=who)
    else:
        asked = {
            "stop": AskedChange(shutdown="Stop", labels=acted(who, "Stop")),
            "terminate": AskedChange(shutdown="Terminate", labels=acted(who, "Terminate")),
            "suspend": AskedChange(suspend=True, labels=acted(who, "Suspend")),
            "resume": AskedChange(suspend=False, labels=acted(who, "Resume")),
            "retry": AskedChange(retry=True, labels=acted(who, "Retry")),
        }[verb]
        carry_out(asked, name, desk.runs, desk.submissions, who=who)
    desk.board.look(name)  # a new one, or one that is retried and had ended
    return link("runs", name)


def routes(frame: Frame) -> list[Route]:
    def verb_of(request: Request) -> str:
        verb = request.path_params["verb"]
        if verb not in _VERBS:
            raise RequestError(404, "There is no such verb.")
        return str(verb)

    def ask(request: Request) -> Response:
        verb = verb_of(request)
        workflow, run = frame.desk.run(request.path_params["name"])
        return frame.show(
            request,
            "act.html",
            title=f"{_VERBS[verb]} {run.name}",
            run=run,
            base=link("runs", run.name),
            word=_VERBS[verb],
            will=foretold(verb, workflow, run),
            danger=verb in ("terminate", "delete"),
        )

    async def act(request: Request) -> Response:
        verb = verb_of(request)
        await form_of(request)
        _, run = await asyncio.to_thread(frame.desk.run, request.path_params["name"])
        return moved(await asyncio.to_thread(_do, verb, run.name, frame, user_of(request)))

    path = "/ui/runs/{name}/do/{verb}"
    return [Route(path, ask, methods=["GET"]), Route(path, act, methods=["POST"])]
