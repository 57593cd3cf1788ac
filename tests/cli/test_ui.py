"""``tiphys ui``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.server.running import server


def test_a_server_that_runs_is_asked_for_a_link(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tiphys", "ui", "--store", str(tmp_path / "store"), "--no-browser"]
    with server(tmp_path / "store") as running:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.startswith(f"{running.url}/ui/enter?key=")


def test_without_a_server_one_is_started_and_a_link_told(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "tiphys",
        "ui",
        "--store",
        str(tmp_path / "store"),
        "--no-browser",
        "--port",
        "0",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("tiphys server on https://")
            assert "/ui/enter?key=" in process.stdout.readline()
        finally:
            process.terminate()
    assert process.returncode == 0
