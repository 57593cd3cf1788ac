"""`tiphys cache explain`: why a step was a hit or ran."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import dag, execute, out, shell, workflow
from tiphys.argo.memo import KEY_PARTS
from tiphys.cli import main
from tiphys.engine import RunResult
from tiphys.reuse.entries import Entries
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.explain import Difference, explain
from tiphys.store import Store

CODE = "c0de"


def flow(*, code: str = CODE, image: str = "i:1") -> Any:
    work = shell("train", 'mkdir -p /tmp/out; echo made > /tmp/out/x; test "$LR" != bad', outputs=out("x"))
    work["inputs"] = {"parameters": [{"name": "lr"}, {"name": "epochs", "value": "3"}, {"name": "note"}]}
    work["container"]["env"] = [{"name": "LR", "value": "{{inputs.parameters.lr}}"}]
    said = {"code": code, "image": image, "inputs": ["lr", "epochs"], "references": []}
    work["annotations"] = {KEY_PARTS: json.dumps(said)}
    work["memoize"] = {
        "key": f"train-{code}-{image.replace(':', '-')}-{{{{inputs.parameters.lr}}}}-{{{{inputs.parameters.epochs}}}}",
        "cache": {"configMap": {"name": "cache"}},
    }
    task = {
        "name": "fit",
        "template": "train",
        "arguments": {
            "parameters": [
                {"name": "lr", "value": "{{workflow.parameters.lr}}"},
                {"name": "note", "value": "{{workflow.name}}"},
            ]
        },
    }
    return workflow(dag(task), work, arguments={"parameters": [{"name": "lr"}]})


def ran(tmp_path: Path, lr: str, **words: str) -> RunResult:
    return execute(tmp_path, flow(**words), parameters={"lr": lr})


def test_hits_misses_and_the_first_part_that_differs(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first, second, third = ran(tmp_path, "1"), ran(tmp_path, "2"), ran(tmp_path, "2")
    fourth = ran(tmp_path, "2", code="0ther")
    (one,) = explain(store, "fit", first.name)
    assert one.asked is not None and not one.asked.hit and one.nearest is None
    assert one.parts == {"code": CODE, "image": "i:1", "inputs.lr": "1", "inputs.epochs": "3"}
    assert one.found is not None and one.found.problem == ""
    (two,) = explain(store, "train", second.name)
    assert two.nearest is not None and two.nearest.run == first.name
    assert two.differs == Difference("inputs.lr", "2", "1")
    (three,) = explain(store, "train-c0de-i-1-2", third.name)
    assert three.asked is not None and three.asked.hit
    assert three.found is not None
    assert (three.found.entry.run, three.found.entry.hits) == (second.name, 1)
    assert [use.run for use in three.used] == [third.name]
    (four,) = explain(store, "fit", fourth.name)
    assert four.nearest is not None and four.nearest.run == second.name
    assert four.differs == Difference("code", "0ther", CODE)
    assert [each.key for each in explain(store, "train")] == [
        "train-0ther-i-1-2-3",
        "train-c0de-i-1-1-3",
        "train-c0de-i-1-2-3",
    ]
    assert explain(store, "nosuch") == explain(store, "fit", "nosuch") == []


def test_a_step_that_failed_left_no_entry_and_is_explained(tmp_path: Path) -> None:
    ran(tmp_path, "1")
    failed = ran(tmp_path, "bad")
    assert failed.phase == "Failed"
    for words in (("fit", failed.name), ("train-c0de-i-1-bad",)):
        (found,) = explain(Store(tmp_path / "store"), *words)
        assert found.found is None and found.used == ()
        assert found.asked is not None and found.asked.run == failed.name
        assert found.differs == Difference("inputs.lr", "bad", "1")


def test_an_entry_that_was_refused_says_why(tmp_path: Path) -> None:
    first = ran(tmp_path, "1")
    with Entries(Store(tmp_path / "store")) as entries:
        (entry,) = entries.all()
        outputs: Any = {"result": "pvc://nosuch/x"}
        entries.save(type(entry)(entry.cache, entry.key, node="n", outputs=outputs, created=1.0, run="old"))
    second = ran(tmp_path, "1")
    (found,) = explain(Store(tmp_path / "store"), "fit", second.name)
    assert found.asked is not None and not found.asked.hit and "nosuch" in found.asked.why
    assert found.found is not None and found.found.entry.run == second.name
    assert first.name != second.name


def test_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = ran(tmp_path, "1"), ran(tmp_path, "2"), ran(tmp_path, "2")
    words = ["--store", str(tmp_path / "store")]
    assert main(["cache", "explain", "fit", third.name, *words]) == 0
    text = capsys.readouterr().out
    assert f"asked      by {third.name} fit at " in text and ": hit\n" in text
    assert "state      good" in text
    assert f" of {second.name} at " in text
    assert "key part   inputs.lr = 2\n" in text
    assert f"of {first.name}: inputs.lr is '2' here, '1' there" in text
    assert f"used by    {third.name} fit at " in text
    assert main(["cache", "explain", "fit", second.name, "--json", *words]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["asked"]["hit"] is False and found["problem"] == ""
    assert found["differs"] == {"name": "inputs.lr", "here": "2", "there": "1"}
    assert found["nearest"]["run"] == first.name
    assert [use["run"] for use in found["usedBy"]] == [third.name]
    assert found["parts"]["code"] == CODE
    assert main(["cache", "explain", "fit", "nosuch", *words]) == 2
    assert "nosuch" in capsys.readouterr().err


def filled(store: Store, count: int, seed: int = 5) -> list[CachedResult]:
    """Entries of two steps with parts by chance, over several maps."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        name = chance.choice(["tiphys-cache-a", "tiphys-cache-b"])
        parts = {
            f"inputs.{letter}": str(chance.randrange(4)) for letter in "stuvwx"[: chance.randrange(1, 7)]
        }
        entry = CachedResult(
            f"{name}-{chance.randrange(256):02x}", f"step-{number:06d}", node="n", outputs={"result": "x" * 300},
            created=None if chance.random() < 0.02 else float(chance.sample(range(10 * count), 1)[0]) + number / 1e6,
            hit=1.0, run="r", template="step", parts=parts,
        )  # fmt: skip
        made.append(entry)
    with Entries(store) as known:
        known.add(made)
    return made


def test_the_nearest_is_what_looking_at_each_would_find(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = filled(store, 300)

    def equal(one: CachedResult, other: CachedResult) -> int:
        return len(one.parts.items() & other.parts.items())

    for each in explain(store, "step"):
        (entry,) = (one for one in made if one.key == each.key)
        others = [
            one
            for one in made
            if one.cache[:14] == entry.cache[:14]
            and one is not entry
            and (entry.created is None or (one.created is not None and one.created <= entry.created))
        ]
        most = max((equal(entry, one) for one in others), default=0)
        if most == 0:
            assert each.nearest is None
            continue
        best = [one for one in others if equal(entry, one) == most]
        newest = max(one.created or -1.0 for one in best)
        assert each.nearest is not None
        assert each.nearest.key in [one.key for one in best if (one.created or -1.0) == newest]


def test_a_family_is_read_once(tmp_path: Path) -> None:
    """1 000 entries took 5 s: each read the whole family again."""
    store = Store(tmp_path)
    filled(store, 2000)
    began = time.process_time()
    assert len(explain(store, "step")) == 2000
    assert time.process_time() - began < 4
