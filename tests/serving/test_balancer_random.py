"""The load balancer under random histories: replicas that come, go and change places, a request after each."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiphys.net import HttpRequest, HttpResponse, HttpServer
from tiphys.serving import Balancer
from tiphys.serving.balancer import Settings
from tiphys.serving.balancer.facade import LoopThread

COUNT = 3


class Fleet:
    """Servers on fixed ports that can be taken down and brought up again."""

    def __init__(self) -> None:
        self._thread = LoopThread("fleet")
        self._servers: list[HttpServer | None] = [None] * COUNT
        self.ports = [0] * COUNT
        for index in range(COUNT):
            self.up(index)

    def address(self, index: int) -> str:
        return f"127.0.0.1:{self.ports[index]}"

    def alive(self) -> set[int]:
        return {index for index, server in enumerate(self._servers) if server is not None}

    def up(self, index: int) -> None:
        if self._servers[index] is None:

            def answer(request: HttpRequest) -> HttpResponse:
                return HttpResponse(200, json.dumps(index).encode())

            server = HttpServer(answer, "127.0.0.1", self.ports[index])
            self._thread.run(server.start())
            self.ports[index] = server.port
            self._servers[index] = server

    def down(self, index: int, *, gently: bool) -> None:
        server, self._servers[index] = self._servers[index], None
        if server is not None:
            self._thread.run(server.stop(10 if gently else 0))

    def close(self) -> None:
        for index in range(COUNT):
            self.down(index, gently=False)
        self._thread.close()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    fleet = Fleet()
    yield fleet
    fleet.close()


members = st.integers(0, COUNT - 1)
acts = st.one_of(
    st.tuples(st.just("use"), st.sets(members)),
    st.tuples(st.just("kill"), members),
    st.tuples(st.just("stop"), members),
    st.tuples(st.just("start"), members),
)


@pytest.mark.parametrize("policy", ["round-robin", "least-request", "hash:body"])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(acts, max_size=10))
def test_a_request_fails_only_when_no_replica_in_the_set_is_alive(
    fleet: Fleet, policy: str, history: list[tuple[str, object]]
) -> None:
    for index in range(COUNT):
        fleet.up(index)
    used: set[int] = {0}
    with Balancer(
        "127.0.0.1", 0, endpoints=[fleet.address(0)], policy=policy, settings=Settings(hold=0.0)
    ) as balancer:
        client = http.client.HTTPConnection("127.0.0.1", balancer.port, timeout=20)
        for act, what in history:
            if act == "use":
                assert isinstance(what, set)
                used = what
                balancer.set_endpoints(fleet.address(index) for index in sorted(used))
            else:
                assert isinstance(what, int)
                if act == "start":
                    fleet.up(what)
                else:
                    fleet.down(what, gently=act == "stop")
            able = used & fleet.alive()
            for _ in range(2):
                client.request("POST", "/v1/models/m:predict", b"{}")
                response = client.getresponse()
                body = response.read()
                if able:
                    assert (response.status, json.loads(body) in able) == (200, True), body
                else:
                    assert response.status == 503
        client.close()
