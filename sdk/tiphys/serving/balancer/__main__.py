"""``python -m tiphys.serving.balancer --control PATH``: balancers under a control socket."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.serving.balancer.core import AsyncBalancer
from tiphys.serving.balancer.facade import drained
from tiphys.serving.balancer.late_calls import LateCalls
from tiphys.serving.balancer.policy import make_policy, same_policy
from tiphys.serving.balancer.process import socket_address

if TYPE_CHECKING:
    from tiphys.serving.balancer.process import NamedStats

log = logging.getLogger("tiphys.serving.balancer")


class _Named:
    """The balancers of this process, by name."""

    def __init__(self) -> None:
        self.balancers: dict[str, AsyncBalancer] = {}
        self.calls: dict[str, LateCalls] = {}  # those of gRPC
        self.stopping = asyncio.Event()
        self.drain_seconds = 10.0
        self._lock = asyncio.Lock()
        self._ended = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one control connection."""
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
                if self._ended:
                    self.stopping.set()
        except (OSError, ValueError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            request = json.loads(line)
            op = request.pop("op")
            async with self._lock if op in ("apply", "remove", "stop") else contextlib.nullcontext():
                result = await getattr(self, f"do_{op}")(**request)
            return {"ok": True, "result": result}
        except ServingError as error:
            fields = {"code": error.code, "message": error.message, "cause": error.cause, "fix": error.fix}
            return {"ok": False, "error": fields}
        except Exception as error:
            log.exception("control request failed")
            cause = f"{type(error).__name__}: {error}"
            fields = {"code": "TIP515", "message": "Bad control request.", "cause": cause, "fix": ""}
            return {"ok": False, "error": fields}

    async def do_hello(self) -> dict[str, int]:
        return {"pid": os.getpid()}

    async def do_apply(
        self,
        name: str,
        host: str,
        port: int,
        endpoints: list[str] | dict[str, float],
        policy: str = "round-robin",
        health_path: str | None = None,
        protocol: str = "http",
    ) -> dict[str, int]:
        if protocol == "grpc":
            return {"port": await self._apply_calls(name, host, port, endpoints)}
        old = self.balancers.get(name)
        if old is not None and old.host == host and port in (0, old.port):
            wanted = make_policy(policy)
            if not same_policy(wanted, old.policy):
                old.policy = wanted
            old.health_path = health_path
            old.set_endpoints(endpoints)
            return {"port": old.port}
        fresh = AsyncBalancer(host, port, endpoints=endpoints, policy=policy, health_path=health_path)
        await fresh.start()
        self.balancers[name] = fresh
        log.info("%s listens on %s:%d", name, fresh.host, fresh.port)
        if old is not None:
            await old.stop(self.drain_seconds)
        return {"port": fresh.port}

    async def _apply_calls(
        self, name: str, host: str, port: int, endpoints: list[str] | dict[str, float]
    ) -> int:
        old = self.calls.get(name)
        if old is not None and old.host == host and port in (0, old.port):
            await old.set_endpoints(endpoints)
            return old.port
        fresh = LateCalls(host, port, endpoints=endpoints)
        await fresh.start()
        self.calls[name] = fresh
        if old is not None:
            await old.stop(self.drain_seconds)
        return fresh.port

    async def do_shadow(self, name: str, endpoints: list[str] | dict[str, float], share: float = 1.0) -> bool:
        balancer = self.balancers.get(name)
        if balancer is not None:
            balancer.shadow.set(endpoints, share)
        return balancer is not None

    async def do_remove(self, name: str, drain_seconds: float = 10.0) -> bool:
        balancer = self.balancers.pop(name, None) or self.calls.pop(name, None)
        if balancer is None:
            return False
        await balancer.stop(drain_seconds)
        return True

    async def do_drained(self, name: str, seconds: float) -> bool:
        if (calls := self.calls.get(name)) is not None:
            return await calls.drained(seconds)
        balancer = self.balancers.get(name)
        return balancer is None or await drained(balancer, seconds)

    async def do_stats(self) -> dict[str, NamedStats]:
        return {name: {"url": f"http://{b.host}:{b.port}", **b.stats()} for name, b in self.balancers.items()}

    async def do_stop(self, drain_seconds: float = 10.0) -> bool:
        await self.close(drain_seconds)
        self._ended = True  # the process ends once this answer is sent
        return True

    async def close(self, drain_seconds: float) -> None:
        every: list[AsyncBalancer | LateCalls] = [*self.balancers.values(), *self.calls.values()]
        self.balancers, self.calls = {}, {}
        await asyncio.gather(*(each.stop(drain_seconds) for each in every))


def _bind(path: Path) -> socket.socket:
    """A listening control socket. A stale one is replaced, a living one is not."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # kept for life: the file stays open
    except OSError:
        raise SystemExit(f"{path}: another balancer process is running") from None
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with socket_address(path) as address:
            listener.bind(address)
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener


async def _run(listener: socket.socket) -> None:
    named = _Named()
    server = await asyncio.start_unix_server(named.serve, sock=listener)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, named.stopping.set)
    await named.stopping.wait()
    server.close()
    await named.close(named.drain_seconds)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tiphys.serving.balancer", description=__doc__)
    parser.add_argument("--control", required=True, type=Path, help="path of the control socket")
    parser.add_argument("--daemon", action="store_true", help="return when ready, run on in the background")
    options = parser.parse_args(arguments)
    path: Path = options.control.absolute()
    try:
        listener = _bind(path)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from error
    if options.daemon:
        if os.fork():
            os._exit(0)
        os.dup2(1, 2)  # errors go to the log, and the caller's pipe is closed
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        asyncio.run(_run(listener))
    finally:
        path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
