"""Lists and watches."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.server.runs import laid_down
from tiphys.errors import RefusedError
from tiphys.server.answers import RequestError
from tiphys.server.board import Board
from tiphys.server.collections import Empty, Watch, listed, selection, watched
from tiphys.store import Store

API = "argoproj.io/v1alpha1"


@pytest.fixture
def board(tmp_path: Path) -> Board:
    store = tmp_path / "store"
    for name, team in (("a", "blue"), ("b", "red"), ("c", "blue")):
        laid_down(store, name, team=team)
    board = Board(Store(store))
    board.look()
    return board


def _names(found: dict[str, object]) -> list[str]:
    items: list[dict[str, dict[str, str]]] = found["items"]  # type: ignore[assignment]
    return [each["metadata"]["name"] for each in items]


def test_a_list_is_selected_and_in_pages(board: Board) -> None:
    assert _names(listed(board, {}, "Workflow", API)) == ["a", "b", "c"]
    assert _names(listed(board, {"labelSelector": "team=blue"}, "Workflow", API)) == ["a", "c"]
    assert _names(listed(board, {"fieldSelector": "metadata.name=b"}, "Workflow", API)) == ["b"]
    assert _names(listed(board, {"fieldSelector": "metadata.name!=b"}, "Workflow", API)) == ["a", "c"]
    assert _names(listed(board, {}, "Workflow", API, here=False)) == []
    page = listed(board, {"limit": "2"}, "Workflow", API)
    assert page["metadata"] == {
        "resourceVersion": str(board.number),
        "continue": "b",
        "remainingItemCount": 1,
    }
    assert _names(listed(board, {"limit": "2", "continue": "b"}, "Workflow", API)) == ["c"]


def test_events_are_selected_by_what_they_are_about(tmp_path: Path) -> None:
    of_events = {"fieldSelector": "involvedObject.kind=Workflow,involvedObject.name=a"}
    assert listed(Empty(Board(Store(tmp_path))), of_events, "Event", "v1")["items"] == []


def test_what_cannot_be_selected_is_told() -> None:
    with pytest.raises(RefusedError) as bad:
        selection({"labelSelector": "a in"})
    assert bad.value.code == "TIP266"
    with pytest.raises(RequestError, match="field label not supported"):
        selection({"fieldSelector": "spec.nodeName=x"})
    with pytest.raises(RequestError, match="no number"):
        Watch.of({"resourceVersion": "abc"}, "Workflow", API)


def test_a_limit_that_is_no_number_is_told(board: Board) -> None:
    with pytest.raises(RequestError, match="no number"):
        listed(board, {"limit": "many"}, "Workflow", API)


async def _lines(board: Board | Empty, query: dict[str, str], count: int) -> list[dict[str, object]]:
    found = []
    async for line in watched(board, Watch.of(query, "Workflow", API)):
        found.append(json.loads(line))
        if len(found) == count:
            break
    return found


def test_a_watch_has_what_there_is_and_then_says_so(board: Board) -> None:
    query = {"sendInitialEvents": "true", "labelSelector": "team=blue", "timeoutSeconds": "0.1"}
    *there, mark = asyncio.run(_lines(board, query, 9))
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in there] == [  # type: ignore[index]
        ("ADDED", "a"),
        ("ADDED", "c"),
    ]
    assert mark["type"] == "BOOKMARK"


def test_a_watch_goes_on_where_it_stood(board: Board, tmp_path: Path) -> None:
    since = board.number

    async def followed() -> list[dict[str, object]]:
        lines = asyncio.create_task(
            _lines(board, {"resourceVersion": str(since), "labelSelector": "team=blue"}, 2)
        )
        await asyncio.sleep(0.05)
        laid_down(tmp_path / "store", "d", team="red")
        laid_down(tmp_path / "store", "e", team="blue")
        await asyncio.to_thread(board.look)
        await asyncio.sleep(0.1)
        shutil.rmtree(tmp_path / "store" / "runs" / "e")
        await asyncio.to_thread(board.look)
        return await asyncio.wait_for(lines, 20)

    assert [(each["type"], each["object"]["metadata"]["name"]) for each in asyncio.run(followed())] == [  # type: ignore[index]
        ("ADDED", "e"),
        ("DELETED", "e"),
    ]


def test_a_watch_from_too_long_ago_ends_with_an_error(board: Board) -> None:
    (told,) = asyncio.run(_lines(board, {"resourceVersion": "5"}, 9))
    assert told["type"] == "ERROR"
    assert told["object"]["code"] == 410  # type: ignore[index]


def test_what_a_store_does_not_have_is_empty(board: Board) -> None:
    assert _names(listed(Empty(board), {}, "Event", "v1")) == []
    assert asyncio.run(_lines(Empty(board), {"timeoutSeconds": "0.05"}, 9)) == []
