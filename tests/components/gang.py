"""Starts the workers of a training as the training operator does, and starts again those that ask for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Workers", "free_ports"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]
    finally:
        for item in sockets:
            item.close()


class Workers:
    """``count`` processes of ``python -m components.train``; one has no TF_CONFIG, as with the operator."""

    def __init__(self, count: int, environment: dict[str, str], log: Path) -> None:
        self._addresses = [f"localhost:{port}" for port in free_ports(count)]
        self._environment = environment
        self._log = log
        self.exits: list[tuple[int, int]] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.at_first: dict[int, list[str]] = {}  # what Python runs instead, the first time

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    def start(self, index: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **self._environment}
        if len(self._addresses) > 1:
            environment["TF_CONFIG"] = json.dumps(
                {
                    "cluster": {"worker": self._addresses},
                    "task": {"type": "worker", "index": index},
                    "environment": "cloud",
                }
            )
        with self._log.open("ab") as log:
            words = self.at_first.pop(index, ["-m", "components.train"])
            return subprocess.Popen([sys.executable, *words], env=environment, stdout=log, stderr=log)

    def run(self, seconds: float, watch: Callable[[Workers], None] = lambda _workers: None) -> list[int]:
        """Start all and wait; ``watch`` is called all the time. Returns the last exit code of each worker.

        A worker that ends with 128 or more, or by a signal, is started again (restart policy ExitCode).
        """
        self.processes = [self.start(index) for index in range(len(self._addresses))]
        codes: list[int | None] = [None] * len(self.processes)
        deadline = time.monotonic() + seconds
        while None in codes:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the gang did not end within {seconds} s:\n{self.text()}")
            watch(self)
            for index, process in enumerate(self.processes):
                code = process.poll()
                if code is None or codes[index] is not None:
                    continue
                code = 128 - code if code < 0 else code
                self.exits.append((index, code))
                if code >= 128:
                    self.processes[index] = self.start(index)
                else:
                    codes[index] = code
            time.sleep(0.02)
        return [code for code in codes if code is not None]

    def text(self) -> str:
        """What the workers have written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""
