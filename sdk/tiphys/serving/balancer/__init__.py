"""A load balancer for model servers: HTTP/1.1 and gRPC, endpoints that change while it runs.

Why not HAProxy or nginx: the local stand-in for a Kubernetes Service must run from ``pip install`` alone,
without root, and must change its endpoints without a reload. On a cluster Kubernetes does this work.
"""

from __future__ import annotations

from tiphys.serving.balancer.calls import CallBalancer
from tiphys.serving.balancer.core import AsyncBalancer, Settings
from tiphys.serving.balancer.facade import Balancer
from tiphys.serving.balancer.policy import Candidate, ConsistentHash, LeastRequest, Policy, RoundRobin
from tiphys.serving.balancer.process import BalancerProcess

__all__ = [
    "AsyncBalancer",
    "Balancer",
    "BalancerProcess",
    "CallBalancer",
    "Candidate",
    "ConsistentHash",
    "LeastRequest",
    "Policy",
    "RoundRobin",
    "Settings",
]
