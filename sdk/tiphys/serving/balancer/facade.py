"""The balancer for callers that have no event loop: its own thread, blocking methods."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tiphys.errors import ServingError
from tiphys.serving.balancer.core import AsyncBalancer, Settings
from tiphys.serving.balancer.endpoint import Endpoints, parse_endpoints
from tiphys.serving.balancer.policy import Policy, make_policy

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext

    from tiphys.serving.balancer.core import Stats
    from tiphys.serving.balancer.pin import VersionPin

__all__ = ["Balancer", "LoopThread"]

T = TypeVar("T")


class LoopThread:
    """A daemon thread that runs an event loop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine there and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function there and wait for its result."""
        done: Future[T] = Future()

        def work() -> None:
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller
                done.set_exception(error)

        self.loop.call_soon_threadsafe(work)
        return done.result()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5.0)


class Balancer:
    """A load balancer in this process. All methods may be called from any thread.

    Parameters
    ----------
    host, port:
        Where it listens; port 0 takes a free one.
    endpoints:
        ``host:port`` of each replica, or these with weights: how much each gets beside the others, of which 0 is
        nothing.
    policy:
        ``"round-robin"``, ``"least-request"``, ``"hash"`` (by the client's address), ``"hash:body"``,
        ``"hash:body.FIELD"``, ``"hash:HEADER"`` or an object with ``choose(candidates)``.
    health_path:
        GET this to see whether a replica lives; None: make a TCP connection.

    Errors: ServingError TIP510 (cannot listen), TIP511 (unknown policy), TIP512 (bad endpoint address).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        endpoints: Endpoints = (),
        policy: str | Policy = "round-robin",
        health_path: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.host = host
        self._port = port
        self._endpoints = parse_endpoints(endpoints)
        self._policy = make_policy(policy)
        self._health_path = health_path
        self._settings = settings
        self._thread: LoopThread | None = None
        self._core: AsyncBalancer | None = None

    @property
    def port(self) -> int:
        return self._core.port if self._core is not None else self._port

    @property
    def url(self) -> str:
        guarded = self._settings is not None and self._settings.guard.tls is not None
        return f"http{'s' if guarded else ''}://{self.host}:{self.port}"

    @property
    def grpc_address(self) -> str:
        """Empty: gRPC is :class:`CallBalancer`'s."""
        return ""

    def start(self) -> Balancer:
        """Listen. It is bound when this returns."""
        if self._core is not None:
            return self
        thread = LoopThread(f"balancer-{self.host}:{self._port}")

        async def begin() -> AsyncBalancer:
            core = AsyncBalancer(
                self.host,
                self._port,
                endpoints=self._endpoints,
                policy=self._policy,
                health_path=self._health_path,
                settings=self._settings,
            )
            await core.start()
            return core

        try:
            self._core = thread.run(begin())
        except BaseException:
            thread.close()
            raise
        self._thread = thread
        return self

    def also(self, listener: socket.socket, tls: SSLContext | None = None) -> None:
        """Take the connections of this socket, too, which is closed at the end. Of a balancer that listens. Raises
        ServingError TIP517."""
        if self._thread is None or self._core is None:
            raise ServingError("TIP517", "This balancer does not listen yet.", fix="start() it first.")
        self._thread.run(self._core.also(listener, tls))

    def set_endpoints(self, endpoints: Endpoints) -> None:
        """Use exactly these from the next request on, with these weights. Those that left end what they are doing."""
        wanted = self._endpoints = parse_endpoints(endpoints)
        if self._thread is not None and self._core is not None:
            core = self._core
            self._thread.call(lambda: core.set_endpoints(wanted))

    def set_shadow(self, endpoints: Endpoints, share: float = 1.0) -> None:
        """Send copies of this share of what models are asked to these, too; what they answer is counted, and nobody
        gets it. None without endpoints. Of a balancer that listens. Raises ServingError TIP512, TIP517."""
        if self._thread is None or self._core is None:
            raise ServingError("TIP517", "This balancer does not listen yet.", fix="start() it first.")
        core = self._core
        self._thread.call(lambda: core.shadow.set(endpoints, share))

    def pin(self, pin: VersionPin | None) -> None:
        """Name this version to the replicas, from the next request on, where a request names none; None: none is
        named."""
        if self._thread is not None and self._core is not None:
            core = self._core
            self._thread.call(lambda: setattr(core, "pin", pin))

    def drained(self, timeout: float = 10.0) -> bool:
        """Wait until nothing runs on endpoints that left; False when that took too long."""
        if self._thread is None or self._core is None:
            return True
        return self._thread.run(drained(self._core, timeout))

    def stats(self) -> Stats:
        """Requests, errors, retries, and for each endpoint its state, load and failures."""
        if self._thread is None or self._core is None:
            return {
                "requests": 0,
                "errors": 0,
                "retries": 0,
                "connections": 0,
                "endpoints": [],
                "shadow": {"requests": 0, "failures": 0, "skipped": 0},
            }
        return self._thread.call(self._core.stats)

    def stop(self, drain_seconds: float = 10.0) -> bool:
        """Drain and close. True when no request had to be cut off."""
        if self._thread is None or self._core is None:
            return True
        clean = self._thread.run(self._core.stop(drain_seconds))
        self._thread.close()
        self._thread = self._core = None
        return clean

    def __enter__(self) -> Balancer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Draining(Protocol):
    def draining(self) -> int: ...


async def drained(core: _Draining, timeout: float) -> bool:
    """Wait until nothing runs on endpoints that left the set."""
    try:
        async with asyncio.timeout(timeout):
            while core.draining():
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True
