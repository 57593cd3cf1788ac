"""Where ``-o`` writes: a file, what a link leads to, and into what is no file."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tiphys.cli import main

PIPELINE = Path(__file__).parent.parent.parent / "pipelines" / "hello.py"


@pytest.fixture
def text(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["compile", str(PIPELINE)]) == 0
    return capsys.readouterr().out


def test_a_file_is_replaced_and_keeps_its_mode(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    path.chmod(0o640)
    assert main(["compile", str(PIPELINE), "-o", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_a_link_stays_a_link(tmp_path: Path, text: str) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.yaml"
    link.symlink_to("there/real.yaml")
    assert main(["compile", str(PIPELINE), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert (tmp_path / "there/real.yaml").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("command", ["compile", "graph"])
def test_what_is_no_file_is_written_into(tmp_path: Path, command: str) -> None:
    """As root, -o /dev/null made a file of the device, and nothing on that machine could be thrown away any more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert main([command, str(PIPELINE), "-o", str(pipe)]) == 0
    reader.join(30)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert read and read[0]
