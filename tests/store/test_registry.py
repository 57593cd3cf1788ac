"""The registry of a store under many writers, killed ones too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.registry.test_changes import BY
from tiphys.errors import RefusedError, StoreError
from tiphys.registry import register, rollback, to_alias
from tiphys.registry.audit import PAGE, linear
from tiphys.registry.document import ModelDocument
from tiphys.store import Store
from tiphys.store.registry import LocalRegistry

ROOT = Path(__file__).resolve().parents[2]
MOVES = ("-m", "tests.registry.moves")


def filled(folder: Path) -> LocalRegistry:
    registry = LocalRegistry(Store(folder))

    def three(document: ModelDocument) -> ModelDocument:
        for letter in "abc":
            document, _ = register(document, f"pvc://tiphys/models/{letter}", f"sha256:{letter}", BY)
        return document

    registry.change("m", three)
    return registry


def writers(folder: Path, count: int, moves: int) -> list[subprocess.Popen[str]]:
    made = [
        subprocess.Popen(
            [sys.executable, *MOVES, str(folder), f"w{number}", str(moves)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(count)
    ]  # fmt: skip
    for each in made:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    return made


def test_to_look_makes_nothing(tmp_path: Path) -> None:
    registry = LocalRegistry(Store(tmp_path / "s"))
    assert registry.names() == [] and registry.audit("m") == [] and registry.read("m") == ModelDocument("m")
    assert not (tmp_path / "s").exists()


def test_a_change_that_is_refused_or_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    before = registry.versioned("m")
    assert registry.change("m", lambda document: document) == before[0]
    with pytest.raises(RefusedError, match="TIP261"):
        registry.change("m", lambda document: rollback(document, "champion", BY))
    assert registry.versioned("m") == before and before[1] == "1"
    assert registry.names() == ["m"]


def test_writers_in_processes_make_one_linear_audit(tmp_path: Path) -> None:
    """`benchmarks/registry.py` has 8 writers of 1 000 moves."""
    registry = filled(tmp_path)
    made = writers(tmp_path, 4, 50)
    for each in made:
        assert each.communicate(timeout=60)[0].split() == [str(number) for number in range(50)]
    rows = registry.audit("m")
    assert len(rows) == 200 > 2 * PAGE and linear(rows) == ""
    for number in range(4):
        assert [row.why for row in rows if row.who == f"w{number}"] == [str(each) for each in range(50)]


def test_what_a_killed_writer_was_told_is_there(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    made = writers(tmp_path, 3, 10_000)
    first = [[each.stdout.readline().strip() for _ in range(20)] for each in made if each.stdout]
    for each in made:
        os.kill(each.pid, signal.SIGKILL)
    told = []
    for begun, each in zip(first, made, strict=True):
        with each:
            assert each.stdout is not None
            told.append(begun + each.stdout.read().split())
    rows = registry.audit("m")
    assert linear(rows) == "" and len(rows) >= sum(map(len, told)) > 0
    for number, lines in enumerate(told):
        written = [row.why for row in rows if row.who == f"w{number}"]
        assert written[: len(lines)] == lines and len(written) <= len(lines) + 1
    assert registry.change("m", lambda document: to_alias(document, "other", 2, BY)).sequence == len(rows) + 1


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    registry.path.write_bytes(b"no database at all" * 100)
    for ask in (registry.names, lambda: registry.read("m"), lambda: registry.change("m", lambda each: each)):
        with pytest.raises(StoreError, match="TIP462"):
            ask()


def test_a_page_that_is_gone_is_told(tmp_path: Path) -> None:
    import sqlite3

    registry = filled(tmp_path)
    for number in range(2 * PAGE + 1):
        registry.change("m", lambda document, to=number % 3 + 1: to_alias(document, "champion", to, BY))  # type: ignore[misc]
    assert len(registry.audit("m")) == 2 * PAGE + 1
    with sqlite3.connect(registry.path) as db:
        db.execute("DELETE FROM pages")
    with pytest.raises(StoreError, match="TIP461"):
        registry.audit("m")


def test_a_store_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    registry = filled(tmp_path)
    os.chmod(registry.path, 0o444)
    tmp_path.chmod(0o555)
    try:
        assert len(registry.read("m").versions) == 3
    finally:
        tmp_path.chmod(0o755)
