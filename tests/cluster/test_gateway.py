"""What a split is on the real API server, which knows the definitions of the Gateway API (no gateway runs there), and
how gRPC calls reach replicas through a plain Service and through a headless one."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.conftest import Cluster, connect, owned
from tests.cluster.turns import turns
from tests.cluster.upstream import definition
from tests.dsl.gated import export
from tiphys import Gateway, Pipeline, Serving, component

pytestmark = [pytest.mark.cluster]
IMAGE = os.environ.get("TIPHYS_STEP_IMAGE", "")  # another than that of this version
GATEWAY = Gateway(
    "public", namespace="infra", domain="models.example.com", listener="http", grpc_listener="grpc"
)


@pytest.fixture
def routed(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with the definitions of both routes, of the Gateway API's own module."""
    try:
        definitions = [definition(kind) for kind in ("HTTPRoute", "GRPCRoute")]
    except OSError as error:
        pytest.skip(f"the Gateway API's definitions could not be fetched: {error}")
    names = cluster.define(*definitions)
    yield cluster
    cluster.kubectl("delete", "crd", *names)


def run(cluster: Cluster, pipeline: Pipeline, **parameters: Any) -> Any:
    with connect(cluster) as client:
        made = client.submit(pipeline, parameters=parameters, labels={"tiphys-test": "yes"})
        result = client.wait(made.name, timeout=120)
    nodes = {each["displayName"]: each for each in result.workflow["status"]["nodes"].values()}
    assert result.succeeded, {name: node.get("message") for name, node in nodes.items()}
    return result.name, nodes


def outputs(node: Any) -> dict[str, str]:
    return {each["name"]: each["value"] for each in node["outputs"]["parameters"]}


def weights(route: Any) -> dict[str, int]:
    (rule,) = route["spec"]["rules"]
    return {each["name"]: each["weight"] for each in rule["backendRefs"]}


def split(stops: bool = False) -> Pipeline:
    serving = Serving("routed", gateway=GATEWAY)
    with Pipeline("split") as pipeline:
        share: Any = pipeline.param("share", 10)
        models = {"a": 90, "b": share}
        last = serving.split_calls("first", models).after(serving.split("first", models))
        if stops:
            serving.stop().after(last)
    return pipeline


def test_the_api_server_takes_the_routes_and_the_next_run_moves_them(routed: Cluster) -> None:
    first, nodes = run(routed, split())
    assert outputs(nodes["split-2"])["url"] == "http://first.models.example.com"
    assert outputs(nodes["split-calls-2"])["target"] == "first.models.example.com"
    second, _ = run(routed, split(), share=30)
    for kind, port, listener in (("httproute", 8501, "http"), ("grpcroute", 8500, "grpc")):
        (route,) = routed.get(kind, "-n", "argo")
        assert route["metadata"]["name"] == "routed-first" and "ownerReferences" not in route["metadata"]
        assert weights(route) == {f"{second}-a-model": 90, f"{second}-b-model": 30}
        assert {each["port"] for each in route["spec"]["rules"][0]["backendRefs"]} == {port}
        assert route["spec"]["parentRefs"][0]["sectionName"] == listener
    service = routed.get("service", f"{first}-a-model", "-n", "argo")
    ports = [(each["name"], each["port"], each.get("appProtocol")) for each in service["spec"]["ports"]]
    assert ports == [("http", 8501, None), ("grpc", 8500, "kubernetes.io/h2c")]
    run(routed, split(stops=True))
    assert routed.get("httproute,grpcroute", "-n", "argo") == []


def test_a_route_of_a_pipeline_leads_to_services_of_its_namespace(routed: Cluster) -> None:
    def create(kind: str, rule: dict[str, Any]) -> str:
        route = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "tiphys-policy"},
            "spec": {"rules": [rule]},
        }
        return routed.kubectl(
            "create", "--dry-run=server", "-n", "argo", "--as=system:serviceaccount:argo:tiphys", "-f", "-",
            text=json.dumps(route), check=False,
        )  # fmt: skip

    own = {"name": "a", "port": 8501}
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["authorization"]}}
    for kind in ("HTTPRoute", "GRPCRoute"):
        routed.until(
            "the kind is served", lambda kind=kind: "created" in create(kind, {"backendRefs": [own]}), 60
        )
        foreign = {"backendRefs": [own, {**own, "namespace": "kube-system"}]}
        routed.until(
            "the policy is in force",
            lambda kind=kind, rule=foreign: "tiphys-created-objects" in create(kind, rule),
            60,
        )
        for rule in (
            {"backendRefs": [{**own, "group": "multicluster.x-k8s.io", "kind": "ServiceImport"}]},
            {"backendRefs": [{**own, "filters": [header]}]},
            {"backendRefs": [own], "filters": [header]},
        ):
            assert "tiphys-created-objects" in create(kind, rule), rule


def test_a_headless_service_gives_a_grpc_client_all_replicas(cluster: Cluster, images: None) -> None:
    folder = f"calls-{uuid.uuid4().hex[:8]}"
    models = cluster.volume / "models" / folder
    export(models)
    owned(models)
    serving = Serving("gated", replicas=2)
    with Pipeline("calls", image=IMAGE) as pipeline:
        first = serving.publish("first", name="good", model=f"pvc://tiphys/models/{folder}/good")
        calls = serving.expose_calls(slot="first", name="good").after(first, on="succeeded")
        component(turns, embed=True)(url=first.url, target=calls.target)
    _, nodes = run(cluster, pipeline)
    plain, headless = json.loads(outputs(nodes["turns"])["result"])
    assert sorted(plain) == [0, 40]  # kube-proxy balances connections
    assert sum(headless) == 40 and min(headless) >= 15
    shutil.rmtree(models)
