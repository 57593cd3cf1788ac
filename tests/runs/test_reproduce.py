"""Reproduce: what is the same is said to be, and what differs is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tiphys import Reference
from tiphys.cli import main
from tiphys.engine import RunOptions
from tiphys.store import Store


@tiphys.component(cache=tiphys.Cache.by_content())
def data(seed: int, size: int = 3) -> Reference:
    import random

    from components.publish import publish

    numbers = random.Random(seed or None).sample(range(1000), size)
    return publish(f"pvc://tiphys/numbers/{size}", lambda folder: (folder / "n").write_text(str(numbers)))


@tiphys.component
def judge(data: Reference) -> dict[str, object]:
    import time

    from tiphys.reference import resolve

    return {"first": (resolve(data.uri) / "n").read_text(), "seconds": time.time()}


with tiphys.Pipeline("numbers") as numbers:
    judge(data=data(seed=numbers.param("seed", 1)))


def run(store: Path, name: str, **parameters: object) -> None:
    assert tiphys.run(numbers, options=RunOptions(store=store, name=name), **parameters).succeeded


def reproduce(store: Path, name: str, capsys: Any, *words: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = main(["reproduce", name, "--json", "--check", "--store", str(store), *words])
    out = capsys.readouterr().out
    return code, json.loads(out) if out.startswith("{") else out


def test_the_same_seed_gives_the_same(tmp_path: Path, capsys: Any) -> None:
    run(tmp_path, "one")
    code, found = reproduce(tmp_path, "one", capsys)
    assert (code, found["same"], found["differences"]) == (0, True, [])
    assert list(found["equal"]) == ["data: pvc://tiphys/numbers/3"]
    assert not (tmp_path / "reproduced" / "one").exists()
    assert Store(tmp_path).runs() == ["one"]


def test_a_hit_is_computed_again(tmp_path: Path, capsys: Any) -> None:
    run(tmp_path, "one")
    run(tmp_path, "two")
    code, found = reproduce(tmp_path, "two", capsys, "--keep")
    assert (code, found["same"]) == (0, True)
    second = tmp_path / "reproduced" / "two" / "volumes" / "tiphys" / "numbers" / "3" / "n"
    assert second.read_bytes() == (tmp_path / "volumes" / "tiphys" / "numbers" / "3" / "n").read_bytes()


def test_without_a_seed_it_says_what_differs(tmp_path: Path, capsys: Any) -> None:
    run(tmp_path, "one", seed=0)
    code, found = reproduce(tmp_path, "one", capsys)
    assert (code, found["same"]) == (1, False)
    assert [(each["what"], each["name"]) for each in found["differences"] if each["result"]] == [
        ("artifact", "data: pvc://tiphys/numbers/3"),
        ("output", "data: result"),
        ("output", "judge: result"),
    ]
    code, again = reproduce(tmp_path, "one", capsys)  # the earlier second run is not taken for this one
    assert (code, again["differences"] == found["differences"]) == (1, False)


def test_other_packages_are_named(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, "one")
    from tiphys.runs import made_from

    listed = made_from.environment()[1]
    monkeypatch.setattr(made_from, "environment", lambda: ("python-other", listed + "extra==1\n"))
    code, found = reproduce(tmp_path, "one", capsys)
    assert (code, found["same"]) == (0, True)
    assert [(each["what"], each["before"], each["now"]) for each in found["differences"]] == [
        ("environment", "", "extra==1")
    ]


def test_what_was_given_is_brought_along(tmp_path: Path, capsys: Any) -> None:
    with tiphys.Pipeline("given") as pipeline:
        judge(data=pipeline.param("data", "pvc://tiphys/given"))
    folder = tmp_path / "volumes" / "tiphys" / "given"
    folder.mkdir(parents=True)
    (folder / "n").write_text("9")
    assert tiphys.run(pipeline, options=RunOptions(store=tmp_path, name="one")).succeeded
    assert reproduce(tmp_path, "one", capsys)[0] == 0
    shutil.rmtree(folder)
    capsys.readouterr()
    assert main(["reproduce", "one", "--store", str(tmp_path)]) == 2
    assert "TIP439" in capsys.readouterr().err


def test_a_run_that_failed(tmp_path: Path, capsys: Any) -> None:
    @tiphys.component
    def fail() -> int:
        raise ValueError("no")

    with tiphys.Pipeline("bad") as pipeline:
        fail()
    assert not tiphys.run(pipeline, options=RunOptions(store=tmp_path, name="bad")).succeeded
    assert main(["reproduce", "bad", "--store", str(tmp_path)]) == 2
    assert "TIP438" in capsys.readouterr().err
    assert main(["reproduce", "nobody", "--store", str(tmp_path)]) == 2
    assert "TIP211" in capsys.readouterr().err
