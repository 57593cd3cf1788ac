"""A load balancer for model servers: HTTP/1.1 and gRPC, endpoints that change while it runs.

The local stand-in for a Kubernetes Service must run from ``pip install`` alone, without root: it is built in.
``tiphys serve`` takes HAProxy where it is installed, and Envoy where it is asked to
(:mod:`tiphys.serving.balancer.driver`). On a cluster Kubernetes does this work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiphys.lazy import asked_for

if TYPE_CHECKING:
    from tiphys.serving.balancer.calls import CallBalancer
    from tiphys.serving.balancer.core import AsyncBalancer, Settings
    from tiphys.serving.balancer.driver import HttpDriver
    from tiphys.serving.balancer.envoy import EnvoyBalancer
    from tiphys.serving.balancer.facade import Balancer
    from tiphys.serving.balancer.haproxy import HaproxyBalancer
    from tiphys.serving.balancer.policy import Candidate, ConsistentHash, LeastRequest, Policy, RoundRobin
    from tiphys.serving.balancer.process import BalancerProcess

__all__ = [
    "AsyncBalancer",
    "Balancer",
    "BalancerProcess",
    "CallBalancer",
    "Candidate",
    "ConsistentHash",
    "EnvoyBalancer",
    "HaproxyBalancer",
    "HttpDriver",
    "LeastRequest",
    "Policy",
    "RoundRobin",
    "Settings",
]

_HOMES = {
    "AsyncBalancer": ".core",
    "Balancer": ".facade",
    "BalancerProcess": ".process",
    "CallBalancer": ".calls",
    "Candidate": ".policy",
    "ConsistentHash": ".policy",
    "EnvoyBalancer": ".envoy",
    "HaproxyBalancer": ".haproxy",
    "HttpDriver": ".driver",
    "LeastRequest": ".policy",
    "Policy": ".policy",
    "RoundRobin": ".policy",
    "Settings": ".core",
}


def __getattr__(name: str) -> Any:
    return asked_for(__name__, _HOMES, name)
