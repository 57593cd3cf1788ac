"""``tiphys list --where`` and what ``tiphys get`` shows of metrics: runs that were really made."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cli.test_diff import flow
from tests.engine.harness import execute
from tiphys.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("asked")
    for name, text, team in (("one", "0.5", "a"), ("two", "0.75", "b"), ("it", "0.9", "b")):
        workflow = flow(text)
        workflow["metadata"]["labels"] = {"team": team}
        assert execute(folder, workflow, name=name).succeeded
    return str(folder / "store")


def names(capsys: Any, *words: str) -> list[str]:
    assert main(["list", *words]) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]


def test_what_is_asked_for(store: str, capsys: Any) -> None:
    capsys.readouterr()
    asked = ("--store", store, "--where", "metrics.accuracy >= 0.7")
    assert names(capsys, *asked, "--order-by", "metrics.accuracy") == ["two", "it"]
    assert names(capsys, *asked, "--order-by=-metrics.accuracy", "--limit", "1") == ["it"]
    assert names(capsys, *asked, "-l", "team=b", "--limit", "1") == ["it"]
    assert names(capsys, *asked, "-l", "team=a") == []
    assert names(capsys, *asked, "--phase", "Failed") == []
    assert names(capsys, "--store", store, "--source", "local", "--order-by", "started") == [
        "one",
        "two",
        "it",
    ]
    assert names(capsys, "--store", store, "--limit", "2") == ["it", "two"]
    assert names(capsys, "--store", store, "--limit", "1", "--phase", "Succeeded") == ["it"]
    assert main(["list", *asked, "--order-by", "metrics.accuracy"]) == 0
    header, first, _ = capsys.readouterr().out.splitlines()
    assert "metrics.accuracy" in header and first.endswith(" 0.75")
    assert main(["list", *asked, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(each["key"], each["metrics.accuracy"], each["params.text"]) for each in shown] == [
        ("it", 0.9, "0.9"), ("two", 0.75, "0.75")
    ]  # fmt: skip


def test_what_cannot_be_asked(store: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["list", "--store", store, "--where", "metrics.accuracy >> 1"]) == 2
    error = capsys.readouterr().err
    assert "TIP255" in error and "    metrics.accuracy >> 1\n                      ^" in error
    assert main(["list", "--store", store, "--where", "metrics.acc > 1"]) == 0
    assert "note: no run has metrics.acc. Did you mean 'metrics.accuracy'" in capsys.readouterr().err
    for words in (["list", "--where", "image"], ["get", "x", "--metrics"]):
        assert main([*words, "--server", "localhost:1"]) == 2
        assert "TIP256" in capsys.readouterr().err


def test_get_shows_metrics(store: str, capsys: Any) -> None:
    assert main(["get", "two", "--store", store]) == 0
    title, line = capsys.readouterr().out.splitlines()[-2:]
    # of a step that took long enough, its memory, too
    assert title == "metrics" and re.fullmatch(r"  two: (peak_memory \d+, )?accuracy 0\.75", line)
    assert main(["get", "two", "--metrics", "--store", store]) == 0
    assert capsys.readouterr().out == ""
