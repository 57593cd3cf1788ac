"""`tiphys cache gc --cluster`: what is beyond the limits goes from the ConfigMaps of a namespace, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiphys.errors import ClusterError
from tiphys.reuse.configmaps import configmaps
from tiphys.reuse.entry import CachedResult
from tiphys.reuse.limits import CacheLimits
from tiphys.runs import FakeTransport, Request, Response
from tiphys.runs.cluster.caches import collect
from tiphys.runs.cluster.kubernetes import Kubernetes

NOW = 1_700_000_000.0
DAY = 86400.0


class Cluster:
    """ConfigMaps behind the API, with its optimistic concurrency."""

    def __init__(self, meanwhile: int = 0) -> None:
        entries = [
            CachedResult("cache", f"k{i}", node="n", created=NOW, hit=NOW - i * DAY - 100) for i in range(5)
        ]
        ((config,), _) = configmaps("cache", entries)
        self.maps: dict[str, Any] = {"cache": config}
        config["metadata"]["resourceVersion"] = "1"  # type: ignore[typeddict-unknown-key]
        self.meanwhile = meanwhile
        self.transport = FakeTransport(self.answer)

    def answer(self, request: Request) -> Response:
        base = "/api/v1/namespaces/team/configmaps"
        if (request.method, request.path) == ("GET", base):
            assert request.query == {"labelSelector": "workflows.argoproj.io/configmap-type=Cache"}
            listed = Response.of({"items": json.loads(json.dumps(list(self.maps.values())))})
            if self.meanwhile:  # the controller has a hit on k4
                self.meanwhile -= 1
                self.used("k4")
            return listed
        assert request.method == "PATCH" and request.content_type == "application/merge-patch+json"
        config = self.maps[request.path.rpartition("/")[2]]
        if request.body["metadata"]["resourceVersion"] != config["metadata"]["resourceVersion"]:
            return Response.of({"kind": "Status", "message": "the object has been modified"}, 409)
        for key, value in request.body["data"].items():
            assert value is None
            del config["data"][key]
        return Response.of(config)

    def used(self, key: str) -> None:
        config = self.maps["cache"]
        entry = json.loads(config["data"][key])
        entry["lastHitTimestamp"] = "2023-11-14T22:13:20Z"
        config["data"][key] = json.dumps(entry)
        config["metadata"]["resourceVersion"] += "1"

    def left(self) -> list[str]:
        return sorted(self.maps["cache"]["data"])


def test_what_was_not_used_for_long_goes() -> None:
    cluster = Cluster()
    limits = CacheLimits(not_hit_for=2.5 * DAY)
    api = Kubernetes(cluster.transport)
    found = collect(api, "team", limits, now=NOW, dry_run=True)
    assert sorted(found.entries) == [("cache", "k3"), ("cache", "k4")]
    assert cluster.left() == ["k0", "k1", "k2", "k3", "k4"]
    assert sorted(collect(api, "team", limits, now=NOW).entries) == sorted(found.entries)
    assert cluster.left() == ["k0", "k1", "k2"]


def test_an_entry_that_is_hit_meanwhile_stays() -> None:
    cluster = Cluster(meanwhile=1)
    found = collect(Kubernetes(cluster.transport), "team", CacheLimits(max_entries=3), now=NOW)
    assert sorted(found.entries) == [("cache", "k2"), ("cache", "k3")]
    assert cluster.left() == ["k0", "k1", "k4"]


def test_it_gives_up_where_somebody_always_writes() -> None:
    cluster = Cluster(meanwhile=1000)
    with pytest.raises(ClusterError, match="change all the time"):
        collect(Kubernetes(cluster.transport), "team", CacheLimits(max_entries=3), now=NOW)
    assert len(cluster.left()) == 5
