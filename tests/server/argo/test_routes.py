"""Every request that Hera's client can make has its path here: the client itself says which those are."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import requests
from hera.workflows import WorkflowsService
from starlette.routing import Match

from tiphys.engine.base.options import RunOptions
from tiphys.server.argo.refusals import is_argos
from tiphys.server.argo.routes import argo_routes
from tiphys.server.desk import Desk
from tiphys.server.kube.routes import routes

METHODS = sorted(
    name
    for name, _ in inspect.getmembers(WorkflowsService, inspect.isfunction)
    if not name.startswith("_") and name != "close" and not name.endswith("_link")
)


class _Told(Exception):
    pass


class _Session(requests.Session):
    def request(self, method: str, url: str, **options: object) -> requests.Response:  # type: ignore[override]
        raise _Told(method.upper(), urlsplit(url).path)


@pytest.mark.parametrize("name", METHODS)
def test_what_hera_asks_for_has_an_answer(name: str, tmp_path: Path) -> None:
    hera = WorkflowsService(host="https://x", token="x", namespace="argo", session=_Session())
    work = getattr(hera, name)
    request = SimpleNamespace(json=lambda **options: "{}", dict=lambda **options: {})
    given = {
        key: request if key == "req" else "x"
        for key, each in inspect.signature(work).parameters.items()
        if each.default is inspect.Parameter.empty
    }
    with pytest.raises(_Told) as told:
        work(**given)
    method, path = told.value.args
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    desk = Desk(RunOptions(store=tmp_path / "store"))
    found = [each for each in (*routes(desk), *argo_routes(desk)) if each.matches(scope)[0] is Match.FULL]
    assert found and is_argos(path)
    assert not any(each.matches(scope)[0] is Match.FULL for each in routes(desk))
