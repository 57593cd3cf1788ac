"""Balancers in a process of their own, which outlives the one that started it.

The control channel is a Unix socket (mode 0600) that takes one JSON object a line: ``{"op": …}``, and answers
each with ``{"ok": true, "result": …}`` or ``{"ok": false, "error": {code, message, cause, fix}}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.errors import ServingError
from tiphys.serving.balancer.endpoint import Endpoints

if TYPE_CHECKING:
    from tiphys.serving.balancer.core import Stats

    class NamedStats(Stats):
        url: str


__all__ = ["BalancerProcess", "socket_address"]


@contextlib.contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for a Unix socket at ``path``, whatever its length (the kernel takes 107 bytes)."""
    if len(os.fsencode(path)) <= 107:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class BalancerProcess:
    """A handle on a running balancer process; cheap, and any number may exist for one process."""

    def __init__(self, control: str | Path, pid: int) -> None:
        self.control = Path(control)
        self.pid = pid

    @classmethod
    def start(cls, control: str | Path, *, log: str | Path | None = None) -> BalancerProcess:
        """Start the process, or attach when one answers on this control socket already.

        It is detached: its own session, no terminal, not a child of the caller; it ends by :meth:`stop` or
        by SIGTERM. Raises ServingError TIP514 when it does not start.
        """
        path = Path(control).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(ServingError):
            return cls.attach(path)
        command = [sys.executable, "-m", "tiphys.serving.balancer", "--control", str(path), "--daemon"]
        with open(log or os.devnull, "ab") as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                start_new_session=True,
                check=False,
                timeout=60,
            )
        if done.returncode != 0:
            raise ServingError(
                "TIP514",
                "The load balancer's process did not start.",
                where=str(path),
                cause=done.stderr.decode("utf-8", "replace").strip(),
            )
        return cls.attach(path)

    @classmethod
    def attach(cls, control: str | Path) -> BalancerProcess:
        """Find the process that answers on a control socket. Raises ServingError TIP513 when none does."""
        process = cls(Path(control).absolute(), 0)
        process.pid = int(process._ask("hello", timeout=10.0)["pid"])
        return process

    def apply(
        self,
        name: str,
        *,
        host: str,
        port: int,
        endpoints: Endpoints = (),
        policy: str = "round-robin",
        health_path: str | None = None,
        protocol: str = "http",
    ) -> int:
        """Create the balancer ``name`` or change it. Returns the port it listens on. With the protocol ``"grpc"`` it
        balances calls, each in turn; grpcio is imported when the first client connects.

        Raises ServingError TIP510 (cannot listen), TIP511 (unknown policy), TIP512 (bad address).
        """
        result = self._ask(
            "apply",
            name=name,
            host=host,
            port=port,
            endpoints=_told(endpoints),
            policy=policy,
            health_path=health_path,
            protocol=protocol,
        )
        return int(result["port"])

    def shadow(self, name: str, endpoints: Endpoints, share: float = 1.0) -> bool:
        """As :meth:`Balancer.set_shadow`; False when there is no balancer of this name. Raises ServingError TIP512."""
        return bool(self._ask("shadow", name=name, endpoints=_told(endpoints), share=share))

    def remove(self, name: str, *, drain_seconds: float = 10.0) -> bool:
        """Drain and close one balancer; False when there was none of this name."""
        return bool(self._ask("remove", name=name, drain_seconds=drain_seconds, timeout=drain_seconds + 10))

    def drained(self, name: str, timeout: float = 10.0) -> bool:
        """Wait until nothing runs on endpoints that left the set of ``name``."""
        return bool(self._ask("drained", name=name, seconds=timeout, timeout=timeout + 10))

    def stats(self) -> dict[str, NamedStats]:
        """Statistics by balancer name, as :meth:`Balancer.stats` gives them, with ``url``; none of those of gRPC."""
        result: dict[str, NamedStats] = self._ask("stats")
        return result

    def stop(self, drain_seconds: float = 10.0) -> None:
        """Drain all and end the process. It has ended its work when this returns."""
        self._ask("stop", drain_seconds=drain_seconds, timeout=drain_seconds + 10)

    def _ask(self, op: str, *, timeout: float = 30.0, **fields: object) -> Any:
        request = json.dumps({"op": op, **fields}).encode() + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(timeout)
            try:
                with socket_address(self.control) as address:
                    channel.connect(address)
                channel.sendall(request)
                answer = _read_line(channel)
            except OSError as error:
                raise ServingError(
                    "TIP513",
                    "No load-balancer process answers.",
                    where=str(self.control),
                    cause=error.strerror or str(error) or type(error).__name__,
                ) from error
        if not answer:
            raise ServingError(
                "TIP513", "The load-balancer process ended while it was asked.", where=str(self.control)
            )
        document = json.loads(answer)
        if not document["ok"]:
            error_fields = document["error"]
            raise ServingError(
                error_fields["code"],
                error_fields["message"],
                cause=error_fields["cause"],
                fix=error_fields["fix"],
            )
        return document["result"]


def _told(endpoints: Endpoints) -> list[str] | dict[str, float]:
    return dict(endpoints) if isinstance(endpoints, Mapping) else [*endpoints]


def _read_line(channel: socket.socket) -> bytes:
    parts = []
    while True:
        part = channel.recv(65536)
        parts.append(part)
        if not part or part.endswith(b"\n"):
            return b"".join(parts)
