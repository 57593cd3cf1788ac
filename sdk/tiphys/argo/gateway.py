"""The kinds of the Kubernetes Gateway API, as pipelines emit them and this machine takes them."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

__all__ = ["ADDRESS", "GROUP", "ROUTES", "RouteKind"]

GROUP = "gateway.networking.k8s.io"
RouteKind: TypeAlias = Literal["HTTPRoute", "GRPCRoute"]
ROUTES: tuple[RouteKind, ...] = get_args(RouteKind)
ADDRESS = "tiphys.dev/address"
"""The annotation that says where clients find an object that has no address in its fields. A pipeline writes that of
the cluster; what stands for the object here writes its own."""
