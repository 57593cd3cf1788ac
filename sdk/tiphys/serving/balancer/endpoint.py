"""One replica as the balancer sees it: its connections, its load, its health."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from tiphys.errors import ServingError
from tiphys.net.client import Pool
from tiphys.net.message import HttpResponse
from tiphys.serving.balancer.policy import ConsistentHash

if TYPE_CHECKING:
    from tiphys.serving.balancer.policy import Policy

__all__ = ["Endpoint", "EndpointState", "Endpoints", "parse_address", "parse_endpoints", "pick"]

Endpoints: TypeAlias = Iterable[str] | Mapping[str, float]
"""Addresses, or addresses with weights."""
EndpointT = TypeVar("EndpointT", bound="Endpoint")


class EndpointState(StrEnum):
    HEALTHY = "healthy"
    EJECTED = "ejected"  # requests failed there; tried again after a while
    UNHEALTHY = "unhealthy"  # its health check fails
    DRAINING = "draining"  # no longer in the set


def parse_address(address: str) -> tuple[str, int]:
    """``host:port`` or ``[v6]:port``. Raises ServingError TIP512."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ServingError(
            "TIP512",
            f"{address!r} is not an endpoint address.",
            fix="Write host:port, such as 127.22.0.1:8501.",
        )
    return host.strip("[]"), int(port)


def parse_endpoints(endpoints: Endpoints) -> dict[str, float]:
    """The addresses with their weights: 1 where none is given. Raises ServingError TIP512 for what is none."""
    weights = endpoints if isinstance(endpoints, Mapping) else dict.fromkeys(endpoints, 1.0)
    for address, weight in weights.items():
        parse_address(address)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise ServingError(
                "TIP512",
                f"Bad weight of {address}: {weight!r}.",
                fix="It is a number from 0, and says how much an endpoint gets beside the others.",
            )
    return {address: float(weight) for address, weight in weights.items()}


class Endpoint:
    """Counts what runs on a replica and remembers how it went.

    Outliers: after ``threshold`` failures in a row (one is enough when no connection can be made) the
    endpoint is left out for ``base`` seconds, twice as long each time it happens again, at most ``longest``.
    """

    threshold = 5
    base = 1.0
    longest = 30.0

    def __init__(self, address: str) -> None:
        self.address = address
        self.weight = 1.0
        host, port = parse_address(address)
        self.pool = Pool(host, port)
        self.active = 0
        self.requests = 0
        self.answers = 0
        self.failures = 0
        self.draining = False
        self.check_failures = 0
        self._streak = 0
        self._ejections = 0
        self._ejected_until = 0.0
        self._unreachable = False

    def state(self, now: float) -> EndpointState:
        if self.draining:
            return EndpointState.DRAINING
        if self.check_failures >= 2:
            return EndpointState.UNHEALTHY
        return EndpointState.EJECTED if now < self._ejected_until else EndpointState.HEALTHY

    async def exchange(
        self, data: bytes, *, timeout: float, head_only: bool = False, fresh: bool = False
    ) -> HttpResponse:
        self.active += 1
        self.requests += 1
        try:
            return await self.pool.exchange(data, timeout=timeout, head_only=head_only, fresh=fresh)
        finally:
            self.active -= 1
            if self.draining:
                self.pool.close_idle()

    def succeeded(self) -> None:
        self.answers += 1
        if self._streak or self._ejections:
            self._streak = self._ejections = 0
            self._ejected_until = 0.0

    def failed(self, now: float, *, fatal: bool = False) -> None:
        self.failures += 1
        self._streak += 1
        self._unreachable = fatal
        if fatal or self._streak >= self.threshold:
            self.eject(now)

    def eject(self, now: float) -> None:
        if now < self._ejected_until:
            return
        self._ejected_until = now + min(self.longest, self.base * 2**self._ejections)
        self._ejections = min(self._ejections + 1, 10)
        self._streak = 0
        self.pool.close_idle()

    def checked(self, ok: bool) -> None:
        """Take the result of an active health check."""
        if ok:
            self.check_failures = 0
            if self._unreachable:  # what the check proves is that it can be reached again
                self._ejected_until = 0.0
        else:
            self.check_failures += 1
            if self.check_failures == 2:
                self.pool.close_idle()

    def retire(self) -> None:
        self.draining = True
        self.pool.close_idle()

    def revive(self) -> None:
        self.draining = False
        self.check_failures = self._streak = self._ejections = 0
        self._ejected_until = 0.0

    async def check(self, path: str | None, timeout: float) -> bool:
        """Ask once: a TCP connection, or GET ``path`` answered with 200."""
        try:
            async with asyncio.timeout(timeout):
                if path is None:
                    _, writer = await asyncio.open_connection(self.pool.host, self.pool.port)
                    writer.close()
                    return True
                probe = Pool(self.pool.host, self.pool.port, connect_timeout=timeout)
                head = f"GET {path} HTTP/1.1\r\nHost: {self.address}\r\nConnection: close\r\n\r\n"
                response = await probe.exchange(head.encode("latin-1"), timeout=timeout)
                return response.status == 200
        except (OSError, TimeoutError):
            return False
        except Exception:  # noqa: BLE001 - a malformed answer is a failed check
            return False


def pick(
    policy: Policy, endpoints: Iterable[EndpointT], tried: Collection[EndpointT], now: float, key: bytes
) -> EndpointT | None:
    """The endpoint that a policy chooses of those that get anything and were not ``tried``; ``key``: of
    :func:`tiphys.serving.balancer.policy.key_of`. None where there is none."""
    pool = [each for each in endpoints if each.weight and each not in tried]
    # all of them look bad: better to try one than to be sure to fail
    candidates = [each for each in pool if each.state(now) is EndpointState.HEALTHY] or pool
    if not candidates:
        return None
    if isinstance(policy, ConsistentHash):
        return candidates[policy.choose(candidates, key)]
    return candidates[policy.choose(candidates)]
