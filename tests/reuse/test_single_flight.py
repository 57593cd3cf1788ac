"""Ten equal runs at once, each an engine of its own: one computes, and when it is killed another one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

FILE = textwrap.dedent(
    """
    from tiphys import Cache, Pipeline, Volume, component

    @component(cache=Cache.by_content(ignore=["run"]))
    def work(n: int, run: str) -> int:
        import time
        from tiphys.reference import resolve
        folder = resolve("pvc://tiphys/flight")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{time.time_ns()}.{run}").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)
        return n

    with Pipeline("flight", volumes=[Volume("tiphys")]) as pipeline:
        work(n=1, run=pipeline.param("run", ""))
    """
)
RUNS = 10


@contextmanager
def engines(folder: Path) -> Iterator[dict[str, subprocess.Popen[str]]]:
    path = folder / "flight.py"
    path.write_text(FILE)
    words = [sys.executable, "-m", "tiphys", "run", str(path), "--store", str(folder / "store"), "--json"]
    env = {
        **os.environ,
        "TIPHYS_KEEPER_GRACE": "1",
    }  # the step of the killed one goes on so long, for its resume
    made = {
        f"run-{n}": subprocess.Popen(
            [*words, "--name", f"run-{n}", "-p", f"run=run-{n}"], stdout=subprocess.PIPE, text=True, env=env
        )
        for n in range(RUNS)
    }
    try:
        yield made
    finally:
        for process in made.values():
            process.kill()
            process.communicate()


def computed(folder: Path, count: int) -> None:
    """Wait until the step has begun so often."""
    end = time.monotonic() + 60
    while len(begun(folder)) < count:
        assert time.monotonic() < end, f"begun {len(begun(folder))} times, not {count}"
        time.sleep(0.02)


def begun(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("flight/*") if path.name != "go")


def nodes(folder: Path, name: str) -> list[dict[str, object]]:
    words = [
        sys.executable,
        "-m",
        "tiphys",
        "get",
        name,
        "--local",
        "--json",
        "--store",
        str(folder / "store"),
    ]
    shown = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return list((shown["status"].get("nodes") or {}).values())


def test_one_of_ten_computes_and_another_takes_over_when_it_is_killed(tmp_path: Path) -> None:
    with engines(tmp_path) as runs:
        computed(tmp_path, 1)
        killed = begun(tmp_path)[0].suffix[1:]
        runs[killed].send_signal(signal.SIGKILL)
        computed(tmp_path, 2)
        (begun(tmp_path)[0].parent / "go").touch()
        ends = {name: process.communicate(timeout=120)[0] for name, process in runs.items() if name != killed}
        codes = {name: runs[name].returncode for name in ends}
    assert codes == dict.fromkeys(ends, 0)
    assert len(begun(tmp_path)) == 2
    hits = [
        node["memoizationStatus"]["hit"]  # type: ignore[index]
        for name in ends
        for node in nodes(tmp_path, name)
        if "memoizationStatus" in node
    ]
    assert (hits.count(False), hits.count(True)) == (1, RUNS - 2)
