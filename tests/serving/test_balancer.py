"""The load balancer, in front of real servers on loopback."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.net import HttpRequest, HttpResponse, error_response
from tiphys.serving import Balancer
from tiphys.serving.balancer import Settings

Ask = Callable[..., Any]


def name_of(answer: Any) -> str:
    assert answer.status == 200, answer.body
    (name,) = answer.json["predictions"]
    assert isinstance(name, str)
    return name


def names(url: str, ask: Ask, count: int) -> list[str]:
    return [name_of(ask(url, "POST", "/v1/models/m:predict", "{}")) for _ in range(count)]


# ---- forwarding
def test_round_robin(replica: Any, balancer: Any, ask: Ask) -> None:
    url = balancer(*map(replica, "abc")).url
    assert names(url, ask, 6) == ["a", "b", "c", "a", "b", "c"]


def test_the_request_arrives_as_it_was_sent(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")
    url = balancer(a).url
    body = bytes(range(256)) * 2000
    headers = {"Content-Type": "x/y", "X-Mine": "ü".encode().decode("latin-1"), "X-Forwarded-For": "1.2.3.4"}
    ask(url, "POST", "/v1/models/m%20n:predict?a=b%26c", body, headers)
    (request,) = a.requests
    assert (request.method, request.target, request.body) == (
        "POST",
        "/v1/models/m%20n:predict?a=b%26c",
        body,
    )
    assert request.header(b"content-type") == b"x/y"
    assert request.header(b"x-mine") == "ü".encode()
    assert request.header(b"host") == url.removeprefix("http://").encode()
    assert request.header(b"x-forwarded-for") == b"1.2.3.4, 127.0.0.1"


def test_the_answer_arrives_as_it_was_given(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")
    body = bytes(range(256)) * 5000
    a.answer = lambda request: HttpResponse(404, body, "a/b", ((b"X-One", b"1"), (b"X-Two", b"2")))
    answer = ask(balancer(a).url, "GET", "/x")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (404, body, "a/b")
    assert (answer.headers["X-One"], answer.headers["X-Two"]) == ("1", "2")
    assert answer.headers.get_all("Date") is not None and len(answer.headers.get_all("Date")) == 1


def test_hop_by_hop_headers_stay_on_their_hop(replica: Any, balancer: Any) -> None:
    a = replica("a")
    lb = balancer(a)
    with closing(socket.create_connection(("127.0.0.1", lb.port), timeout=20)) as client:
        client.sendall(
            b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
            b"TE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
    (request,) = a.requests
    received = dict(request.headers)
    assert request.body == b"{}"
    assert received[b"content-length"] == b"2"
    assert not {b"x-hop", b"te", b"transfer-encoding", b"connection"} & received.keys()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde",
        b"HTTP/1.0 200 OK\r\n\r\nabcde",  # the end of the connection is the end of the answer
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    ],
)
def test_answers_of_all_kinds(balancer: Any, ask: Ask, raw: bytes) -> None:
    with RawServer(lambda client: client.sendall(raw)) as server:
        lb = balancer()
        lb.set_endpoints([server.address])
        answer = ask(lb.url, "GET", "/")
        assert (answer.status, answer.body) == (200, b"abcde")


def test_head(replica: Any, balancer: Any, ask: Ask) -> None:
    url = balancer(replica("a")).url
    assert (ask(url, "HEAD", "/x").status, ask(url, "GET", "/x").status) == (200, 200)


def test_no_endpoint_is_a_503_in_tensorflow_servings_words(balancer: Any, ask: Ask) -> None:
    lb = balancer()
    answer = ask(lb.url, "POST", "/v1/models/m:predict", "{}")
    assert (answer.status, answer.error) == (503, f"No endpoint available for 127.0.0.1:{lb.port}")
    assert answer.headers["Content-Type"] == "application/json"


def test_malformed_requests_do_not_reach_a_replica(replica: Any, balancer: Any) -> None:
    a = replica("a")
    lb = balancer(a)
    with closing(socket.create_connection(("127.0.0.1", lb.port), timeout=20)) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 400")
    assert a.requests == []


# ---- failure
class RawServer:
    """A TCP server that reads a request's head and then does what it is told."""

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._behave = behave
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                client.settimeout(20)
                if client.recv(65536):
                    self._behave(client)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def test_killing_a_replica_under_load_fails_no_request(replica: Any, balancer: Any, load: Any) -> None:
    a, b = replica("a"), replica("b")
    lb = balancer(a, b)
    with load(lb.url) as traffic:
        traffic.more(50)
        a.die()
        traffic.more(100)
    assert traffic.failures == []
    assert set(traffic.answers[-20:]) == {b'{"predictions": ["b"]}'}


def test_a_replica_that_dies_in_the_middle_of_an_answer(replica: Any, balancer: Any, ask: Ask) -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it"
    with RawServer(lambda client: client.sendall(half)) as broken:
        lb = balancer()
        lb.set_endpoints([broken.address, replica("b").address])
        assert [name_of(ask(lb.url, "POST", "/v1/models/m:predict", "{}")) for _ in range(3)] == ["b"] * 3
        assert broken.connections >= 1
        assert lb.stats()["retries"] == broken.connections


def test_a_request_that_may_not_run_twice_is_not_sent_twice(replica: Any, balancer: Any, ask: Ask) -> None:
    b = replica("b")
    with RawServer(lambda client: None) as broken:
        lb = balancer()
        lb.set_endpoints([broken.address, b.address])
        answer = ask(lb.url, "POST", "/orders", "1")
        assert answer.status == 502 and "The replica broke off" in answer.error
        assert (broken.connections, b.requests) == (1, [])


@pytest.mark.parametrize("path", ["/v1/models/m:predict", "/v2/models/m/infer"])
def test_what_asks_a_model_may_run_twice(replica: Any, balancer: Any, ask: Ask, path: str) -> None:
    with RawServer(lambda client: None) as broken:
        lb = balancer()
        lb.set_endpoints([broken.address, replica("b").address])
        assert name_of(ask(lb.url, "POST", path, "{}")) == "b"
        assert broken.connections == 1


def test_a_request_that_was_not_sent_goes_elsewhere_whatever_it_is(
    replica: Any, balancer: Any, ask: Ask
) -> None:
    gone = replica("gone")
    gone.die()
    lb = balancer(gone, replica("b"))
    assert ask(lb.url, "POST", "/orders", "1").status == 200


def test_garbage_from_a_replica(replica: Any, balancer: Any, ask: Ask) -> None:
    with RawServer(lambda client: client.sendall(b"this is not HTTP\r\n\r\n")) as broken:
        lb = balancer()
        lb.set_endpoints([broken.address])
        answer = ask(lb.url, "GET", "/")
        assert answer.status == 503 and "malformed answer" in answer.error
        lb.set_endpoints([broken.address, replica("b").address])
        assert ask(lb.url, "GET", "/").status == 200


def test_all_replicas_down(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")
    lb = balancer(a)
    a.die()
    answer = ask(lb.url, "POST", "/v1/models/m:predict", "{}")
    assert answer.status == 503
    assert answer.error.startswith("No endpoint answered") and a.address in answer.error


def test_a_request_is_held_until_a_replica_is_there(replica: Any, balancer: Any, load: Any) -> None:
    lb = balancer(settings=Settings(hold=20))
    with load(lb.url, clients=3) as traffic:
        a = replica("a")
        lb.set_endpoints([a.address])
        traffic.more(20)
        a.die()
        lb.set_endpoints([replica("b").address])
        traffic.more(20)
    assert traffic.failures == []


def test_no_answer_in_time_is_a_504(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")

    async def hang(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(60)
        return error_response(500, "never")

    a.answer = hang
    lb = balancer(a, settings=Settings(timeout=0.05))
    answer = ask(lb.url, "POST", "/v1/models/m:predict", "{}")
    assert answer.status == 504 and a.address in answer.error


def test_a_replica_that_answers_with_errors_is_left_out_for_a_while(
    replica: Any, balancer: Any, ask: Ask
) -> None:
    a, b = replica("a"), replica("b")
    a.answer = lambda request: error_response(500, "it broke")
    lb = balancer(a, b, settings=Settings(health_interval=3600))
    statuses = [ask(lb.url, "POST", "/v1/models/m:predict", "{}").status for _ in range(20)]
    assert statuses.count(500) == 5  # the threshold
    assert statuses[-9:] == [200] * 9
    assert [e["state"] for e in lb.stats()["endpoints"]] == ["ejected", "healthy"]


def test_errors_of_the_client_do_not_count_against_a_replica(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")
    a.answer = lambda request: error_response(400, "your fault")
    lb = balancer(a)
    for _ in range(10):
        assert ask(lb.url, "POST", "/v1/models/m:predict", "{}").status == 400
    assert lb.stats()["endpoints"][0]["state"] == "healthy"


def test_health_checks_find_what_is_ill_and_what_is_well_again(
    replica: Any, balancer: Any, until: Any, ask: Ask
) -> None:
    a, b = replica("a"), replica("b")
    ill = threading.Event()

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path == "/health" and ill.is_set():
            return error_response(404, "not loaded")
        return a.say_name(request)

    a.answer = answer
    lb = balancer(a, b, health_path="/health", settings=Settings(health_interval=0.01))

    def states() -> list[str]:
        return [e["state"] for e in lb.stats()["endpoints"]]

    ill.set()
    until(lambda: states() == ["unhealthy", "healthy"])
    assert set(names(lb.url, ask, 6)) == {"b"}
    ill.clear()
    until(lambda: states() == ["healthy", "healthy"])
    assert set(names(lb.url, ask, 6)) == {"a", "b"}


def test_an_idle_connection_that_the_replica_closed_costs_nothing(
    replica: Any, balancer: Any, ask: Ask
) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 22\r\n\r\n{"predictions": ["r"]}'
    with RawServer(lambda client: client.sendall(answer)) as server:  # keep-alive promised, then closed
        lb = balancer()
        lb.set_endpoints([server.address])
        assert names(lb.url, ask, 5) == ["r"] * 5
        assert lb.stats()["errors"] == 0


# ---- endpoints that change
def test_swapping_endpoints_under_load_fails_no_request(replica: Any, balancer: Any, load: Any) -> None:
    a, b = replica("a"), replica("b")
    lb = balancer(a, b)
    with load(lb.url) as traffic:
        traffic.more(50)
        for name in ("c", "d", "e"):
            old, a, b = (a, b), b, replica(name)
            lb.set_endpoints([a.address, b.address])
            assert lb.drained(10)
            old[0].die()  # cuts whatever still runs there: nothing may
            traffic.more(50)
    assert traffic.failures == []
    seen = Counter(json.loads(answer)["predictions"][0] for answer in traffic.answers)
    assert set(seen) == set("abcde")


def test_replacing_all_endpoints_drains_a_running_request(replica: Any, balancer: Any, ask: Ask) -> None:
    a, b = replica("a"), replica("b")
    entered, release = threading.Event(), threading.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        entered.set()
        await asyncio.to_thread(release.wait, 20)
        return a.say_name(request)

    a.answer = slow
    lb = balancer(a)
    found: list[str] = []
    asker = threading.Thread(target=lambda: found.extend(names(lb.url, ask, 1)))
    asker.start()
    assert entered.wait(10)
    lb.set_endpoints([b.address])
    assert lb.drained(0.01) is False
    assert [e["state"] for e in lb.stats()["endpoints"]] == ["healthy", "draining"]
    assert names(lb.url, ask, 2) == ["b", "b"]
    release.set()
    assert lb.drained(10) is True
    asker.join()
    assert found == ["a"]
    assert [e["address"] for e in lb.stats()["endpoints"]] == [b.address]


def test_an_endpoint_that_comes_back_while_it_drains(replica: Any, balancer: Any, ask: Ask) -> None:
    a = replica("a")
    lb = balancer(a)
    lb.set_endpoints([])
    lb.set_endpoints([a.address])
    assert names(lb.url, ask, 1) == ["a"]


def test_replicas_that_end_on_sigterm_one_after_the_other(replica: Any, balancer: Any, load: Any) -> None:
    a, b, c = map(replica, "abc")
    lb = balancer(a, b, c)
    with load(lb.url) as traffic:
        traffic.more(50)
        for old in (a, b):
            old.stop()
            traffic.more(50)
    assert traffic.failures == []


def test_stop_lets_running_requests_end(replica: Any, load: Any) -> None:
    a = replica("a")
    entered, release = threading.Event(), threading.Event()

    async def slow(request: HttpRequest) -> HttpResponse:
        entered.set()
        await asyncio.to_thread(release.wait, 20)
        return a.say_name(request)

    a.answer = slow
    lb = Balancer("127.0.0.1", 0, endpoints=[a.address]).start()
    with closing(socket.create_connection(("127.0.0.1", lb.port), timeout=20)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert entered.wait(10)
        stopper = threading.Thread(target=lb.stop)
        stopper.start()
        release.set()
        assert b'["a"]' in client.recv(65536)
        stopper.join()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", lb.port), timeout=1)


# ---- errors of the caller
def test_errors_of_the_caller(replica: Any, balancer: Any) -> None:
    lb = balancer(replica("a"))
    for make, code in (
        (lambda: Balancer("127.0.0.1", lb.port).start(), "TIP510"),
        (lambda: Balancer("127.0.0.1", 0, policy="round-robbin"), "TIP511"),
        (lambda: Balancer("127.0.0.1", 0, policy="hash:"), "TIP511"),
        (lambda: Balancer("127.0.0.1", 0, policy="hash:two words"), "TIP511"),
        (lambda: Balancer("127.0.0.1", 0, endpoints=["nowhere"]), "TIP512"),
        (lambda: lb.set_endpoints(["1.2.3.4:0"]), "TIP512"),
    ):
        with pytest.raises(ServingError) as caught:
            make()
        assert caught.value.code == code
        assert caught.value.fix
    with pytest.raises(ServingError, match="Did you mean 'round-robin'"):
        Balancer("127.0.0.1", 0, policy="round-robbin")


# ---- policies
def test_requests_with_the_same_key_go_to_the_same_replica(replica: Any, balancer: Any, ask: Ask) -> None:
    a, b, c = map(replica, "abc")
    for policy, requests in (
        ("hash:X-User", [("{}", {"X-User": str(number)}) for number in range(60)]),
        ("hash:body", [(json.dumps({"instances": [number]}), {}) for number in range(60)]),
        ("hash", [("{}", {}) for _ in range(60)]),
        ("hash:X-User", [("{}", {}) for _ in range(60)]),  # without the header: the client
    ):
        url = balancer(a, b, c, policy=policy).url
        first, second = (
            [name_of(ask(url, "POST", "/v1/models/m:predict", body, headers)) for body, headers in requests]
            for _ in range(2)
        )
        assert first == second
        assert len(set(first)) == (1 if len({str(each) for each in requests}) == 1 else 3)


def test_least_request_sends_little_to_a_slow_replica(replica: Any, balancer: Any, load: Any) -> None:
    slow, quick = replica("slow"), replica("quick")

    async def answer(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.05)
        return slow.say_name(request)

    slow.answer = answer
    lb = balancer(slow, quick, policy="least-request")
    with load(lb.url, clients=4) as traffic:
        traffic.more(200)
    seen = Counter(json.loads(body)["predictions"][0] for body in traffic.answers)
    assert traffic.failures == []
    assert seen["slow"] < seen["quick"] / 4
