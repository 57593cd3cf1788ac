"""What the stand-ins of a Service and of a route share."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tiphys.engine.objects.front import ObjectFront, is_grpc


class Host:
    def __init__(self) -> None:
        self.addresses = {"127.96.1.1"}


class Asked:
    """Stands for the balancers: keeps what they are asked until it is let through."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.told: list[tuple[Any, ...]] = []

    def ask(self, work: Any, done: Any, failed: Any) -> None:
        self.waiting.append((work, done, failed))

    def let(self, error: Exception | None = None) -> None:
        work, done, failed = self.waiting.pop(0)
        work(self)
        if error is None:
            done()
        else:
            failed(error)

    def apply(self, name: str, **how: Any) -> None:
        self.told.append((name, how["port"], how["endpoints"], how["protocol"]))

    def remove(self, name: str) -> None:
        self.told.append((name,))

    def drained(self, name: str, timeout: float) -> None:
        self.told.append((name, timeout))


class Placed(ObjectFront):
    @property
    def ip(self) -> str:
        return "127.96.1.1"


def front(kind: str = "") -> tuple[Placed, Asked, Host]:
    host, asked = Host(), Asked()
    return Placed(cast("Any", host), cast("Any", asked), "m", kind), asked, host


@pytest.mark.parametrize(
    ("port", "calls"),
    [
        ({"name": "http", "port": 8501}, False),
        ({"port": 8501}, False),
        ({"name": "grpc", "port": 8500}, True),
        ({"name": "any", "appProtocol": "kubernetes.io/h2c", "port": 1}, True),
        ({"name": "any", "appProtocol": "http", "port": 1}, False),
    ],
)
def test_which_port_is_one_of_grpc(port: Any, calls: bool) -> None:
    assert is_grpc(port) is calls


def test_a_balancer_is_told_once_and_what_waits_goes_on_then() -> None:
    made, asked, host = front("HTTPRoute")
    seen: list[str] = []
    made.settled(lambda: seen.append("at once"))
    made.point(8501, {}, "http")  # nobody answers yet, but it listens
    made.point(8501, {}, "http")
    made.point(8501, {"127.22.1.1:8501": 2.0}, "http")
    made.settled(lambda: seen.append("later"))
    assert seen == ["at once"] and len(asked.waiting) == 2
    asked.let()
    assert seen == ["at once"]
    asked.let()
    assert seen == ["at once", "later"] and made.problem == ""
    made.drained(lambda: seen.append("drained"))
    asked.let()
    made.delete()
    asked.let()
    name = "HTTPRoute/m:8501"
    assert asked.told == [
        (name, 8501, {}, "http"),
        (name, 8501, {"127.22.1.1:8501": 2.0}, "http"),
        (name, 10),
        (name,),
    ]
    assert seen[-1] == "drained" and not host.addresses


def test_what_goes_wrong_is_kept_and_nobody_waits_for_ever() -> None:
    made, asked, _ = front()
    made.point(8500, {}, "grpc")
    seen: list[str] = []
    made.settled(lambda: seen.append("on"))
    asked.let(OSError("in use"))
    assert seen == ["on"] and made.problem == "in use"


def test_an_address_is_known_again_after_a_resume() -> None:
    made, _, _ = front()
    assert made.kept("http://127.96.3.4:8501") == made.kept("127.96.3.4:8500") == "127.96.3.4"
    assert (
        made.kept("http://first.example.com") == made.kept("dns:///m-grpc.ns.svc:8500") == made.kept("") == ""
    )
