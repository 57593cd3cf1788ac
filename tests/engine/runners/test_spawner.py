"""The engine's end of the keeper: what it says when the keeper is gone."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tiphys.engine.base.loop import Loop
from tiphys.engine.runners.left import RECORDS, clear_records
from tiphys.engine.runners.spawner import STEP, Launch, Process, Spawner
from tiphys.errors import RunError


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or while it was read
        return True


def test_what_is_started_when_the_keeper_is_gone_is_not_the_steps_fault(tmp_path: Path) -> None:
    """The engine may want to start a step before it has seen that the keeper was killed: the run, and no step, has
    failed, so that it can be resumed."""
    loop = Loop()
    spawner = Spawner(loop)
    over: list[Process] = []
    try:
        launch = Launch("/bin/sleep", ["sleep", "60"], {}, "/", str(tmp_path / "log"))
        first = spawner.spawn(launch, over.append)
        while not first.pid:
            loop.step()
        keeper = parent(first.pid)
        os.kill(keeper, signal.SIGKILL)
        while not ended(keeper):
            time.sleep(0.005)
        spawner.spawn(launch, over.append)
        first.kill()
        with pytest.raises(RunError) as caught:
            while True:
                loop.step()
        assert caught.value.code == "TIP301"
        assert over == []
    finally:
        spawner.close()
        loop.close()


def test_what_was_written_before_the_end_is_kept_whole(tmp_path: Path) -> None:
    loop = Loop()
    spawner = Spawner(loop)
    over: list[Process] = []
    program = "import os\nos.write(1, b'a' * 60_000); os.write(2, b'no'); os.write(1, b'b' * 5000)"
    log = tmp_path / "log"
    launch = Launch(sys.executable, ["python", "-c", program], {}, "/", str(log), keep=64_000)
    try:
        process = spawner.spawn(launch, over.append)
        while not over:
            loop.step()
        assert process.stdout == b"a" * 59_000 + b"b" * 5000
        assert sorted(log.read_bytes()) == sorted(b"a" * 60_000 + b"no" + b"b" * 5000)
    finally:
        spawner.close()
        loop.close()


def test_what_starts_when_the_run_has_just_ended_leaves_no_records(tmp_path: Path) -> None:
    """As a daemon that is begun anew when all else had ended before a kill."""
    loop = Loop()
    spawner = Spawner(loop, tmp_path)
    over: list[Process] = []
    try:
        assert spawner.keepers
        clear_records(tmp_path)
        launch = Launch("/bin/true", ["true"], {}, "/", str(tmp_path / "log"))
        spawner.spawn(launch, over.append, bond=STEP, note='["n",1,"main",1,"1","127.0.0.1","process",false]')
        while not over:
            loop.step()
        assert over[0].code == 0
    finally:
        spawner.close()
        loop.close()
    assert not (tmp_path / RECORDS).exists()
