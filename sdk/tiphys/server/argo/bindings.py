"""Events that begin runs: ``POST /api/v1/events/NAMESPACE/DISCRIMINATOR``, and the WorkflowEventBindings that wait for
them.

Source: server/event of Argo 4.0.5: an expression says which events a binding means, and others what of an event is
given to the Workflow. Of a request's headers they see those that begin with ``x-``: no token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tiphys.errors import TiphysError
from tiphys.expr.argo_functions import ARGO
from tiphys.expr.evaluate import compile_expression, evaluate_bool
from tiphys.expr.gojson import marshal, unmarshal
from tiphys.expr.lexer import ExprError
from tiphys.expr.sprig import SPRIG
from tiphys.server.answers import RequestError
from tiphys.server.argo.asked import Answer, Asked, answered, not_here
from tiphys.server.argo.submitting import referring
from tiphys.server.bodies import body_of
from tiphys.server.collections import listed
from tiphys.server.creators import created_by, user_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import GivenObject
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.server.desk import Desk

__all__ = ["BindingError", "binding_routes", "bound", "event_variables"]

_LABEL = "workflows.argoproj.io/workflow-event-binding"
_LISTS = "/api/v1/workflow-event-bindings"
_EVENTS = "/api/v1/events/{namespace}/"


class BindingError(Exception):
    """What a binding asks for cannot be done, in Argo's words."""


def event_variables(
    namespace: str, discriminator: str, headers: Mapping[str, list[str]], payload: Json
) -> JsonObject:
    """What expressions see of an event; ``headers``: by their names in lower case."""
    shown = {name: cast("Json", values) for name, values in headers.items() if name.startswith("x-")}
    return {"namespace": namespace, "discriminator": discriminator, "metadata": shown, "payload": payload}


def bound(binding: GivenObject, event: JsonObject) -> JsonObject | None:
    """The Workflow that a binding makes of an event (:func:`event_variables`); None of one that it does not mean.
    Raises BindingError."""
    spec = _inside(cast("JsonObject", binding), "spec")
    selector = str(_inside(spec, "event").get("selector") or "")
    try:
        meant = evaluate_bool(compile_expression(selector), event)
    except ExprError as error:
        raise BindingError(f"failed to evaluate workflow template expression: {error}") from None
    submit = _inside(spec, "submit")
    if not meant or not submit:
        return None
    reference = _inside(submit, "workflowTemplateRef")
    made = referring(str(reference.get("name") or ""), cluster=reference.get("clusterScope") is True)
    metadata, told = cast("JsonObject", made["metadata"]), _inside(submit, "metadata")
    for key in ("name", "generateName"):
        if told.get(key):
            metadata[key] = _text(str(told[key]), event, key)
    for key, called in (("labels", "label"), ("annotations", "annotation")):
        found = {
            name: _text(str(value), event, f'{called} "{name}"') for name, value in _inside(told, key).items()
        }
        metadata[key] = {**cast("JsonObject", metadata[key]), **found}
    cast("JsonObject", metadata["labels"])[_LABEL] = str(binding["metadata"]["name"])
    given = _inside(submit, "arguments").get("parameters")
    if isinstance(given, list):
        parameters: list[Json] = [_parameter(cast("JsonObject", each), event) for each in given]
        cast("JsonObject", made["spec"])["arguments"] = {"parameters": parameters}
    return made


def _inside(given: JsonObject, key: str) -> JsonObject:
    found = given.get(key)
    return found if isinstance(found, dict) else {}


def _text(expression: str, event: JsonObject, what: str) -> str:
    try:
        found = compile_expression(expression).run({**event, **ARGO, "sprig": SPRIG})
    except ExprError as error:
        raise BindingError(f"failed to evaluate workflow {what} expression: {error}") from None
    if not isinstance(found, str):
        raise BindingError(f"workflow {what} expression must evaluate to a string")
    return found


def _parameter(given: JsonObject, event: JsonObject) -> JsonObject:
    name, source = str(given.get("name") or ""), given.get("valueFrom")
    if not isinstance(source, dict):
        raise BindingError(f'malformed workflow template parameter "{name}": valueFrom is nil')
    try:
        found = compile_expression(str(source.get("event") or "")).run(event)
    except ExprError as error:
        raise BindingError(
            f'failed to evaluate workflow template parameter "{name}" expression: {error}'
        ) from None
    try:
        return {"name": name, "value": found if isinstance(found, str) else marshal(found)}
    except (TypeError, ValueError) as error:
        raise BindingError(f'failed to convert result to JSON "{name}" expression: {error}') from None


# -- what is asked ----------------------------------------------------------------------------------------------------


def binding_routes(desk: Desk) -> list[Route]:
    """What is kept, and who receives events: with a discriminator, or without."""
    received = _receiving(desk)
    return [
        *(Route(f"{_EVENTS}{end}", received, methods=["POST"]) for end in ("", "{discriminator}")),
        *(Route(f"{_LISTS}/{end}", answered(_listed, desk), methods=["GET"]) for end in ("", "{namespace}")),
    ]


def _listed(desk: Desk, asked: Asked) -> JsonObject:
    kept = desk.bindings
    return cast("JsonObject", listed(kept, asked.options(), kept.kind, kept.api, here=asked.here(desk)))


def _receiving(desk: Desk) -> Answer:
    async def receive(request: Request) -> Response:
        body = await body_of(request)
        try:
            payload = unmarshal(body.decode(), floats=True) if body.strip() else None
        except ValueError as error:
            raise RequestError(400, f"the body is no JSON: {error}") from None
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        namespace = request.path_params["namespace"]
        event = event_variables(namespace, request.path_params.get("discriminator", ""), headers, payload)
        if namespace == desk.board.namespace:
            await asyncio.to_thread(_dispatch, desk, event, user_of(request))
        return JSONResponse({})

    return receive


def _dispatch(desk: Desk, event: JsonObject, who: str) -> None:
    """Begin what each binding makes of an event. Raises RequestError 500, when all were asked, with what failed."""
    failed = []
    for binding in desk.bindings.briefs()[1]:
        try:
            made = bound(cast("GivenObject", binding), event)
            if made is not None:
                _begin(desk, created_by(cast("GivenObject", made), who))
        except BindingError as error:
            desk.events.warn(binding, "WorkflowEventBindingError", f"failed to dispatch event: {error}")
            failed.append(str(error))
    if failed:
        raise RequestError(500, f"failed to dispatch event: [{' '.join(failed)}]")


def _begin(desk: Desk, made: GivenObject) -> None:
    reference = _inside(_inside(cast("JsonObject", made), "spec"), "workflowTemplateRef")
    namespaced, cluster = desk.templates
    kept, name = cluster if reference.get("clusterScope") else namespaced, str(reference["name"])
    if kept.get(name) is None:
        raise BindingError(f"failed to get workflow template: {not_here(kept.resource, name).message}")
    try:
        desk.create(made)
    except RequestError as error:
        raise BindingError(f"failed to create workflow: {error.message}") from None
    except TiphysError as error:
        raise BindingError(f"failed to create workflow: {error.code}: {error.message}") from None
