"""A keeper that begins before it is known what it keeps."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tiphys.engine.base.loop import Loop
from tiphys.engine.runners.keeper import begun_ahead, start_keeper
from tiphys.engine.runners.spawner import Launch, Process, Spawner


def children() -> set[int]:
    return {
        int(pid) for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()
    }


def status(tmp_path: Path, words: str = "exit 7") -> int | None:
    """The exit code of a program that a spawner started."""
    loop = Loop()
    spawner = Spawner(loop, tmp_path)
    over: list[Process] = []
    spawner.spawn(Launch("/bin/sh", ["sh", "-c", words], {}, "/", str(tmp_path / "log")), over.append)
    while not over:
        loop.step()
    spawner.close()
    return over[0].code


def test_the_first_keeper_is_the_one_that_began_ahead() -> None:
    before = children()
    with begun_ahead():
        (begun,) = children() - before
        first = start_keeper("one", 0.0, {})
        second = start_keeper("two", 0.0, {})
        assert first.guard.pid == begun != second.guard.pid
        for each in (first, second):
            each.sock.close()  # with it goes who wants something kept
            assert each.guard.wait(10) == 0
    assert children() == before


def test_it_serves_as_any_other(tmp_path: Path) -> None:
    with begun_ahead():
        assert status(tmp_path) == 7
        assert status(tmp_path) == 7


def test_one_that_nobody_wanted_is_ended() -> None:
    before = children()
    with begun_ahead():
        assert len(children() - before) == 1
    assert children() == before


def test_one_that_was_killed_meanwhile_is_replaced(tmp_path: Path) -> None:
    before = children()
    with begun_ahead():
        (begun,) = children() - before
        os.kill(begun, signal.SIGKILL)
        os.waitid(os.P_PID, begun, os.WEXITED | os.WNOWAIT)
        assert status(tmp_path) == 7
    assert children() == before


@pytest.mark.parametrize("ahead", [True, False])
def test_what_it_keeps_is_not_handed_to_what_it_starts(tmp_path: Path, ahead: bool) -> None:
    with begun_ahead() if ahead else contextlib.nullcontext():
        look = "for each in $(seq 0 40); do [ ! -e /proc/$$/fd/$each ] || echo $each; done"
        assert status(tmp_path, look) == 0
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2"]
