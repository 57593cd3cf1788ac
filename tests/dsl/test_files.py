"""Files between steps: what is compiled is what the real ``argo`` takes, and what arrives is what was written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tiphys
from tests.tools import argo_lint
from tiphys import Cache, DefinitionError, Pipeline, component, compose, container, dag, for_each, run
from tiphys.engine import RunOptions


class Made(NamedTuple):
    data: Path
    rows: int


@component
def fetch(rows: int) -> Made:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    file = folder / "rows.csv"
    file.write_bytes(b"".join(b"%d\r\n" % number for number in range(rows)) + b"\xff\x00")
    return Made(file, rows)


@component
def tree(rows: int) -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp()) / "made"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "n.txt").write_text("n" * rows)
    (folder / "top.bin").write_bytes(bytes(range(256)))
    return folder


@component
def listed(folder: Path) -> dict[str, int]:
    return {
        each.relative_to(folder).as_posix(): each.stat().st_size
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@component
def digest(data: Path) -> str:
    import hashlib

    return hashlib.sha256(data.read_bytes()).hexdigest()


def start(tmp_path: Path, workflow: Any, **given: str) -> Any:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    return run(workflow, options=options, **given)


def test_a_file_and_a_folder_arrive_as_they_are(tmp_path: Path) -> None:
    with Pipeline("files") as pipeline:
        made = fetch(rows=1000)
        digest(data=made.data)
        listed(folder=tree(rows=7))
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    result = start(tmp_path, pipeline)
    assert result.succeeded, result.workflow["status"]["nodes"]
    import hashlib

    content = b"".join(b"%d\r\n" % number for number in range(1000)) + b"\xff\x00"
    assert result.outputs_of("digest")["result"] == hashlib.sha256(content).hexdigest()
    assert json.loads(result.outputs_of("listed")["result"]) == {"deep/er/n.txt": 7, "top.bin": 256}
