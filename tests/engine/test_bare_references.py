"""A Reference without a digest is never the reason of a hit: its name says nothing of what is there (F6)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiphys.reference import seal

pytestmark = pytest.mark.long

FILE = """
from tiphys import Cache, Pipeline, Reference, component
from tiphys.reference import resolve


@component(cache=Cache.{cache})
def count(data: Reference) -> int:
    return len((resolve(data.uri) / "rows.txt").read_text().split())


with Pipeline("counted") as pipeline:
    count(data=pipeline.param("data", "pvc://tiphys/data"))
"""


def counted(store: Path, file: Path, data: str) -> tuple[str, bool]:
    command = [
        sys.executable,
        "-m",
        "tiphys",
        "run",
        str(file),
        "--store",
        str(store),
        "--json",
        "-p",
        f"data={data}",
    ]
    done = subprocess.run(command, cwd=store.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    workflow: dict[str, Any] = json.loads(done.stdout)
    node = next(
        n for n in workflow["status"]["nodes"].values() if n["type"] == "Pod" or "memoizationStatus" in n
    )
    return node["outputs"]["parameters"][0]["value"], bool(node["memoizationStatus"]["hit"])


def fill(folder: Path, rows: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.txt").write_text(rows)
    return seal(folder)


@pytest.mark.parametrize(
    "form", ["pvc://tiphys/data", '{"uri": "pvc://tiphys/data"}', '{"digest":"","uri":"pvc://tiphys/data"}']
)
def test_changed_data_are_counted_anew(form: str, tmp_path: Path) -> None:
    file, store = tmp_path / "counted.py", tmp_path / "store"
    file.write_text(FILE.format(cache="by_content()"))
    folder = store / "volumes" / "tiphys" / "data"
    fill(folder, "a b")
    assert counted(store, file, form) == ("2", False)
    fill(folder, "a b c")
    assert counted(store, file, form) == ("3", False)


def test_with_its_digest_it_is_found_wherever_it_is(tmp_path: Path) -> None:
    file, store = tmp_path / "counted.py", tmp_path / "store"
    file.write_text(FILE.format(cache="by_content()"))
    volume = store / "volumes" / "tiphys"
    digest = fill(volume / "data", "a b")
    assert fill(volume / "moved", "a b") == digest
    for place, hit in (("data", False), ("moved", True)):
        reference = json.dumps({"digest": digest, "uri": f"pvc://tiphys/{place}"})
        assert counted(store, file, reference) == ("2", hit)


def test_a_folder_that_a_key_has_named_counts_by_its_name(tmp_path: Path) -> None:
    file, store = tmp_path / "counted.py", tmp_path / "store"
    file.write_text(FILE.format(cache="by_content()"))
    name = "cnn-" + "0123456789abcdef" * 2
    fill(store / "volumes" / "tiphys" / name, "a b")
    assert counted(store, file, f"pvc://tiphys/{name}") == ("2", False)
    assert counted(store, file, f"pvc://tiphys/{name}") == ("2", True)


def test_one_that_is_written_without_its_digest_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "counted.py"
    text = FILE.format(cache="by_content()").replace(
        'pipeline.param("data", "pvc://tiphys/data")', '"pvc://tiphys/data"'
    )
    for cache, code in (("by_content()", 2), ('by_content(ignore=["data"])', 0), ('by_age("1h")', 0)):
        file.write_text(text.replace("by_content()", cache))
        command = [sys.executable, "-m", "tiphys", "compile", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        assert ("TIP128" in done.stderr) == bool(code)
