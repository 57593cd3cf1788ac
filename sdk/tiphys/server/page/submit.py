"""Begin a run: from a template that the store keeps, with a field for each parameter, or from YAML."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from starlette.routing import Route

from tiphys.argo.reader import read_text
from tiphys.errors import TiphysError
from tiphys.server.answers import RequestError
from tiphys.server.creators import created_by, user_of
from tiphys.server.page.frame import form_of, moved
from tiphys.server.views.parts import link

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.argo.types import GivenObject, Workflow
    from tiphys.server.page.frame import Frame

__all__ = ["NAV", "routes"]

NAV = ("Submit", "/ui/submit")
_FIELD = "parameter:"


def _given(fields: dict[str, str]) -> GivenObject:
    """The Workflow that a form asks for. Raises RequestError 422, and what :func:`read_text` raises."""
    template = fields.get("template", "")
    if template:
        values = [
            {"name": name.removeprefix(_FIELD), "value": value}
            for name, value in fields.items()
            if name.startswith(_FIELD)
        ]
        made: object = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"generateName": f"{template}-"},
            "spec": {"workflowTemplateRef": {"name": template}, "arguments": {"parameters": values}},
        }
    else:
        documents = [each.data for each in read_text(fields.get("yaml", ""), file="what was sent")]
        if (
            len(documents) != 1
            or not isinstance(documents[0], dict)
            or documents[0].get("kind") != "Workflow"
        ):
            raise RequestError(422, "Give one object of kind Workflow.")
        made = documents[0]
    return cast("GivenObject", made)


def routes(frame: Frame) -> list[Route]:
    templates = frame.desk.templates[0]

    def page(request: Request, fields: dict[str, str], problem: str, code: int) -> Response:
        name = fields.get("template") or request.query_params.get("template", "")
        chosen: Workflow | None = templates.get(name) if name else None
        arguments = ((chosen or {}).get("spec") or {}).get("arguments") or {}
        return frame.show(
            request,
            "submit.html",
            title="Submit",
            code=code,
            templates=[each["metadata"]["name"] for each in templates.briefs()[1]],
            chosen=name if chosen is not None else "",
            parameters=list(arguments.get("parameters") or ()),
            fields=fields,
            problem=problem,
        )

    def form(request: Request) -> Response:
        return page(request, {}, "", 200)

    async def submit(request: Request) -> Response:
        fields = await form_of(request)
        try:
            who = user_of(request)
            made = await asyncio.to_thread(lambda: frame.desk.create(created_by(_given(fields), who)))
        except TiphysError as error:
            told = f"{error.code}: {error.message}" + (f"\n{error.fix}" if error.fix else "")
            return await asyncio.to_thread(page, request, fields, told, 422)
        except RequestError as error:
            return await asyncio.to_thread(page, request, fields, error.message, error.number)
        return moved(link("runs", made["metadata"]["name"]))

    return [Route(NAV[1], form, methods=["GET"]), Route(NAV[1], submit, methods=["POST"])]
