"""The log of a pod."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import HELLO
from tests.server.runs import ended
from tiphys.engine import RunOptions, run
from tiphys.server.board import Board
from tiphys.server.logs import pod_log
from tiphys.store import Store

SLOW = """
printf 'first %s\\n' $(date +%s.%N)
sleep 3
printf 'second %s\\n' $(date +%s.%N)
printf 'third %s' $(date +%s.%N)
"""


async def _lines(board: Board, node: str, *, tail: int | None = None, times: bool = False) -> list[bytes]:
    lines = pod_log(board, "run", node, follow=False, tail=tail, times=times)
    return [line async for line in lines]


def test_lines_are_those_that_the_step_wrote(tmp_path: Path) -> None:
    workflow = ended(tmp_path / "store", "run")
    (node,) = [key for key, each in workflow["status"]["nodes"].items() if each["type"] == "Pod"]
    log = tmp_path / "store" / "runs" / "run" / "logs" / f"{node}.log"
    assert log.read_text() == "hello\n"
    log.write_bytes(b"one\r\ntwo\nthree \xff without an end")
    board = Board(Store(tmp_path / "store"))
    board.look()
    assert asyncio.run(_lines(board, node)) == [b"one\n", b"two\n", b"three \xff without an end\n"]
    assert asyncio.run(_lines(board, node, tail=1)) == [b"three \xff without an end\n"]
    assert asyncio.run(_lines(board, node, tail=0)) == []
    stamped = [line.split(b" ", 1) for line in asyncio.run(_lines(board, node, times=True))]
    moments = [datetime.fromisoformat(time.decode()) for time, _ in stamped]
    assert moments == sorted(set(moments))
    started = datetime.fromisoformat(workflow["status"]["nodes"][node]["startedAt"]).timestamp()
    (tmp_path / "store" / "runs" / "run" / "samples.jsonl").unlink()  # where nobody looked at its size
    for written, told in (
        (started + 0.3, started + 0.3),
        (started + 60, started),
    ):  # whole soon, or much later
        os.utime(log, (written, written))
        first = asyncio.run(_lines(board, node, times=True))[0].split(b" ", 1)[0]
        assert datetime.fromisoformat(first.decode()).timestamp() == pytest.approx(told, abs=0.001)
    assert asyncio.run(_lines(board, "no-such-node")) == []


def test_lines_that_were_seen_together_have_times_of_their_own(tmp_path: Path) -> None:
    """Each a microsecond after the one before, as they are written: a float near now has no more than four of them."""
    workflow = ended(tmp_path / "store", "run")
    (node,) = [key for key, each in workflow["status"]["nodes"].items() if each["type"] == "Pod"]
    (tmp_path / "store" / "runs" / "run" / "logs" / f"{node}.log").write_text("x\n" * 5000)
    board = Board(Store(tmp_path / "store"))
    board.look()
    stamped = [line.split(b" ", 1)[0] for line in asyncio.run(_lines(board, node, times=True))]
    assert len(stamped) == 5000 and stamped == sorted(set(stamped))


def test_the_time_of_a_line_is_when_it_was_seen(tmp_path: Path) -> None:
    """The step says itself when it writes."""
    container = {"image": "x", "command": ["sh", "-c"], "args": [SLOW]}
    spec: Any = {"entrypoint": "main", "templates": [{"name": "main", "container": container}]}
    options = RunOptions(store=tmp_path / "store", images={"*": "host"})
    workflow: Any = run({**HELLO, "metadata": {"name": "run"}, "spec": spec}, options=options).workflow
    (node,) = workflow["status"]["nodes"]
    board = Board(Store(tmp_path / "store"))
    board.look()
    found = [line.split() for line in asyncio.run(_lines(board, node, times=True))]
    seen = [datetime.fromisoformat(line[0].decode()).timestamp() for line in found]
    written = [float(line[2]) for line in found]
    assert [line[1] for line in found] == [b"first", b"second", b"third"]
    assert seen[0] < written[1]
    assert seen[1] >= written[1] - 0.001 and seen[2] >= written[2] - 0.001
    last = asyncio.run(_lines(board, node, times=True, tail=1))[0].split()
    assert datetime.fromisoformat(last[0].decode()).timestamp() == pytest.approx(seen[2], abs=1e-4)
