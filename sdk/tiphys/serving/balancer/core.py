"""The load balancer itself, on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from tiphys.net import HttpLimits, HttpRequest, HttpResponse, HttpServer, error_response
from tiphys.net.client import ConnectError, ExchangeError
from tiphys.serving.balancer.endpoint import Endpoint, EndpointState, parse_endpoints, pick
from tiphys.serving.balancer.policy import Policy, key_of, make_policy
from tiphys.serving.balancer.repeatable import asks_model, may_repeat
from tiphys.serving.balancer.shadow import Shadow
from tiphys.serving.guard import NO_TOKEN, Guard
from tiphys.serving.model.servable import Code
from tiphys.serving.rpc.frames import PIN_HEADER, is_call, refusal

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext

    from tiphys.serving.balancer.endpoint import Endpoints
    from tiphys.serving.balancer.pin import VersionPin
    from tiphys.serving.balancer.shadow import ShadowStats

    class EndpointStats(TypedDict):
        address: str
        state: str
        weight: float
        active: int
        requests: int
        failures: int

    class Stats(TypedDict):
        """What a balancer counts."""

        requests: int
        errors: int
        retries: int
        connections: int
        shadow: ShadowStats
        endpoints: list[EndpointStats]


__all__ = ["HELD", "AsyncBalancer", "Settings"]

HELD = 0.05
"""Seconds between two looks whether there is a replica now, for what is held."""

# hop-by-hop (RFC 9110, 7.6.1) and what is written anew
_DROP = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_CODES = {
    401: Code.UNAUTHENTICATED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


class _RefusedError(Exception):
    """There is no answer of a replica."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message

    def response(self, request: HttpRequest) -> HttpResponse:
        """As whoever asked reads it."""
        if is_call(request):
            return refusal(_CODES[self.status], self.message)
        response = error_response(self.status, self.message)
        if self.status == 401:
            response.headers = (*response.headers, (b"WWW-Authenticate", b"Bearer"))
        return response


@dataclass(frozen=True, slots=True)
class Settings:
    """How the balancer behaves; times in seconds."""

    timeout: float = 60.0
    """For one answer of one replica."""
    attempts: int = 4
    """A request is tried on at most this many replicas, one after the other."""
    hold: float = 1.0
    """A request that no replica takes is held for so long, in which one may be started again."""
    health_interval: float = 2.0
    health_timeout: float = 2.0
    limits: HttpLimits = field(default_factory=HttpLimits)
    guard: Guard = field(default_factory=Guard)
    """Who may ask."""
    behind: bool = False
    """Who asks is a balancer in front of this one, which may have said what it names."""


class AsyncBalancer:
    """Forwards HTTP/1.1 requests on one address to a set of endpoints that may change at any time.

    A request is held whole before it is sent and its answer is held whole before it is given back, so that a
    replica that dies in the middle costs the client nothing: the request goes to another one. That is done
    when nothing had been sent, or when the request may run twice: by its method, or because it asks a model
    (predict, classify, regress and infer change nothing).
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
        self.settings = settings or Settings()
        self.policy = make_policy(policy)
        self.health_path = health_path
        self._endpoints: dict[str, Endpoint] = {}
        self._draining: dict[str, Endpoint] = {}
        self._server = HttpServer(
            self._handle, host, port, limits=self.settings.limits, tls=self.settings.guard.tls
        )
        self._health: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.pin: VersionPin | None = None  # of requests that name no version
        self.shadow = Shadow(self.settings.timeout)
        self.requests = self.errors = self.retries = 0
        self.set_endpoints(endpoints)

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def port(self) -> int:
        return self._server.port

    async def start(self) -> None:
        """Bind and listen; ServingError TIP510 when that cannot be done."""
        await self._server.start()
        self._health = asyncio.get_running_loop().create_task(self._watch())

    async def also(self, listener: socket.socket, tls: SSLContext | None) -> None:
        """Take the connections of this socket, too, which is closed at the end."""
        await self._server.also(listener, tls)

    async def stop(self, drain_seconds: float = 10.0) -> bool:
        """Drain and close. True when no request had to be cut off."""
        clean = await self._server.stop(drain_seconds)
        if self._health is not None:
            self._health.cancel()
            await asyncio.gather(self._health, return_exceptions=True)
        await self.shadow.close()
        for endpoint in (*self._endpoints.values(), *self._draining.values()):
            endpoint.pool.close_idle()
        return clean

    def set_endpoints(self, endpoints: Endpoints) -> None:
        """Use exactly these from the next request on, with these weights. Those that left drain."""
        wanted = parse_endpoints(endpoints)
        fresh = {}
        for address, weight in wanted.items():
            endpoint = self._endpoints.get(address) or self._draining.pop(address, None) or Endpoint(address)
            endpoint.weight = weight
            if endpoint.draining:
                endpoint.revive()
            fresh[address] = endpoint
        for address, endpoint in self._endpoints.items():
            if address not in fresh:
                endpoint.retire()
                self._draining[address] = endpoint
        self._endpoints = fresh
        self._forget()
        self._changed.set()

    def draining(self) -> int:
        """How many requests still run on endpoints that left."""
        self._forget()
        return sum(endpoint.active for endpoint in self._draining.values())

    def _forget(self) -> None:
        for address in [a for a, endpoint in self._draining.items() if not endpoint.active]:
            del self._draining[address]

    def stats(self) -> Stats:
        now = asyncio.get_running_loop().time()
        return {
            "requests": self.requests,
            "errors": self.errors,
            "retries": self.retries,
            "connections": self._server.connections,
            "shadow": self.shadow.stats(),
            "endpoints": [
                {
                    "address": endpoint.address,
                    "state": endpoint.state(now).value,
                    "weight": endpoint.weight,
                    "active": endpoint.active,
                    "requests": endpoint.requests,
                    "failures": endpoint.failures,
                }
                for endpoint in (*self._endpoints.values(), *self._draining.values())
            ],
        }

    # ---- requests
    async def _handle(self, request: HttpRequest) -> HttpResponse:
        try:
            if not self.settings.guard.admits(request):
                raise _RefusedError(401, NO_TOKEN)
            self.requests += 1
            response = await self._forward(request)
            self.errors += response.status >= 500
            return response
        except _RefusedError as error:
            self.errors += error.status >= 500
            return error.response(request)

    async def _forward(self, request: HttpRequest) -> HttpResponse:
        with self.pin or contextlib.nullcontext() as pin:
            return await self._forward_to(request, pin)

    async def _forward_to(self, request: HttpRequest, pin: VersionPin | None) -> HttpResponse:
        loop = asyncio.get_running_loop()
        repeatable, head_only = may_repeat(request), request.method == "HEAD"
        data = _encode(request, pin, named=self.settings.behind and request.header(PIN_HEADER) is not None)
        key = key_of(self.policy, request)
        until = loop.time() + self.settings.hold
        while True:
            answer = await self._offer(data, key, repeatable=repeatable, head_only=head_only)
            if isinstance(answer, HttpResponse):
                if asks_model(request):
                    self.shadow.copy(data)
                return answer
            if loop.time() >= until:
                break
            await asyncio.sleep(HELD)
        if not self._endpoints:
            raise _RefusedError(503, f"No endpoint available for {self.host}:{self.port}")
        raise _RefusedError(503, f"No endpoint answered for {self.host}:{self.port}; last: {answer}")

    async def _offer(
        self, data: bytes, key: bytes, *, repeatable: bool, head_only: bool
    ) -> HttpResponse | str:
        """Try one replica after the other. The answer, or why none took it: it may be offered once more."""
        loop = asyncio.get_running_loop()
        tried: set[Endpoint] = set()
        reason = ""
        again: Endpoint | None = None  # the same endpoint once more, on a fresh connection
        for attempt in range(self.settings.attempts + 1):
            fresh = again is not None
            endpoint = again or pick(self.policy, self._endpoints.values(), tried, loop.time(), key)
            again = None
            if endpoint is None:
                break
            self.retries += attempt > 0
            try:
                response = await endpoint.exchange(
                    data, timeout=self.settings.timeout, head_only=head_only, fresh=fresh
                )
            except ConnectError as error:
                endpoint.failed(loop.time(), fatal=True)
                reason = f"{endpoint.address}: {error.reason}"
                tried.add(endpoint)
            except ExchangeError as error:
                reason = f"{endpoint.address}: {error.reason}"
                if error.timeout:
                    endpoint.failed(loop.time())
                    raise _RefusedError(504, f"No answer in time from {reason}") from None
                if error.reused and not error.answered and repeatable:
                    again = endpoint  # most likely an idle connection that was closed meanwhile
                    continue
                endpoint.failed(loop.time())
                tried.add(endpoint)
                if not repeatable:
                    raise _RefusedError(502, f"The replica broke off: {reason}") from None
            else:
                if response.status in (500, 502, 503):
                    endpoint.failed(loop.time())
                else:
                    endpoint.succeeded()
                return response
        return reason

    # ---- health
    async def _watch(self) -> None:
        """Active checks. An endpoint that has just answered a request needs none."""
        loop = asyncio.get_running_loop()
        seen: dict[str, int] = {}
        while True:
            if not self._endpoints:  # nothing to watch: sleep until there is
                self._changed.clear()
                await self._changed.wait()
            await asyncio.sleep(self.settings.health_interval)
            due = []
            for endpoint in list(self._endpoints.values()):
                endpoint.pool.prune(loop.time())
                quiet = endpoint.answers == seen.get(endpoint.address, 0)
                seen[endpoint.address] = endpoint.answers
                if quiet or endpoint.state(loop.time()) is not EndpointState.HEALTHY:
                    due.append(endpoint)
            results = await asyncio.gather(
                *(e.check(self.health_path, self.settings.health_timeout) for e in due)
            )
            for endpoint, ok in zip(due, results, strict=True):
                endpoint.checked(ok)


def _encode(request: HttpRequest, pin: VersionPin | None, *, named: bool) -> bytes:
    """The request as it is sent to a replica. ``named``: a header says what is named, already."""
    target = pin.target(request.target) if pin is not None else request.target
    drop = _DROP
    connection = request.header(b"connection")
    if connection is not None:
        drop = drop | {token.strip().lower() for token in connection.split(b",")}
    parts = [f"{request.method} {target} HTTP/1.1\r\n".encode("latin-1")]
    forwarded = request.peer.encode()
    for name, value in request.headers:
        if name == b"x-forwarded-for":
            forwarded = value + b", " + forwarded
        elif name not in drop and (named or name != PIN_HEADER):  # which is ours to say
            parts.append(b"%s: %s\r\n" % (name, value))
    if pin is not None and is_call(request) and not named:
        parts.append(b"%s: %s\r\n" % (PIN_HEADER, pin.names["header"].encode()))
    if forwarded:
        parts.append(b"x-forwarded-for: %s\r\n" % forwarded)
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        parts.append(b"content-length: %d\r\n" % len(request.body))
    parts.append(b"\r\n")
    parts.append(request.body)
    return b"".join(parts)
