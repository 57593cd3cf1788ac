"""The engine's end of the keeper: what it says when the keeper is gone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiphys.engine.base.loop import Loop
from tiphys.engine.runners._stdout import Deposit, Stdout
from tiphys.engine.runners.spawner import Launch, Process, Spawner
from tiphys.errors import RunError


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
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


def test_who_writes_without_end_does_not_keep_the_keeper_from_its_work() -> None:
    """More comes than can ever be read: after a while it looks after the others again."""
    stdout, pipe = Stdout.opened(os.devnull, 1000)
    endless = subprocess.Popen(["cat", "/dev/zero"], stdout=pipe)
    try:
        while not stdout.end():
            pass
        assert stdout.read() and stdout.read()
    finally:
        endless.kill()
        endless.wait()
        os.close(pipe)
        assert stdout.end() == bytes(1000)
        stdout.close()


def test_the_end_of_what_is_written_in_any_pieces_is_kept_for_whoever_finds_it(tmp_path: Path) -> None:
    """Who takes the descriptors out of the deposit goes on at every point, and the log is whole."""
    pieces = random.Random(4)
    log, deposit, written = tmp_path / "log", Deposit(), b""
    stdout, pipe = Stdout.opened(str(log), 1000)
    try:
        for number in range(300):
            data = pieces.randbytes(pieces.choice([1, 10, 1000, 12_000]))
            os.write(pipe, data)
            written += data
            if pieces.random() < 0.3:
                deposit.put(number, stdout)
                stdout.close()
                deposit.put(-1, (other := Stdout.opened(str(log), 1))[0])
                other[0].close()
                os.close(other[1])
                found = deposit.take({number})
                assert list(found) == [number]
                stdout = found[number]
            if number % 3 == 0:  # more has no room in the pipe
                assert stdout.read()
            assert pieces.random() < 0.5 or stdout.end() == written[-1000:]
        assert stdout.end() == written[-1000:]
        assert log.read_bytes() == written
    finally:
        os.close(pipe)
        stdout.close()
        deposit.close()


def test_a_deposit_keeps_those_that_live() -> None:
    before = len(os.listdir("/proc/self/fd"))
    deposit, living, pipes = Deposit(), {}, []
    for number in range(200):
        stdout, pipe = Stdout.opened(os.devnull, 10)
        deposit.put(number, stdout)
        if number % 20:
            stdout.close()
            os.close(pipe)
        else:
            living[number] = stdout
            pipes.append(pipe)
        deposit.tidy(living)
    found = deposit.take(living)
    assert found.keys() == living.keys()
    for each in (*found.values(), *living.values()):
        each.close()
    for pipe in pipes:
        os.close(pipe)
    deposit.close()
    assert len(os.listdir("/proc/self/fd")) == before


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
