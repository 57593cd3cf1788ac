"""Routes of the Gateway API here: shares of the pods behind Services. (Its clients: tests/dsl/test_gateway.py)"""

from __future__ import annotations

from typing import Any, cast

import pytest

from tests.engine.objects.test_front import Asked, Host
from tiphys.engine.objects.route import Route, check_route
from tiphys.errors import RefusedError


class Service:
    def __init__(self, *pods: str) -> None:
        self.pods = pods

    def endpoints(self, number: int) -> list[str]:
        return [f"{pod}:{number}" for pod in self.pods]


def manifest(kind: str = "HTTPRoute", **rule: Any) -> Any:
    backends = [{"name": "a", "port": 8501, "weight": 90}, {"name": "b", "port": 8501, "weight": 10}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "m-first", "annotations": {"tiphys.dev/address": "http://127.96.7.7:8501"}},
        "spec": {"rules": [{"backendRefs": backends, **rule}]},
    }


def route(item: Any, services: dict[str, Service]) -> tuple[Route, Asked]:
    asked = Asked()
    made = Route(cast("Any", Host()), item, cast("Any", asked), cast("Any", services.get))
    made.sync()
    while asked.waiting:
        asked.let()
    return made, asked


def test_the_pods_of_a_service_share_its_weight() -> None:
    services = {"a": Service("1", "2"), "b": Service("3")}
    made, asked = route(manifest(), services)
    shares = {"1:8501": 45.0, "2:8501": 45.0, "3:8501": 10.0}
    assert asked.told == [("HTTPRoute/m-first:8501", 8501, shares, "http")]
    assert made.urls == ["http://127.96.7.7:8501"] and made.ip == "127.96.7.7"
    services["b"].pods = ()
    made.sync()
    asked.let()
    assert asked.told[-1][2] == {"1:8501": 45.0, "2:8501": 45.0}


def test_calls_have_an_address_and_no_url() -> None:
    made, asked = route(manifest("GRPCRoute"), {"a": Service("1")})
    assert asked.told[0][3] == "grpc" and made.urls == []
    assert made.item["metadata"]["annotations"]["tiphys.dev/address"] == "127.96.7.7:8501"


def test_a_pod_behind_two_services_has_both_shares_and_a_weight_is_one_where_none_is_said() -> None:
    backends = [{"name": "a", "port": 1}, {"name": "b", "port": 1, "weight": 3}]
    _, asked = route(manifest(backendRefs=backends), {"a": Service("1"), "b": Service("1")})
    assert asked.told[0][2] == {"1:1": 4.0}


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({**manifest(), "spec": {}}, "it has 0 rules"),
        (manifest(matches=[], filters=[]), "its rule has filters, matches"),
        (manifest(backendRefs=[{"name": "a"}]), "or no port"),
        (manifest(backendRefs=[{"name": "a", "port": 1, "group": "x"}]), "not a Service"),
    ],
)
def test_a_route_that_does_more_is_refused(item: Any, text: str) -> None:
    with pytest.raises(RefusedError, match="TIP230") as caught:
        check_route(item, "here")
    assert text in caught.value.message
    check_route(manifest(), "here")
    check_route({"kind": "Service"}, "here")
