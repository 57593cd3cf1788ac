"""What every program that is driven has: it ends with whoever started it, in whatever way that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiphys.serving.balancer.driven import end, start_tied

START = """
import os, signal, sys
from tiphys.serving.balancer.driven import start_tied
print(start_tied(["sleep", "600"], 2, (), sys.argv[1]).pid, flush=True)
{}
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("how", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(3)", "raise SystemExit"])
@pytest.mark.parametrize("ending", ["USR1", "KILL"])
def test_it_ends_with_who_started_it(how: str, ending: str, until: Callable[..., Any]) -> None:
    command = [sys.executable, "-W", "ignore", "-c", START.format(how), ending]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=60)
    until(lambda: gone(int(done.stdout)))


def test_it_is_ended_and_is_killed_when_that_takes_too_long() -> None:
    quick = start_tied(["sleep", "600"], 2, (), "KILL")
    assert end(quick, signal.SIGTERM, 10.0)
    assert quick.returncode == -signal.SIGTERM
    stubborn = start_tied(["sleep", "600"], 2, (), "KILL")
    stubborn.send_signal(signal.SIGSTOP)
    assert not end(stubborn, signal.SIGTERM, 0.1)
    assert stubborn.returncode == -signal.SIGKILL
