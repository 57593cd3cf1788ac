"""What a retry keeps: what succeeded and is still there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tiphys import Pipeline, Reference, component
from tiphys.engine import Notice, RunOptions
from tiphys.engine.runtime.retry import prepare_retry

pytestmark = pytest.mark.long


def make(name: str) -> Reference:
    from tiphys.reference import resolve, seal

    folder = resolve(f"pvc://tiphys/{name}")
    with resolve("pvc://tiphys/log").open("a") as log:
        log.write(f"{name}\n")
    folder.mkdir(exist_ok=True)
    (folder / "data").write_text(name)
    return Reference(f"pvc://tiphys/{name}", seal(folder))


def use(first: Reference, second: Reference) -> str:
    from tiphys.reference import resolve

    return (resolve(first.uri) / "data").read_text() + resolve("pvc://tiphys/open").read_text()


def pipeline(*, cached: bool) -> Pipeline:
    cache = tiphys.Cache.by_content() if cached else None
    with Pipeline("p") as made:
        step = component(make, cache=cache, retry=tiphys.Retry.on_infrastructure())
        component(use)(first=step(name="a").named("a"), second=step(name="b").named("b"))
    return made


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("lost", ["", "gone", "altered"])
def test_what_is_lost_is_made_again_and_nothing_else(tmp_path: Path, lost: str, cached: bool) -> None:
    seen: list[Any] = []
    options = RunOptions(store=tmp_path / "store", name="r", observer=seen.append)
    assert tiphys.run(pipeline(cached=cached), options=options).phase == "Failed"
    volume = tmp_path / "store/volumes/tiphys"
    (volume / "open").write_text("!")
    if lost == "gone":
        shutil.rmtree(volume / "a")
    elif lost:
        (volume / "a/data").write_text("another")
    assert prepare_retry("r", options=options).execute().phase == "Succeeded"
    ran = (volume / "log").read_text().split()
    assert sorted(ran) == (["a", "a", "b"] if lost else ["a", "b"])
    told = [each.text for each in seen if isinstance(each, Notice) and "runs again" in each.text]
    assert [text.partition(" ")[0] for text in told] == ([f"a{'.run' if cached else ''}"] if lost else [])
