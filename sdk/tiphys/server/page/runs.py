"""The list of runs: what is chosen and where in it one is stands in the address."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.routing import Route

from tiphys.argo.nodes import ACTIVE
from tiphys.argo.selectors import matches_labels, parse_labels
from tiphys.errors import TiphysError
from tiphys.records.fold import LOCAL, fold
from tiphys.runs.records import Records

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tiphys.argo.types import Workflow
    from tiphys.records.record import RunRecord
    from tiphys.server.page.frame import Frame
    from tiphys.store import Store

__all__ = ["NAV", "Choice", "chosen", "routes"]

NAV = ("Runs", "/ui/runs")
PHASES = ("Running", "Pending", "Succeeded", "Failed", "Error")
_PAGE = 50


@dataclass(frozen=True)
class Choice:
    """Which runs: ``parameter`` is ``NAME=VALUE`` or ``NAME``, ``labels`` a selector of Kubernetes, ``text`` a part of
    the name."""

    phase: str = ""
    pipeline: str = ""
    labels: str = ""
    parameter: str = ""
    text: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Choice:
        return cls(**{name: query.get(name, "").strip() for name in cls.__dataclass_fields__})

    def query(self, **more: object) -> str:
        """The address that says so."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__} | more
        return "?" + urlencode({name: value for name, value in parts.items() if value})


def chosen(
    briefs: Iterable[Workflow], choice: Choice, parameters: Callable[[], Mapping[str, Mapping[str, str]]]
) -> list[Workflow]:
    """The runs that are meant, the newest first. ``parameters`` are those of each run: asked for where they count.

    Raises SelectorError TIP266 for labels that cannot be read.
    """
    known = parameters() if choice.parameter else {}
    labels = parse_labels(choice.labels)
    found = [
        each
        for each in briefs
        if choice.text in (each["metadata"].get("name") or "")
        and choice.phase in ("", (each.get("status") or {}).get("phase") or "Pending")
        and matches_labels(labels, each["metadata"].get("labels"))
        and (not choice.parameter or _given(known.get(each["metadata"]["name"], {}), choice.parameter))
        and choice.pipeline in ("", fold(each).pipeline if choice.pipeline else "")
    ]
    return sorted(found, key=_begun, reverse=True)


def _begun(each: Workflow) -> tuple[str, str]:
    """Times are written alike, so that they sort as texts."""
    return str(each["metadata"].get("creationTimestamp") or ""), each["metadata"]["name"]


def _given(parameters: Mapping[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in parameters and (not equals or parameters[name] == value)


def _parameters(store: Store) -> dict[str, Mapping[str, str]]:
    """The parameters of each run of this machine, as the records tell them."""
    return {each.key: each.parameters for each in Records(store.root).list() if each.source == LOCAL}


def routes(frame: Frame) -> list[Route]:
    def every(request: Request) -> Response:
        choice = Choice.of(request.query_params)
        number, briefs = frame.desk.board.briefs()
        problem, found = "", []
        try:
            found = chosen(briefs, choice, lambda: _parameters(frame.desk.board.store))
        except TiphysError as error:
            problem = f"{error.message}. {error.fix}" if error.fix else error.message
        start = _number(request.query_params.get("from", ""))
        shown: list[RunRecord] = [
            fold(frame.desk.board.get(each["metadata"]["name"]) or each)
            for each in found[start : start + _PAGE]
        ]
        count = {phase: 0 for phase in PHASES}
        for each in briefs:
            phase = (each.get("status") or {}).get("phase") or "Pending"
            count[phase] = count.get(phase, 0) + 1
        return frame.show(
            request,
            "runs.html",
            title="Runs",
            runs=shown,
            choice=choice,
            problem=problem,
            count=count,
            number=number,
            whole=len(briefs),
            found=len(found),
            start=start,
            before=choice.query(**{"from": max(start - _PAGE, 0)}) if start else "",
            after=choice.query(**{"from": start + _PAGE}) if start + _PAGE < len(found) else "",
            live=any(each.phase in ACTIVE for each in shown),
        )

    return [Route(NAV[1], every)]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
