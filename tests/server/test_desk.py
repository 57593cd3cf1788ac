"""What the server has."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import GATE, HELLO
from tiphys.engine import RunOptions
from tiphys.errors import RefusedError
from tiphys.server.answers import RequestError
from tiphys.server.desk import Desk
from tiphys.server.verbs import delete


def test_names_are_of_one_workflow(tmp_path: Path) -> None:
    desk = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    desk.board.look()
    given: Any = {**HELLO, "metadata": {"name": "once"}}
    dry = desk.create(given, dry=True)
    assert dry["metadata"]["name"] == "once"
    assert dry["metadata"]["uid"] and dry["metadata"]["creationTimestamp"]  # as the API server answers
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
    call: Any = {"templateRef": {"name": "gate", "template": "ask"}, "name": "a"}
    caller: Any = {
        **GATE,
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "steps": [[call]]}]},
    }
    with pytest.raises(RequestError, match=r"template reference gate\.ask not found"):
        desk.lint(caller)
    desk.keep(desk.templates[0], template)
    desk.lint(caller)
    desk.lint(template)  # itself is not there twice
    assert [each.kind for each in desk.templates] == ["WorkflowTemplate", "ClusterWorkflowTemplate"]
    assert [each.namespaced for each in desk.templates] == [True, False]


def test_what_is_deleted_at_once_is_gone(tmp_path: Path) -> None:
    """Its engine begins at the same moment, and those who wait for that look at it."""
    desk = Desk(RunOptions(store=tmp_path / "store", images={"*": "host"}))
    for _ in range(5):
        given: Any = {**HELLO, "metadata": {"name": "quick"}}
        desk.create(given)
        delete("quick", desk.runs, desk.submissions)
        desk.board.look()
        assert desk.board.get("quick") is None
    until = time.monotonic() + 5
    while time.monotonic() < until and threading.active_count() > 1:
        time.sleep(0.1)
    assert not (tmp_path / "store" / "runs" / "quick").exists()


@pytest.mark.parametrize(
    "spec",
    [
        "none",
        [1],
        {"arguments": "x", "entrypoint": "main", "templates": []},
        {"arguments": {"parameters": {"a": "b"}}},
        {"arguments": {"parameters": [3]}, "entrypoint": "main"},
        {"arguments": {"parameters": [{"name": "a", "value": "b"}, "x"]}, "entrypoint": "main"},
        {"entrypoint": "main", "templates": {"a": 1}},
    ],
    ids=str,
)
def test_what_is_no_workflow_is_refused(tmp_path: Path, spec: Any) -> None:
    desk = Desk(RunOptions(store=tmp_path / "store"))
    with pytest.raises(RefusedError) as told:
        desk.create({**HELLO, "spec": spec})  # type: ignore[typeddict-item]
    assert told.value.code == "TIP298"
    assert not (tmp_path / "store" / "runs").exists()
