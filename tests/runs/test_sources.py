"""A file that cannot be had here is said to be missing before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiphys
from tiphys import S3, Git, Pipeline, RefusedError, component
from tiphys.engine import RunOptions


@component(stores={"result": S3(key="made/here")})
def make() -> Path:
    Path("/tmp/made").write_text("made")
    return Path("/tmp/made")


@component
def read(data: Path | None) -> str:
    return "" if data is None else data.read_text()


def start(tmp_path: Path, pipeline: Pipeline) -> tiphys.engine.RunResult:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return tiphys.run(pipeline, options=options)


def test_an_object_that_no_store_has_is_refused_before_the_run(tmp_path: Path) -> None:
    with Pipeline("absent") as pipeline:
        read(data=S3(key="nowhere/rows.csv"))
    with pytest.raises(RefusedError, match=r"nowhere/rows\.csv") as caught:
        start(tmp_path, pipeline)
    assert caught.value.code == "TIP449" and "read(data=…)" in caught.value.where
    assert not list((tmp_path / "store").glob("runs/*"))


def test_a_package_that_would_fetch_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with Pipeline("elsewhere") as pipeline:
        read(data=S3("data", "rows.csv", endpoint="minio:9000"))
    with pytest.raises(RefusedError, match=r"tiphys\[s3\]"):
        start(tmp_path, pipeline)


def test_a_repository_needs_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with Pipeline("repository") as pipeline:
        read(data=Git("https://example.org/a.git"))
    with pytest.raises(RefusedError, match="git is not installed"):
        start(tmp_path, pipeline)


def test_what_the_run_makes_itself_or_may_not_need_is_not_asked_for(tmp_path: Path) -> None:
    with Pipeline("made") as pipeline:
        go = pipeline.param("go", False)
        first = make()
        read(data=S3(key="made/here")).after(first).named("made")
        read(data=S3(key="nowhere")).when(go)
    result = start(tmp_path, pipeline)
    assert result.succeeded and result.outputs_of("made")["result"] == "made"
