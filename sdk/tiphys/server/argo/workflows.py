"""Workflows: created, submitted from a template, listed, read, and the verbs on them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, cast

from starlette.routing import Route

from tiphys.argo.nodes import COMPLETED
from tiphys.argo.time import rfc3339
from tiphys.argo.verbs import resubmitted as formulate_resubmit
from tiphys.argo.verbs import retried as formulate_retry
from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Asked, answered, found_run, known_run
from tiphys.server.argo.fields import FieldMask
from tiphys.server.argo.lists import ListAsked, ended, page
from tiphys.server.argo.submitting import submitted
from tiphys.server.creators import acted, created_by, resumed_by
from tiphys.server.verbs import set_nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.server.creators import ActorAction
    from tiphys.server.desk import Desk

__all__ = ["resubmitted", "retried", "workflow_routes"]

_ALL = "/api/v1/workflows/"
_INSIDE = "/api/v1/workflows/{namespace}"


def workflow_routes(desk: Desk) -> list[Route]:
    """All operations on Workflows but the streams."""
    one = f"{_INSIDE}/{{name}}"
    verbs: dict[str, Callable[[Desk, Asked], object]] = {
        "retry": _retry,
        "resubmit": _resubmit,
        "resume": _resume,
        "suspend": _suspend,
        "stop": _stop,
        "terminate": _terminate,
        "set": _set,
    }
    return [
        Route(_ALL, answered(_list, desk), methods=["GET"]),
        Route(_INSIDE, answered(_list, desk), methods=["GET"]),
        Route(_INSIDE, answered(_create, desk), methods=["POST"]),
        Route(f"{_INSIDE}/submit", answered(_submit, desk), methods=["POST"]),
        Route(f"{_INSIDE}/lint", answered(_lint, desk), methods=["POST"]),
        Route(one, answered(_get, desk), methods=["GET"]),
        Route(one, answered(_delete, desk), methods=["DELETE"]),
        *(Route(f"{one}/{verb}", answered(work, desk), methods=["PUT"]) for verb, work in verbs.items()),
    ]


def _list(desk: Desk, asked: Asked) -> JsonObject:
    wanted = ListAsked.of(asked.query, asked.namespace, desk.board.namespace)
    return page(desk, wanted, asked.query.get("fields", ""), also=lambda brief: asked.here(desk))


def _get(desk: Desk, asked: Asked) -> JsonObject:
    found = known_run(desk, asked, asked.query.get("uid", ""))
    return FieldMask(asked.query.get("fields", "")).workflow(found)


def _create(desk: Desk, asked: Asked) -> Workflow:
    asked.only_here(desk)
    given = asked.given("workflow", "Workflow")
    return _made(desk, asked, given, asked.dry(), asked.flag("serverDryRun"))


def _submit(desk: Desk, asked: Asked) -> Workflow:
    asked.only_here(desk)
    return _made(desk, asked, *submitted(desk, asked))


def _made(desk: Desk, asked: Asked, given: GivenObject, dry: bool, server_dry: bool) -> Workflow:
    made = desk.create(created_by(given, asked.who), dry=dry or server_dry)
    if not dry:
        return made
    of_the_server = ("uid", "creationTimestamp")
    metadata = {key: value for key, value in made["metadata"].items() if key not in of_the_server}
    return cast("Workflow", {**made, "metadata": metadata})


def _lint(desk: Desk, asked: Asked) -> Workflow:
    given = asked.given("workflow", "Workflow")
    desk.lint(given)
    return cast("Workflow", given)


def _delete(desk: Desk, asked: Asked) -> JsonObject:
    name = found_run(desk, asked)["metadata"]["name"]
    if not asked.query.get("deleteOptions.dryRun"):
        desk.delete(name)
        desk.board.look()
    return {}


# -- the verbs ------------------------------------------------------------------------------------------------------


def _retry(desk: Desk, asked: Asked) -> Workflow:
    return retried(desk, asked, found_run(desk, asked))


def _resubmit(desk: Desk, asked: Asked) -> Workflow:
    return resubmitted(desk, asked, known_run(desk, asked))


def retried(desk: Desk, asked: Asked, found: Workflow) -> Workflow:
    """What failed in a run runs again."""
    name, nodes = found["metadata"]["name"], asked.text("nodeFieldSelector")
    phase, restart = (found.get("status") or {}).get("phase"), asked.flag("restartSuccessful")
    if phase == "Succeeded" and not (restart and nodes):
        raise RequestError(
            400, "To retry a succeeded workflow, set the options restartSuccessful and nodeFieldSelector"
        )
    if phase not in COMPLETED:
        raise RequestError(400, f"Cannot retry a workflow in phase {phase or ''}")
    parameters = asked.parameters()
    if not _in_store(desk, found):
        if desk.board.get(name) is not None:
            told = f"Workflow already exists on cluster, use argo retry {name} instead"
            raise RequestError(409, told, "AlreadyExists")
        desk.submissions.retry_archived(
            found, desk.context(), parameters=parameters, restart_successful=restart, nodes=nodes
        )
    else:
        desk.runs.relabel(name, acted(asked.who, "Retry"), {})
        desk.submissions.retry(name, parameters=parameters, restart_successful=restart, nodes=nodes)
    # as it was written: what the engine makes of it comes with the next change
    written, _ = formulate_retry(
        found, rfc3339(time.time()), parameters=parameters, restart_successful=restart, selector=nodes
    )
    written["status"].pop("phase", None)  # the controller finds one
    return {**written, "metadata": _now(desk, name)["metadata"]}


def resubmitted(desk: Desk, asked: Asked, found: Workflow) -> Workflow:
    """A copy of a run runs."""
    memoized, phase = asked.flag("memoized"), (found.get("status") or {}).get("phase")
    if memoized and phase not in ("Failed", "Error"):
        raise RequestError(400, "workflow must be Failed/Error to resubmit in memoized mode")
    name, parameters = found["metadata"]["name"], asked.parameters()
    if not _in_store(desk, found):
        if memoized:
            raise RequestError(
                422, f"what {name} came to is in the archive: retry it, which keeps what succeeded"
            )
        made = formulate_resubmit(found, parameters=parameters)
        return desk.create(created_by(cast("GivenObject", made), asked.who))
    name = desk.submissions.resubmit(name, parameters=parameters, memoized=memoized, who=asked.who)
    return _now(desk, name)


def _resume(desk: Desk, asked: Asked) -> Workflow:
    name = found_run(desk, asked)["metadata"]["name"]
    nodes, message = asked.text("nodeFieldSelector"), resumed_by(asked.who)
    desk.runs.resume(desk.board.namespace, name, nodes=nodes, message=message)
    return _after(desk, asked, name, "Resume")


def _suspend(desk: Desk, asked: Asked) -> Workflow:
    found = found_run(desk, asked)
    if ended(found):
        raise RequestError(400, "cannot suspend completed workflows")
    name = found["metadata"]["name"]
    desk.runs.suspend(desk.board.namespace, name)
    return _after(desk, asked, name, "Suspend")


def _stop(desk: Desk, asked: Asked) -> Workflow:
    found = found_run(desk, asked)
    name, nodes = found["metadata"]["name"], asked.text("nodeFieldSelector")
    if not nodes:
        _still_on(found)
    desk.runs.stop(desk.board.namespace, name, nodes=nodes, message=asked.text("message"))
    return _after(desk, asked, name, "Stop")


def _terminate(desk: Desk, asked: Asked) -> Workflow:
    found = found_run(desk, asked)
    _still_on(found)
    desk.runs.terminate(desk.board.namespace, found["metadata"]["name"])
    return _after(desk, asked, found["metadata"]["name"], "Terminate")


def _set(desk: Desk, asked: Asked) -> Workflow:
    name, nodes = found_run(desk, asked)["metadata"]["name"], asked.text("nodeFieldSelector")
    if not nodes:
        raise RequestError(
            500, "'set' currently only targets suspend nodes, use a node field selector to target them"
        )
    try:
        outputs = json.loads(asked.text("outputParameters") or "{}")
    except ValueError as error:
        raise RequestError(400, f"unable to parse output parameter set request: {error}") from None
    if not isinstance(outputs, dict):
        raise RequestError(400, "unable to parse output parameter set request: it is no object")
    given = {str(key): str(value) for key, value in outputs.items()}
    set_nodes(nodes, asked.text("phase"), asked.text("message"), given, name, desk.runs)
    return _now(desk, name)


# -- inside ---------------------------------------------------------------------------------------------------------


def _after(desk: Desk, asked: Asked, name: str, action: ActorAction) -> Workflow:
    """A run as it stands after what somebody did to it, which its labels tell."""
    desk.runs.relabel(name, acted(asked.who, action), {})
    return _now(desk, name)


def _now(desk: Desk, name: str) -> Workflow:
    """A run as it stands after what was done to it."""
    desk.board.look(name)  # one that is retried had ended
    return found_run(desk, Asked({"name": name}, {}, {}))


def _in_store(desk: Desk, found: Workflow) -> bool:
    """Whether a run is there, or in the archive alone."""
    now = desk.board.get(found["metadata"]["name"])
    return now is not None and now["metadata"].get("uid") == found["metadata"].get("uid")


def _still_on(workflow: Workflow) -> None:
    if ended(workflow):
        name, space = workflow["metadata"]["name"], workflow["metadata"].get("namespace")
        raise RequestError(
            500, f'cannot shutdown a completed workflow: workflow: "{name}", namespace: "{space}"'
        )
