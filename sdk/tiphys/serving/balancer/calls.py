"""gRPC, balanced by call: a client keeps one connection, and its calls go to all replicas. (A Service of Kubernetes
balances connections, so a client of one sees one replica.)

HAProxy does the same for less (:mod:`tiphys.serving.balancer.haproxy`); this is for where it is not installed.

Messages are not read: any unary call of any service is passed on, with its metadata and its deadline. Needs grpcio.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from tiphys.errors import ServingError
from tiphys.net.message import bearer_token
from tiphys.net.server import cannot_listen
from tiphys.serving.balancer.core import HELD, Settings
from tiphys.serving.balancer.endpoint import Endpoint, Endpoints, parse_endpoints, pick
from tiphys.serving.balancer.facade import LoopThread
from tiphys.serving.balancer.policy import Policy, key_of, make_policy
from tiphys.serving.balancer.repeatable import is_safe_rpc

if TYPE_CHECKING:
    from typing import TypedDict

    from tiphys.serving.balancer.pin import VersionPin

    class CallStats(TypedDict):
        """Calls, those that came to nothing, and those that were tried once more."""

        calls: int
        errors: int
        retries: int


__all__ = ["CallBalancer"]

_RESERVED = ("grpc-", ":", "te", "content-type", "user-agent")  # written anew


class _Replica(Endpoint):
    """An endpoint with a channel."""

    def __init__(self, address: str, grpc: Any, most: int) -> None:
        super().__init__(address)
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", most),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self.channel = grpc.aio.insecure_channel(address, options=options)


class _Call:
    """What a policy may hash of a call."""

    def __init__(self, body: bytes, context: Any) -> None:
        self.body, self.peer = body, str(context.peer()).partition(":")[2].rpartition(":")[0]
        self._metadata = dict(context.invocation_metadata() or ())

    def header(self, name: bytes) -> bytes | None:
        found = self._metadata.get(name.decode("latin-1"))
        return found.encode() if isinstance(found, str) else found


class CallBalancer:
    """Forwards the gRPC calls to one address to a set of endpoints that may change at any time. All methods may be
    called from any thread.

    Parameters
    ----------
    host, port:
        Where it listens; port 0 takes a free one.
    policy:
        As of :class:`tiphys.serving.Balancer`; a header is a key of the metadata.

    Errors: ServingError TIP510 (cannot listen), TIP511 (unknown policy), TIP512 (bad endpoint), TIP530 (no grpcio).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        endpoints: Endpoints = (),
        policy: str | Policy = "round-robin",
        settings: Settings | None = None,
    ) -> None:
        self.host, self.port = host, port
        self._wanted = parse_endpoints(endpoints)
        self._policy = make_policy(policy)
        self._settings = settings or Settings()
        self._replicas: dict[str, _Replica] = {}
        self._left: list[_Replica] = []
        self._pin: VersionPin | None = None
        self._thread: LoopThread | None = None
        self._server: Any = None
        self._grpc: Any = None
        self.calls = self.errors = self.retries = 0

    @property
    def address(self) -> str:
        """``HOST:PORT`` for a channel."""
        return f"{self.host}:{self.port}"

    def start(self) -> CallBalancer:
        """Listen. It is bound when this returns."""
        if self._thread is not None:
            return self
        try:
            import grpc
            import grpc.aio
        except ImportError as error:
            raise ServingError(
                "TIP530", "gRPC needs grpcio, which is not installed.", fix="pip install 'tiphys[serve]'"
            ) from error
        self._grpc = grpc
        self._thread = LoopThread(f"calls-{self.address}")
        try:
            self._thread.run(self._begin())
        except BaseException:
            self._thread.close()
            self._thread = None
            raise
        return self

    async def _begin(self) -> None:
        grpc, guard = self._grpc, self._settings.guard
        most = self._settings.limits.body_bytes
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", most),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ]
        )
        server.add_generic_rpc_handlers((_Every(grpc, self._forward),))
        try:
            if guard.pem is None:
                self.port = server.add_insecure_port(self.address)
            else:
                credentials = grpc.ssl_server_credentials([guard.pem])
                self.port = server.add_secure_port(self.address, credentials)
            await server.start()
        except (RuntimeError, OSError) as error:
            raise cannot_listen(self.host, self.port, error) from error
        self._server = server
        self._take(self._wanted)

    def set_endpoints(self, endpoints: Endpoints) -> None:
        """Use exactly these from the next call on, with these weights. Those that left end what they are doing."""
        wanted = self._wanted = parse_endpoints(endpoints)
        if self._thread is not None:
            self._thread.call(lambda: self._take(wanted))

    def _take(self, wanted: dict[str, float]) -> None:
        most = self._settings.limits.body_bytes
        fresh = {}
        for address, weight in wanted.items():
            replica = self._replicas.pop(address, None) or _Replica(address, self._grpc, most)
            replica.weight = weight
            fresh[address] = replica
        for gone in self._replicas.values():
            gone.retire()
            self._left = [*(each for each in self._left if each.active), gone]
            # who has a call there keeps the channel until that ends
            asyncio.get_running_loop().create_task(gone.channel.close(self._settings.timeout))
        self._replicas = fresh

    def draining(self) -> int:
        """How many calls still run on endpoints that left."""
        return sum(each.active for each in self._left)

    def pin(self, pin: VersionPin | None) -> None:
        """Name this version to the replicas, from the next call on, where a call names none; None: none is named."""
        self._pin = pin

    def stats(self) -> CallStats:
        """What came of the calls so far."""
        return {"calls": self.calls, "errors": self.errors, "retries": self.retries}

    def stop(self, drain_seconds: float = 10.0) -> None:
        """Take no new calls, let running ones end, and close."""
        if self._thread is None:
            return
        self._thread.run(self._end(drain_seconds))
        self._thread.close()
        self._thread = None

    async def _end(self, drain_seconds: float) -> None:
        await self._server.stop(drain_seconds)
        await asyncio.gather(*(each.channel.close() for each in self._replicas.values()))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self._replicas = {}

    def __enter__(self) -> CallBalancer:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # ---- calls
    async def _forward(self, method: str, data: bytes, context: Any) -> bytes:
        self.calls += 1
        call = _Call(data, context)
        if not self._settings.guard.knows(
            bearer_token((call.header(b"authorization") or b"").decode("latin-1"))
        ):
            await context.abort(self._grpc.StatusCode.UNAUTHENTICATED, "a token is needed")
        key = key_of(self._policy, call)
        with self._pin or contextlib.nullcontext() as pin:
            asked = data if pin is None else pin.message(method, data)
            return await self._offer(method, asked, context, key)

    async def _offer(self, method: str, data: bytes, context: Any, key: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        may_repeat = is_safe_rpc(method)
        left = context.time_remaining()
        until = loop.time() + min(
            self._settings.timeout, left if left is not None else self._settings.timeout
        )
        held = loop.time() + self._settings.hold
        tried: set[_Replica] = set()
        last: Any = None
        while True:
            replica = pick(self._policy, self._replicas.values(), tried, loop.time(), key)
            if replica is None or len(tried) >= self._settings.attempts:
                if loop.time() >= min(held, until):
                    break
                tried.clear()
                await asyncio.sleep(HELD)
                continue
            self.retries += bool(tried)
            tried.add(replica)
            try:
                return await self._ask(replica, method, data, context, until - loop.time())
            except self._grpc.aio.AioRpcError as error:
                last = error
                if error.code() is not self._grpc.StatusCode.UNAVAILABLE:
                    replica.succeeded()  # an answer, too
                    break
                replica.failed(loop.time(), fatal=True)
                if not may_repeat:
                    break
        self.errors += 1
        if last is None:
            await context.abort(self._grpc.StatusCode.UNAVAILABLE, "no replica is ready")
        context.set_trailing_metadata(_passed(last.trailing_metadata()))
        await context.abort(last.code(), last.details() or "")
        raise AssertionError("abort raises")

    async def _ask(self, replica: _Replica, method: str, data: bytes, context: Any, seconds: float) -> bytes:
        replica.active += 1
        replica.requests += 1
        metadata = _passed(context.invocation_metadata())
        try:
            call = replica.channel.unary_unary(method)(data, timeout=seconds, metadata=metadata)
            answer: bytes = await call
            context.set_trailing_metadata(_passed(await call.trailing_metadata()))
        finally:
            replica.active -= 1
        replica.succeeded()
        return answer


def _passed(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    return tuple((key, value) for key, value in metadata or () if not key.startswith(_RESERVED))


class _Every:
    """Every unary call, whatever its name."""

    def __init__(self, grpc: Any, forward: Callable[[str, bytes, Any], Awaitable[bytes]]) -> None:
        self._grpc, self._forward = grpc, forward

    def service(self, details: Any) -> Any:
        method = details.method

        async def handle(data: bytes, context: Any) -> bytes:
            return await self._forward(method, data, context)

        return self._grpc.unary_unary_rpc_method_handler(handle)
