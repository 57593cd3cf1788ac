"""What the kernel tells of a file that is written. Of a table: test_table.py."""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tiphys.queue.wake import hear, listen


def told(descriptor: int, seconds: float) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def test_of_what_another_process_writes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ear = listen(tmp_path / "file")
    assert ear is not None
    try:
        (tmp_path / "other").write_text("x")
        assert not told(ear, 0.05)
        for _ in range(3):
            subprocess.run(["sh", "-c", "echo x >> file"], cwd=tmp_path, check=True)
        assert told(ear, 10)
        hear(ear)
        assert not told(ear, 0)
        hear(ear)
    finally:
        os.close(ear)


@pytest.mark.parametrize("init", [-1, None])
def test_where_it_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: int | None) -> None:
    assert listen(tmp_path / "none") is None
    given = {} if init is None else {"inotify_init1": lambda _: init}
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(**given))
    (tmp_path / "file").touch()
    assert listen(tmp_path / "file") is None
