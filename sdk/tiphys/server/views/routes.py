"""The addresses of the views, below ``/ui``: pages of a run, two runs compared, lineage, what models say of a picture.

A view is a function of what a run has recorded to parts (:mod:`tiphys.server.views.parts`). To add one: write it, and
give it a name in ``_VIEWS``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tiphys.argo.nodes import ACTIVE
from tiphys.errors import ServingError, TiphysError
from tiphys.pages import report
from tiphys.records.datasets import datasets
from tiphys.runs.records import Records
from tiphys.runs.services import ServedModel, served, think
from tiphys.server.answers import RequestError
from tiphys.server.bodies import body_of
from tiphys.server.views.compare import difference_parts
from tiphys.server.views.data import data_parts
from tiphys.server.views.judged import candidate_parts
from tiphys.server.views.lineage import items
from tiphys.server.views.models import class_names, drawable, model_parts, thoughts
from tiphys.server.views.parts import Part, link
from tiphys.server.views.resources import prices_of, resource_parts
from tiphys.server.views.training import training_parts

if TYPE_CHECKING:
    from starlette.requests import Request

    from tiphys.argo.types import Workflow
    from tiphys.records.record import RunRecord
    from tiphys.server.desk import Desk

__all__ = ["VIEWS", "ViewFrame", "view_routes"]

VIEWS = (("Compare", "/ui/compare"), ("Lineage", "/ui/lineage"))
"""For the navigation: the views that are of no single run."""
_LARGEST = 64 * 1024  # bytes of a picture as JSON
_FRESH = 5.0  # seconds
_NAMES = 200  # runs that are offered to be compared


class ViewFrame(Protocol):
    """What the views need of the page's frame: what the server has, and answers of templates."""

    desk: Desk

    def show(
        self, request: Request, template: str, *, title: str, code: int = 200, **values: object
    ) -> Response: ...


def view_routes(frame: ViewFrame) -> list[Route]:
    """All of them."""
    views = _Views(frame)
    return [
        *(Route(f"/ui/runs/{{name}}/{path}", views.plain(path)) for path in _VIEWS),
        Route("/ui/runs/{name}/models", views.models),
        Route("/ui/runs/{name}/models/think", views.think, methods=["POST"]),
        Route("/ui/runs/{name}/resources", views.resources),
        Route("/ui/runs/{name}/report", views.report),
        Route("/ui/compare", views.compare),
        Route("/ui/lineage", views.lineage),
    ]


_VIEWS: Mapping[str, tuple[str, str, Callable[[RunRecord, Mapping[str, str]], list[Part]]]] = {
    "training": (
        "Training",
        "No step of this run told of epochs: `tiphys.report(epoch=…)` and `keras_report()` do.",
        lambda run, _: training_parts(run),
    ),
    "candidates": (
        "Candidates",
        "No step of this run said of a model how good it is.",
        lambda run, _: candidate_parts(run),
    ),
    "data": ("Data", "No step of this run made or used a data set that is told of here.", data_parts),
}


class _Views:
    def __init__(self, frame: ViewFrame) -> None:
        self._desk, self._show = frame.desk, frame.show
        self._store = frame.desk.board.store
        self._served: dict[str, tuple[float, list[ServedModel]]] = {}

    def plain(self, path: str) -> Callable[[Request], Response]:
        text, empty, made = _VIEWS[path]

        def answer(request: Request) -> Response:
            _, run = self._run(request)
            parts = made(run, self._store.volumes())
            return self._page(request, run, text, parts, empty=empty)

        return answer

    def models(self, request: Request) -> Response:
        _, run = self._run(request)
        found = served(self._store, run)
        sides = drawable(found)
        pad = sides and {
            "height": sides[0],
            "width": sides[1],
            "url": link("runs", run.key, "models", "think"),
        }
        return self._page(
            request, run, "Models", model_parts(run, found), template="view_models.html", pad=pad
        )

    async def think(self, request: Request) -> Response:
        """``{"pixels": […]}``, from 0 to 255 row by row: what each model says, and the mean."""
        try:
            pixels = _pixels(await body_of(request, _LARGEST, "the picture"))
            _, run = await run_in_threadpool(self._run, request)
        except RequestError as error:
            return JSONResponse({"message": error.message}, error.number)

        def ask() -> Response:
            try:
                told = think(self._asked(run), pixels)
            except ServingError as error:
                return JSONResponse({"message": "; ".join(filter(None, (error.message, error.fix)))}, 409)
            return JSONResponse(thoughts(told, class_names(run, datasets(run, self._store.volumes()))))

        return await run_in_threadpool(ask)

    def _asked(self, run: RunRecord) -> list[ServedModel]:
        """What is served, as it was a moment ago: who draws asks again and again."""
        now = time.monotonic()
        at, found = self._served.get(run.key, (0.0, []))
        if not found or now - at > _FRESH:
            found = served(self._store, run)
            self._served = {run.key: (now, found)}
        return found

    def resources(self, request: Request) -> Response:
        workflow, run = self._run(request)
        prices = prices_of(request.query_params)
        cpu, memory = (f"{prices[name]:g}" if name in prices else "" for name in ("cpu", "memory"))
        parts = resource_parts(workflow, run, prices)
        return self._page(
            request,
            run,
            "Resources",
            parts,
            template="view_resources.html",
            empty="No step has run yet.",
            cpu=cpu,
            memory=memory,
        )

    def report(self, request: Request) -> Response:
        """The run as one file, which needs no server; it is kept, and not shown here: its style is its own."""
        workflow, run = self._run(request)
        name = "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in run.key)[:100]
        headers = {
            "Content-Disposition": f'attachment; filename="{name.encode("ascii", "replace").decode()}.html"'
        }
        return Response(report(workflow, run), media_type="text/html", headers=headers)

    def compare(self, request: Request) -> Response:
        left, right = (request.query_params.get(side, "")[:300] for side in ("left", "right"))
        parts: Sequence[Part] = ()
        if left and right:
            try:
                parts = difference_parts(left, right, Records(self._store.root).diff(left, right))
            except TiphysError as error:
                parts = [_refused(error)]
        names = [each["metadata"]["name"] for each in self._desk.board.briefs()[1]]
        return self._show(
            request,
            "view_compare.html",
            title="Two runs compared",
            parts=parts,
            left=left,
            right=right,
            names=names[-_NAMES:],
            swapped=link("compare", left=right, right=left),
            run="",
            live=0,
            empty="Name two runs.",
        )

    def lineage(self, request: Request) -> Response:
        of, down = request.query_params.get("of", "")[:1000], bool(request.query_params.get("down"))
        found, problems, parts = None, [], []
        if of:
            try:
                found = Records(self._store.root).lineage(of, down=down)
                problems = found.problems
            except TiphysError as error:
                parts = [_refused(error)]
        return self._show(
            request,
            "view_lineage.html",
            title="Lineage",
            parts=parts,
            of=of,
            down=down,
            items=items(found) if found else (),
            problems=problems,
            run="",
            live=0,
            empty="" if of else "Name a run, a model, a file or a digest.",
        )

    def _run(self, request: Request) -> tuple[Workflow, RunRecord]:
        return self._desk.run(request.path_params["name"])

    def _page(
        self,
        request: Request,
        run: RunRecord,
        text: str,
        parts: Sequence[Part],
        *,
        template: str = "view.html",
        empty: str = "",
        code: int = 200,
        **more: object,
    ) -> Response:
        return self._show(
            request,
            template,
            title=f"{run.name}: {text[:1].lower()}{text[1:]}",
            run=run.key,
            parts=parts,
            here=text,
            live=self._desk.board.number if run.phase in ACTIVE else 0,
            empty=empty,
            code=code,
            **more,
        )


def _refused(error: TiphysError) -> Part:
    return Part(f"{error.code}", warnings=[". ".join(filter(None, (error.message, error.cause, error.fix)))])


def _pixels(body: bytes) -> list[int]:
    """Raises RequestError 400."""
    try:
        pixels = json.loads(body)["pixels"]
    except (ValueError, KeyError, TypeError, RecursionError):
        pixels = None
    if not isinstance(pixels, list) or not all(type(value) is int and 0 <= value <= 255 for value in pixels):
        raise RequestError(400, 'give {"pixels": [numbers from 0 to 255]}')
    return pixels
