"""A process of the model server on this machine: how it is started, where it answers, and what it said last."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

__all__ = ["ServerReplica", "start_replica"]


@dataclass(eq=False)
class ServerReplica:
    """``address`` is ``127.0.0.1:PORT`` of its REST interface, ``grpc_address`` that of its gRPC, if it has one;
    ``output`` is what it writes."""

    address: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    grpc_address: str = ""
    ready: bool = False
    served: bool = False
    """It was ready when it ended."""
    failures: int = 0
    born: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        """Let go of what it had of this process; it ends by that."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.output.close()

    def last_words(self) -> str:
        """The last eight of its last lines."""
        return "\n".join(self.last_lines()[-8:])

    def last_lines(self) -> list[str]:
        """What it wrote last, at most 4000 bytes."""
        self.output.seek(0, os.SEEK_END)
        self.output.seek(max(0, self.output.tell() - 4000))
        return self.output.read().decode("utf-8", "replace").strip().splitlines()


def start_replica(name: str, base: Path, flags: Sequence[str] = (), *, calls: bool = False) -> ServerReplica:
    """Start a server of the model ``name`` with the versions below ``base``, on a free port of loopback; ``calls``:
    with gRPC on another.

    It ends with this process, however that ends.
    """
    with socket.socket() as probe, socket.socket() as other:
        for each in (probe, other):
            each.bind(("127.0.0.1", 0))
        port, second = (int(each.getsockname()[1]) for each in (probe, other))
    command = [sys.executable, "-m", "tiphys.serving", f"--model_name={name}", f"--model_base_path={base}"]
    output = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the replica
    process = subprocess.Popen(
        [
            *command,
            f"--port={second if calls else 0}",
            *flags,
            f"--rest_api_port={port}",
            "--tiphys_exit_with_stdin",
        ],
        stdin=subprocess.PIPE,  # closes when this process ends in whatever way, and the replica with it
        stdout=output,
        stderr=output,
        start_new_session=True,
        env={**os.environ, "TIPHYS_POD_IP": "127.0.0.1"},
    )
    return ServerReplica(f"127.0.0.1:{port}", process, output, f"127.0.0.1:{second}" if calls else "")
