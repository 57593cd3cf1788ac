"""How far a step is, from files that it may have filled with anything."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tiphys.engine.runtime.progress import progress_of_pod


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ("3/10\n", "3/10"),
        ("1/10\n2/10", "2/10"),
        ("11/10", ""),
        ("x", ""),
        ("", ""),
        ("9" * 5000, ""),
    ],
)
def test_of_the_file_that_argo_reads(text: str, progress: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(text)
    assert progress_of_pod(SimpleNamespace(progress_file=tmp_path / "file")) == progress


@pytest.mark.parametrize(
    ("text", "progress"),
    [
        ('{"epoch": 3, "of": 10}\n', "3/10"),
        ('{"epoch": 3, "of": 10}\n{"loss": 2}\n{"epoch": 4, "o', "3/10"),
        ('{"epoch": 3}\n[]\n7\n"x"', ""),
        ('{"epoch": "3/9", "of": 2}', ""),
        ('{"epoch": 3.0, "of": 10}', ""),
        ("[" * 4000, ""),
    ],
)
def test_of_what_a_gangs_first_replica_tells(text: str, progress: str, tmp_path: Path) -> None:
    pod = SimpleNamespace(told=(tmp_path / "r.jsonl", "worker-0"))
    assert progress_of_pod(pod) == ""
    (tmp_path / "r.jsonl").write_text(text)
    assert progress_of_pod(pod) == progress
    (tmp_path / "r.worker-0.jsonl").write_text('{"epoch": 5, "of": 6}\n')
    assert progress_of_pod(pod) == "5/6"


def test_what_is_no_file_says_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert progress_of_pod(SimpleNamespace(progress_file=tmp_path / "pipe")) == ""
    assert progress_of_pod(SimpleNamespace(told=None)) == progress_of_pod(SimpleNamespace()) == ""
