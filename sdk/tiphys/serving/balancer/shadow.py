"""Shadow traffic: copies of requests for a model that is to be seen at work, whose answers nobody gets.

The copy is sent once the client has its answer. A shadow that is slow or broken costs nobody anything: no more than
``at_once`` copies are on their way, and what comes meanwhile is not copied.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from tiphys.errors import ServingError
from tiphys.net.client import ExchangeError
from tiphys.serving.balancer.endpoint import Endpoint, Endpoints, parse_endpoints
from tiphys.serving.balancer.policy import RoundRobin

if TYPE_CHECKING:
    from typing import TypedDict

    class ShadowStats(TypedDict):
        """``requests``: copies that were sent; ``failures``: of them without an answer, or with one of 500 and more;
        ``skipped``: not sent, as too many were on their way."""

        requests: int
        failures: int
        skipped: int


__all__ = ["Shadow"]


class Shadow:
    """Those that get copies. ``timeout``: seconds for one answer; ``at_once``: copies that are on their way."""

    def __init__(self, timeout: float, *, at_once: int = 32, rng: random.Random | None = None) -> None:
        self._timeout, self._at_once, self._rng = timeout, at_once, rng or random.Random()
        self._endpoints: list[Endpoint] = []
        self._share = 0.0
        self._policy = RoundRobin()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = self.failures = self.skipped = 0

    def set(self, endpoints: Endpoints, share: float = 1.0) -> None:
        """Copy this ``share`` of the requests to these, from the next one on; none without endpoints. Raises
        ServingError TIP512 for a share that is none, and as :func:`parse_endpoints`."""
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ServingError("TIP512", f"Bad share of a shadow: {share!r}.", fix="It is between 0 and 1.")
        known = {each.address: each for each in self._endpoints}
        fresh = []
        for address, weight in parse_endpoints(endpoints).items():
            endpoint = known.pop(address, None) or Endpoint(address)
            endpoint.weight = weight
            if weight:
                fresh.append(endpoint)
        for gone in known.values():
            gone.pool.close_idle()
        self._endpoints, self._share = fresh, float(share)

    def copy(self, data: bytes) -> None:
        """Send a request there, too, if it is one of the share."""
        if not self._endpoints or self._rng.random() >= self._share:
            return
        if len(self._tasks) >= self._at_once:
            self.skipped += 1
            return
        endpoint = self._endpoints[self._policy.choose(self._endpoints)]
        task = asyncio.get_running_loop().create_task(self._send(endpoint, data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, endpoint: Endpoint, data: bytes) -> None:
        self.requests += 1
        try:
            response = await endpoint.exchange(data, timeout=self._timeout)
        except ExchangeError as error:
            if not (error.reused and not error.answered):
                self.failures += 1
                return
            try:  # an idle connection that was closed meanwhile
                response = await endpoint.exchange(data, timeout=self._timeout, fresh=True)
            except ExchangeError:
                self.failures += 1
                return
        self.failures += response.status >= 500

    def stats(self) -> ShadowStats:
        """What came of the copies so far."""
        return {"requests": self.requests, "failures": self.failures, "skipped": self.skipped}

    async def close(self) -> None:
        """Send none any more, and cut off what is on its way."""
        endpoints, self._endpoints = self._endpoints, []
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for endpoint in endpoints:
            endpoint.pool.close_idle()
