"""A workflow that a step made leaves its keeper: what lives is killed, what had ended is told to who goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tiphys.engine.runners._processes import RECORDS
from tiphys.engine.runners.handover import end_processes, hand_over
from tiphys.engine.runners.left import Left, Start, begin_records

CHILD = "child/uid/1"


def sleeper(number: int, token: str = "token") -> subprocess.Popen[bytes]:
    """A process that a keeper might have started."""
    env = {**os.environ, "TIPHYS_PROCESS": f"{token}-{number}"}
    return subprocess.Popen(["sleep", "1000"], env=env, start_new_session=True)


def record(top: Path, *started: tuple[int, str, str]) -> None:
    """Starts, each with its number, whose pod it is, and which."""
    begin_records(top, "token")
    with (top / RECORDS).open("a") as stream:
        for number, child, pod in started:
            start = Start(pod, 1, "main", 1, "1", "127.0.0.1", "process", child=child)
            stream.write(f"+ {number} {1000 + number} {start.note()};\n")


def folders(tmp_path: Path) -> tuple[Path, Path]:
    top, child = tmp_path / "top", tmp_path / "child"
    for each in (top, child):
        (each / "nodes" / "1").mkdir(parents=True)
    return top, child


def test_what_had_ended_goes_on_by_itself_and_the_rest_is_killed(tmp_path: Path) -> None:
    top, child = folders(tmp_path)
    record(top, (1, CHILD, "ended"), (2, CHILD, "runs"), (3, "", "ended"), (4, CHILD + "0", "other"))
    with (top / RECORDS).open("a") as stream:
        stream.write("- 1 0 aGVsbG8=;\n")
    processes = [sleeper(2), sleeper(3), sleeper(4), sleeper(2, "another")]
    try:
        hand_over(top, CHILD, child)
        assert processes[0].wait(10) == -9
        assert [each.poll() for each in processes[1:]] == [None] * 3
    finally:
        for each in processes:
            each.kill()
            each.wait()
    left = Left(child)
    pod = left.pod("ended", "process")
    assert pod is not None and pod.over
    found = pod.find("main", 1)
    assert found is not None and (found.status, found.stdout) == (0, b"hello")
    assert left.pod("runs", "process") is None and left.next_generation("runs") == 2
    assert left.pod("other", "process") is None and not left.children()


def test_of_a_run_that_left_nothing_nothing_is_handed_over(tmp_path: Path) -> None:
    top, child = folders(tmp_path)
    hand_over(top, CHILD, child)
    record(top, (1, "", "own"))
    hand_over(top, CHILD, child)
    hand_over(tmp_path / "gone", CHILD, child)
    assert not (child / RECORDS).exists()


def test_only_what_the_keeper_still_has_is_ended(tmp_path: Path) -> None:
    top, _ = folders(tmp_path)
    record(top, (1, CHILD, "a"), (2, CHILD, "b"))
    processes = [sleeper(1), sleeper(2)]
    try:
        end_processes(Left(top, [1]), CHILD)
        assert processes[0].wait(10) == -9 and processes[1].poll() is None
    finally:
        for each in processes:
            each.kill()
            each.wait()
