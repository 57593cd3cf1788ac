"""Templates that are kept in a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiphys.server.answers import RequestError
from tiphys.server.board import Board, ExpiredError
from tiphys.server.objects import KeptObjects
from tiphys.store import Store

GIVEN: Any = {"metadata": {"name": "greet"}, "spec": {"templates": []}}


def _kept(store: Path) -> KeptObjects:
    board = Board(Store(store))
    board.look()
    return KeptObjects(board, "workflowtemplates", "WorkflowTemplate", namespaced=True)


def test_they_outlive_the_server(tmp_path: Path) -> None:
    first = _kept(tmp_path / "store")
    made = first.create(GIVEN)
    assert made["kind"] == "WorkflowTemplate"
    assert made["metadata"]["namespace"] == "argo"
    (found,) = _kept(tmp_path / "store").briefs()[1]
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert found["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    assert int(found["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


def test_changes_have_numbers(tmp_path: Path) -> None:
    kept = _kept(tmp_path / "store")
    start = kept.number
    made = kept.create(GIVEN)
    after = kept.number
    kept.replace("greet", {**GIVEN, "metadata": {**made["metadata"], "labels": {"a": "b"}}})
    assert [(each.kind, each.name) for each in kept.changes(start)] == [("ADDED", "greet")]
    assert [(each.kind, each.name) for each in kept.changes(after)] == [("MODIFIED", "greet")]
    kept.delete("greet")
    assert [(each.kind, each.name) for each in kept.changes(after)] == [("DELETED", "greet")]
    assert kept.get("greet") is None
    assert not list((tmp_path / "store" / "objects" / "workflowtemplates").glob("*.json"))
    with pytest.raises(ExpiredError):
        list(kept.changes(start - 1))


def test_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    kept = _kept(tmp_path / "store")
    kept.create(GIVEN)
    with pytest.raises(RequestError) as told:
        kept.create(GIVEN)
    assert (told.value.number, told.value.reason) == (409, "AlreadyExists")
    for call in (lambda: kept.delete("none"), lambda: kept.replace("none", GIVEN)):
        with pytest.raises(RequestError) as told:
            call()
        assert told.value.number == 404


def test_what_is_amended_is_another_with_the_same_identity(tmp_path: Path) -> None:
    kept = _kept(tmp_path / "store")
    made = kept.create(GIVEN)
    kept.amend("greet", lambda known: known)
    assert kept.get("greet") is made  # nothing was written
    kept.amend("greet", lambda known: {**known, "spec": {"entrypoint": "main"}})
    found = kept.get("greet")
    assert found is not None
    assert found["spec"] == {"entrypoint": "main"}
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    assert int(found["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    kept.amend("other", lambda known: known)
    assert kept.get("other") is None
