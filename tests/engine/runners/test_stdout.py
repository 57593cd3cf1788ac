"""The stdout of steps, whoever reads it: bytes of which the end is kept, and all are in the log."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

from tiphys.engine.runners._stdout import Deposit, Stdout


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
