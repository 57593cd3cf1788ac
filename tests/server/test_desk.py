"""What the server has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.server.running import GATE, HELLO
from tiphys.engine import RunOptions
from tiphys.errors import RefusedError
from tiphys.server.answers import RequestError
from tiphys.server.desk import Desk


def test_names_are_of_one_workflow(tmp_path: Path) -> None:
    desk = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    desk.board.look()
    given: Any = {**HELLO, "metadata": {"name": "once"}}
    dry = desk.create(given, dry=True)
    assert dry["metadata"]["name"] == "once"
    assert desk.board.get("once") is None
    made = desk.create(given)
    assert made["metadata"]["resourceVersion"] == str(desk.board.number)
    with pytest.raises(RequestError) as told:
        desk.create(given)
    assert (told.value.number, told.value.reason) == (409, "AlreadyExists")


def test_a_template_must_be_one(tmp_path: Path) -> None:
    desk = Desk(RunOptions(store=tmp_path / "store"))
    template: Any = {**GATE, "kind": "WorkflowTemplate", "metadata": {"name": "gate"}}
    desk.check(template)
    with pytest.raises(RefusedError) as told:
        desk.check({**template, "spec": {"templates": "none"}})
    assert told.value.code == "TIP298"
    assert [each.kind for each in desk.templates] == ["WorkflowTemplate", "ClusterWorkflowTemplate"]
    assert [each.namespaced for each in desk.templates] == [True, False]
