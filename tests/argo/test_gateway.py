"""The names of the Gateway API: pipelines, the local engine and `kubectl` mean the same."""

from __future__ import annotations

from tiphys.argo.gateway import GROUP, ROUTES
from tiphys.dsl.gateway import GRPC_ROUTES, HTTP_ROUTES
from tiphys.engine.objects.kinds import find_kind


def test_who_emits_a_route_and_who_takes_it_mean_one_kind() -> None:
    for kind, plural in zip(ROUTES, (HTTP_ROUTES, GRPC_ROUTES), strict=True):
        found = find_kind(plural)
        assert found is not None and (found.kind, found.group, found.resource) == (kind, GROUP, plural)
