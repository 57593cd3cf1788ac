"""Engines that are forked are as those that are started anew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.server.running import GATE, HELLO, server
from tiphys.engine import RunOptions
from tiphys.runs.local.backend import LocalRuns
from tiphys.runs.local.forks import EngineForks


def _until(true: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def _forked(forks: EngineForks, words: list[str], log: Path) -> int:
    """A process that is forked, once that is possible."""
    found: list[int] = []

    def start() -> bool:
        with log.open("w") as stream:
            process = forks.start(words, stream.fileno())
        found.extend([] if process is None else [process])
        return process is not None

    _until(start)
    return found[0]


def test_what_is_forked_says_and_ends_as_what_is_started_anew(tmp_path: Path) -> None:
    forks, log = EngineForks(), tmp_path / "log"
    with log.open("w") as stream:
        assert forks.start(["--version"], stream.fileno()) is None  # it has not begun
    forks.begin()
    try:
        for words in (
            ["--version"],
            ["run", "--resume", "x", "--store", str(tmp_path)],
            ["run", "nowhere.yaml"],
        ):
            process = _forked(forks, words, log)
            _until(lambda: forks.ended(process) is not None)  # noqa: B023
            anew = subprocess.run(
                [sys.executable, "-m", "tiphys", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert forks.ended(process) == anew.returncode
            assert log.read_text() == anew.stdout
    finally:
        forks.close()


def test_another_environment_is_started_anew(tmp_path: Path) -> None:
    forks = EngineForks()
    forks.begin()
    try:
        _forked(forks, ["--version"], tmp_path / "log")
        os.environ["TIPHYS_TEST_OF_FORKS"] = "1"
        with (tmp_path / "log").open("w") as stream:
            assert forks.start(["--version"], stream.fileno()) is None
    finally:
        os.environ.pop("TIPHYS_TEST_OF_FORKS", None)
        forks.close()


def test_code_that_has_changed_is_not_forked(tmp_path: Path) -> None:
    """A copy of the library, of which a file is written while the process is there."""
    sdk = tmp_path / "sdk"
    shutil.copytree(Path(__file__).parents[3] / "sdk", sdk, ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
import os, sys, time
sys.path.insert(0, {str(sdk)!r})
os.environ["PYTHONPATH"] = {str(sdk)!r}
from tiphys.runs.local.forks import EngineForks
forks, out = EngineForks(), os.open(os.devnull, os.O_WRONLY)
forks.begin()
until = time.monotonic() + 60
while forks.start(["--version"], out) is None:
    assert time.monotonic() < until
    time.sleep(0.02)
with open({str(sdk / "tiphys" / "terminal.py")!r}, "a") as stream:
    stream.write("# another\\n")
print(forks.start(["--version"], out))
while forks.start(["--version"], out) is None:
    forks.begin()
    assert time.monotonic() < until
    time.sleep(0.02)
forks.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("None\n", "")


def test_a_forked_engine_has_nothing_of_others_and_outlives_the_server(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with server(store) as running:
        first = running.submit(HELLO)
        running.until(first, "Succeeded")
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")

        def forks() -> list[str]:
            return [
                each
                for each in children.read_text().split()
                if b"forks" in Path(f"/proc/{each}/cmdline").read_bytes()
            ]

        _until(forks)
        (parent,) = forks()
        engines: list[str] = []

        def forked() -> bool:
            name = running.submit(GATE)
            running.until(name, "Suspended")
            engines[:] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            return bool(engines)

        _until(forked)
        engine = int(engines[-1])
        assert os.getsid(engine) == engine
        theirs = {os.readlink(f"/proc/{parent}/fd/{each}") for each in os.listdir(f"/proc/{parent}/fd")}
        ours = {os.readlink(f"/proc/{engine}/fd/{each}") for each in os.listdir(f"/proc/{engine}/fd")}
        assert theirs & ours <= {"/dev/null"}
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    _until(lambda: not Path(f"/proc/{parent}").exists())
    runs = LocalRuns(RunOptions(store=store))
    names = [run["metadata"]["name"] for run in runs.list("argo") if not run["status"].get("finishedAt")]
    assert names
    for name in names:
        runs.resume("argo", name)
        _until(lambda: runs.get("argo", name)["status"]["phase"] == "Succeeded")  # noqa: B023
