"""Where what takes long is done."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.model.servable import Code, ModelError
from tiphys.serving.rest import read
from tiphys.serving.rest.lane import HUGE, Lane
from tiphys.serving.server import ModelServer


@pytest.fixture
def lane() -> Iterator[Lane]:
    with closing(Lane()) as found:
        yield found


def where() -> tuple[int, str]:
    """The process and the thread that call."""
    return os.getpid(), threading.current_thread().name


def test_small_large_and_huge(lane: Lane) -> None:
    async def three() -> list[tuple[int, str]]:
        sizes = (100, 100_000, HUGE, HUGE)
        return [await lane.do(where, size=size, apart=True) for size in sizes]

    small, large, huge, again = asyncio.run(three())
    assert small == where()
    assert large[0] == os.getpid() and large[1].startswith("tiphys-large-bodies")
    assert huge[0] != os.getpid() and again == huge  # the same process


def test_what_a_function_raises_comes_back(lane: Lane) -> None:
    with pytest.raises(ModelError) as told:
        asyncio.run(lane.do(read.parse, b"[" * HUGE, size=HUGE, apart=True))
    assert told.value.code is Code.INVALID_ARGUMENT and "JSON Parse error" in told.value.message
    with pytest.raises(KeyError):
        asyncio.run(lane.do({}.__getitem__, "a", size=HUGE, apart=True))


def test_a_process_that_is_killed_is_another_one_the_next_time(lane: Lane) -> None:
    first, _ = asyncio.run(lane.do(where, size=HUGE, apart=True))
    os.kill(first, signal.SIGKILL)
    second, _ = asyncio.run(lane.do(where, size=HUGE, apart=True))
    assert second not in (first, os.getpid())
    with pytest.raises(ModelError, match="was killed"):
        asyncio.run(lane.do(os._exit, 1, size=HUGE, apart=True))
    assert asyncio.run(lane.do(where, size=HUGE, apart=True))[0] != second


def test_the_process_ends_with_the_server_however_that_ends() -> None:
    code = (
        "import asyncio, sys\n"
        "from tests.serving.rest.test_lane import where\n"
        "from tiphys.serving.rest.lane import HUGE, Lane\n"
        "print(asyncio.run(Lane().do(where, size=HUGE, apart=True))[0], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        helper = Path(f"/proc/{int(server.stdout.readline())}")
        assert helper.exists()
        server.kill()
    until = time.monotonic() + 30
    while helper.exists() and "Z" not in helper.joinpath("stat").read_text().rpartition(")")[2].split()[0]:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_huge_request_has_the_answer_and_the_errors_of_a_small_one(
    model_server: Callable[..., ModelServer], ask: Any
) -> None:
    url = model_server().url
    values = [float(number % 1000) for number in range(300_000)]
    answer = ask(url, "POST", "/v1/models/m:predict", json.dumps({"instances": values}))
    assert answer.json == {"predictions": [value / 2 + 2 for value in values]}
    columns = ask(url, "POST", "/v1/models/m:predict", json.dumps({"inputs": {"x": values}}))
    assert columns.json["outputs"] == answer.json["predictions"]
    blanks = " " * HUGE
    for small, status in (
        ('{"instances":[1.0],"signature_name":"no"}', 400),
        ('{"instances":["a"]}', 400),
        ("[1]", 400),
    ):
        told = [ask(url, "POST", "/v1/models/m:predict", text) for text in (small, small + blanks)]
        assert told[0].status == told[1].status == status
        assert told[0].error == told[1].error
