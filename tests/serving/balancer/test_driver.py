"""What balances: the one that was asked for, and else the one that can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tiphys.errors import ServingError
from tiphys.serving.balancer import Balancer, EnvoyBalancer, HaproxyBalancer, HttpDriver
from tiphys.serving.balancer.driver import DRIVERS, start_driver
from tiphys.serving.balancer.envoy import envoy
from tiphys.serving.balancer.haproxy import haproxy


class Starting:
    """Starts them; what they reported."""

    def __init__(self, stack: ExitStack) -> None:
        self.said: list[str] = []
        self._stack = stack

    def __call__(self, driver: str = "auto", **options: Any) -> HttpDriver:
        made = start_driver(driver, "127.0.0.1", 0, model="m", report=self.said.append, **options)
        self._stack.callback(made.stop)
        return made


@pytest.fixture
def starting() -> Iterator[Starting]:
    with ExitStack() as stack:
        yield Starting(stack)


@pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed")
def test_haproxy_where_it_is_and_has_what_is_asked_for(starting: Starting) -> None:
    assert isinstance(starting(), HaproxyBalancer)
    assert isinstance(starting(policy="least-request"), HaproxyBalancer)
    assert starting.said == ["load balancer: HAProxy"] * 2
    assert isinstance(starting("built-in"), Balancer)
    assert isinstance(starting(policy="hash:x-user"), Balancer)
    assert isinstance(starting(replicas=100), Balancer)
    with pytest.raises(ServingError) as error:
        starting("haproxy", policy="hash")
    assert error.value.code == "TIP511"


@pytest.mark.skipif(haproxy() is None, reason="HAProxy is not installed")
def test_grpc_where_it_is_spoken(starting: Starting) -> None:
    assert starting("haproxy", grpc_port=0).grpc_address.startswith("127.0.0.1:")
    assert starting("haproxy").grpc_address == starting("built-in", grpc_port=0).grpc_address == ""


@pytest.mark.skipif(envoy() is None, reason="Envoy is not installed")
def test_envoy_where_it_is_asked_for(starting: Starting) -> None:
    for policy in ("round-robin", "hash:x-user"):
        assert isinstance(starting("envoy", policy=policy, replicas=100), EnvoyBalancer)
    with pytest.raises(ServingError) as error:
        starting("envoy", policy="hash:body")
    assert (error.value.code, starting.said) == ("TIP511", [])


def test_envoy_is_asked_for_and_is_not_there(starting: Starting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.serving.balancer.envoy.envoy", lambda: None)
    with pytest.raises(ServingError, match="Envoy does not start") as error:
        starting("envoy")
    assert error.value.code == "TIP531" and "tiphys[envoy]" in error.value.fix
    assert error.value.cause == "it is not installed"


def test_without_it_the_built_in_one(starting: Starting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.serving.balancer.driver.haproxy", lambda: None)
    monkeypatch.setattr("tiphys.serving.balancer.haproxy.haproxy", lambda: None)
    assert isinstance(starting(), Balancer)
    with pytest.raises(ServingError) as error:
        starting("haproxy")
    assert (error.value.code, starting.said) == ("TIP531", [])


def test_one_that_does_not_start_is_left_out(starting: Starting, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("driver", "haproxy"):
        monkeypatch.setattr(f"tiphys.serving.balancer.{module}.haproxy", lambda: "/bin/false")
    assert isinstance(starting(), Balancer)
    assert starting.said[0].startswith("HAProxy is left out: ")


def test_a_name_that_is_none(starting: Starting) -> None:
    with pytest.raises(ServingError, match=r"Did you mean .haproxy.\?") as error:
        starting("haprxy")
    assert error.value.code == "TIP511" and all(each in error.value.fix for each in DRIVERS)
