"""Copies of requests, and that they cost nobody anything; weights through the balancer that is used."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable

import pytest

from tests.serving.conftest import Replica
from tiphys.errors import ServingError
from tiphys.net import HttpRequest, HttpResponse
from tiphys.serving import Balancer
from tiphys.serving.balancer.shadow import Shadow

Make = Callable[[str], Replica]


def ask(balancer: Balancer, path: str = "/v1/models/m:predict", body: bytes = b"{}") -> str:
    with urllib.request.urlopen(urllib.request.Request(balancer.url + path, body), timeout=20) as answer:
        return str(json.load(answer)["predictions"][0])


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_shadow_gets_what_models_are_asked_and_nobody_gets_its_answer(replica: Make) -> None:
    first, second = replica("first"), replica("second")
    with Balancer("127.0.0.1", 0, endpoints=[first.address]) as balancer:
        balancer.set_shadow([second.address])
        assert {ask(balancer, body=str(number).encode()) for number in range(20)} == {"first"}
        ask(balancer, "/v1/models/m:reload")  # which changes something
        until(lambda: balancer.stats()["shadow"]["requests"] == 20 == len(second.requests))
        assert {each.body for each in second.requests} == {str(number).encode() for number in range(20)}
        assert balancer.stats()["shadow"] == {"requests": 20, "failures": 0, "skipped": 0}
        balancer.set_shadow([])
        ask(balancer)
        assert len(second.requests) == 20
        with pytest.raises(ServingError, match="share"):
            balancer.set_shadow([second.address], share=1.5)


@pytest.mark.parametrize("broken", ["gone", "fails", "slow"])
def test_a_broken_shadow_costs_nobody_anything(replica: Make, broken: str) -> None:
    first, second = replica("first"), replica("second")

    async def slow(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(30)
        raise AssertionError("nobody waits so long")

    if broken == "gone":
        second.die()
    elif broken == "slow":
        second.answer = slow
    else:
        second.answer = lambda request: HttpResponse(500, b"{}")
    with Balancer("127.0.0.1", 0, endpoints=[first.address]) as balancer:
        balancer.set_shadow([second.address])
        assert {ask(balancer) for _ in range(100)} == {"first"}
        stats = balancer.stats()
        if broken == "slow":
            assert (stats["shadow"]["requests"], stats["shadow"]["skipped"]) == (32, 68)
        else:
            until(
                lambda: balancer.stats()["shadow"]["failures"] + balancer.stats()["shadow"]["skipped"] == 100
            )
        assert stats["errors"] == stats["retries"] == 0


def test_its_share_is_drawn() -> None:
    sent = []

    async def main() -> None:
        shadow = Shadow(1.0)
        shadow.set({"127.0.0.1:1": 1.0, "127.0.0.1:2": 0.0}, 0.25)

        async def send(endpoint: object, data: bytes) -> None:
            sent.append(endpoint)

        shadow._send = send  # type: ignore[method-assign, assignment]
        for _ in range(2000):
            shadow.copy(b"")
            await asyncio.sleep(0)
        await shadow.close()

    asyncio.run(main())
    assert abs(len(sent) - 500) < 5 * 500**0.5


@pytest.mark.parametrize("policy", ["round-robin", "least-request", "hash:x-user"])
def test_weights_are_shares_through_the_balancer(replica: Make, policy: str) -> None:
    first, second, third = (replica(name) for name in ("first", "second", "third"))
    with Balancer("127.0.0.1", 0, policy=policy) as balancer:
        balancer.set_endpoints({first.address: 3, second.address: 1, third.address: 0})
        seen: Counter[str] = Counter()
        for number in range(400):
            request = urllib.request.Request(
                f"{balancer.url}/v1/models/m:predict", b"{}", {"X-User": str(number)}
            )
            with urllib.request.urlopen(request, timeout=20) as answer:
                seen[json.load(answer)["predictions"][0]] += 1
        assert abs(seen["second"] - 100) < 50 and seen["third"] == 0 and sum(seen.values()) == 400
        assert [each["weight"] for each in balancer.stats()["endpoints"]] == [3.0, 1.0, 0.0]
        first.die()
        assert ask(balancer) == "second"
        for wrong in (-1, float("nan"), "2"):
            with pytest.raises(ServingError, match="weight"):
                balancer.set_endpoints({first.address: wrong})  # type: ignore[dict-item]
