"""`tiphys cache`: what it prints of the entries of a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.cli import main
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.store import Store


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    store = Store(tmp_path / "store")
    outputs: Any = {"parameters": [{"name": "x", "value": "made"}]}
    with Entries(store) as entries:
        for key in ("train-1", "train-2", "other"):
            entries.save(CachedResult("cache", key, node="n", outputs=outputs, created=1e9, hit=1e9, run="r"))
    return ["--store", str(store.root)]


def listed(words: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["cache", "ls", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_entry_as_json_is_argos_entry_and_more(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = listed(words, capsys)[0]
    assert {
        name: first[name] for name in ("cache", "key", "problem", "nodeID", "run", "creationTimestamp")
    } == {
        "cache": "cache",
        "key": "other",
        "problem": "",
        "nodeID": "n",
        "run": "r",
        "creationTimestamp": "2001-09-09T01:46:40Z",
    }
    assert first["outputs"]["parameters"][0]["value"] == "made"


def test_remove_takes_what_begins_so(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "rm", "train", *words]) == 0
    assert capsys.readouterr().out == "removed cache/train-1\nremoved cache/train-2\n"
    assert [each["key"] for each in listed(words, capsys)] == ["other"]
    assert main(["cache", "rm", "train", *words]) == 2
    assert "tiphys cache ls" in capsys.readouterr().err


def test_an_empty_store_has_no_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "ls", "--store", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == "no entries\n"


def test_the_caches_of_a_cluster_need_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["--cluster", "--kubeconfig", str(tmp_path / "nosuch")]
    assert main(["cache", "gc", *nowhere, "--dry-run"]) != 0
    assert "nosuch" in capsys.readouterr().err


def test_the_latest_run_is_one_that_can_be_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sums.py"
    path.write_text(
        "from tiphys import Cache, Pipeline, component\n\n\n@component(cache=Cache.by_content())\n"
        "def add(a: int) -> int:\n    return a + 1\n\n\nwith Pipeline('sums') as sums:\n    add(a=1)\n"
    )
    store = ["--store", str(tmp_path / "store")]
    for _ in range(2):
        assert main(["run", str(path), *store]) == 0
    capsys.readouterr()
    assert main(["cache", "explain", "add", "@latest", "--json", *store]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["asked"]["hit"] is True
