"""A split among models: routes of the Gateway API, as they are emitted and as this machine runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tiphys
from tests.cluster.upstream import misfits, published
from tests.engine.harness import IMAGE, execute, value
from tests.tools import argo_lint
from tiphys import DefinitionError, Gateway, Pipeline, Serving, component
from tiphys.errors import RefusedError

PUBLIC = Gateway(
    "public", namespace="infra", domain="models.example.com", listener="http", grpc_listener="grpc"
)
SERVER = """
import http.server, os
from concurrent.futures import ThreadPoolExecutor
import grpc
who, here = os.environ["WHO"].encode(), os.environ["TIPHYS_POD_IP"]
class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda data, context: who)
calls = grpc.server(ThreadPoolExecutor(4))
calls.add_generic_rpc_handlers((Calls(),))
calls.add_insecure_port(here + ":8500")
calls.start()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(who)))
        self.end_headers()
        self.wfile.write(who)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((here, 8501), Handler).serve_forever()
"""


def ask(url: str, target: str, one: str) -> list[list[str]]:
    """A hundred requests, and calls through one channel each: who answered."""
    import urllib.request

    import grpc

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answers = [[opener.open(url, timeout=20).read().decode() for _ in range(100)]]
    for place in (target, one):
        with grpc.insecure_channel(place) as channel:
            call = channel.unary_unary("/a.B/C")
            answers.append([call(b"", timeout=20).decode() for _ in range(100)])
    return answers


class Chosen(NamedTuple):
    good: str
    new: str


def choose() -> Chosen:
    return Chosen("a", "b")


def split(gateway: Gateway = PUBLIC) -> Pipeline:
    serving = Serving("m", replicas=2, gateway=gateway)
    with Pipeline("p", image=IMAGE) as pipeline:
        canary = pipeline.param("canary", 10)
        deployed = [
            serving.deploy(name=name, model=f"pvc://tiphys/m/{name}").named(name) for name in ("a", "b")
        ]
        weights: dict[Any, Any] = {"a": 90, "b": canary}
        requests = serving.split("first", weights, after=deployed)
        calls = serving.split_calls("first", weights, after=deployed)
        one = serving.expose_calls(slot="first", name="a").after(deployed[0], on="succeeded")
        asked = component(ask, embed=True)(url=requests.url, target=calls.target, one=one.target)
        serving.stop().after(asked)
    return pipeline


def templates(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    (workflow,) = yaml.safe_load_all(tiphys.to_yaml(pipeline))
    return {each["name"]: each for each in workflow["spec"]["templates"]}


def test_nobody_has_anything_against_it(tmp_path: Path) -> None:
    assert not [each for each in tiphys.lint(split()) if each.severity == "error"]
    assert argo_lint(tiphys.to_yaml(split()), tmp_path) == ""


@pytest.mark.parametrize(
    "gateway", [PUBLIC, Gateway("g", listener="a", grpc_listener="b")], ids=["all", "bare"]
)
@pytest.mark.parametrize(("kind", "name"), [("HTTPRoute", "split-2"), ("GRPCRoute", "split-calls-2")])
def test_the_published_definition_has_nothing_against_it(kind: str, name: str, gateway: Gateway) -> None:
    try:
        definition = published(kind)
    except OSError as error:
        pytest.skip(f"the published definition of {kind} could not be fetched: {error}")
    manifest = templates(split(gateway))[name]["resource"]["manifest"]
    filled = re.sub(r"{{=asInt.*?}}", "10", manifest)
    assert list(misfits(json.loads(re.sub(r"{{.*?}}", "x", filled)), definition)) == []


def test_weights_are_numbers_and_the_route_is_not_the_runs() -> None:
    found = templates(split())
    manifest = found["split-2"]["resource"]["manifest"]
    assert "\"weight\": {{=asInt(inputs.parameters['weight-2'])}}" in manifest
    assert "setOwnerReference" not in found["split-2"]["resource"]
    for name in ("reach", "split-2", "split-calls-2"):  # two steps may make one at once
        assert "AlreadyExists" in found[name]["retryStrategy"]["expression"]
    assert '"sectionName": "grpc"' in found["split-calls-2"]["resource"]["manifest"]
    assert '"port": 8500' in found["split-calls-2"]["resource"]["manifest"]
    service = json.loads(found["expose-calls"]["resource"]["manifest"])
    assert service["spec"]["clusterIP"] == "None"
    assert found["stop-serving"]["resource"]["flags"][0] == (
        "deployments.apps,services,httproutes.gateway.networking.k8s.io,grpcroutes.gateway.networking.k8s.io"
    )
    bare = templates(split(Gateway("g", listener="a", grpc_listener="b")))["split-2"]["resource"]["manifest"]
    assert "hostnames" not in bare and "namespace" not in bare


def test_requests_and_calls_are_shared_out_by_weight_here(tmp_path: Path) -> None:
    (workflow,) = yaml.safe_load_all(tiphys.to_yaml(split()))
    (deploy,) = (each for each in workflow["spec"]["templates"] if each["name"] == "deploy")
    deployment = json.loads(deploy["resource"]["manifest"])
    container = {
        "name": "serving",
        "image": IMAGE,
        "command": ["python", "-c", SERVER],
        "env": [{"name": "WHO", "value": "{{inputs.parameters.name}}"}],
        "ports": [{"name": "http", "containerPort": 8501}, {"name": "grpc", "containerPort": 8500}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8501}},
    }
    deployment["spec"]["template"]["spec"] = {"containers": [container]}
    deploy["resource"]["manifest"] = json.dumps(deployment)
    result = execute(tmp_path, workflow)
    assert result.succeeded, {
        each["displayName"]: each.get("message") for each in result.workflow["status"]["nodes"].values()
    }
    requests, calls, one = json.loads(value(result, "ask", "result"))
    assert requests.count("b") == calls.count("b") == 10
    assert set(one) == {"a"}
    assert value(result, "split-2", "url").startswith("http://127.96.")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"filters": []}, "its rule has filters"),
        ({"backendRefs": [{"name": "a", "port": 1, "namespace": "other"}]}, "a backend has a namespace"),
        ({"backendRefs": [{"name": "a", "port": 1, "kind": "Bucket"}]}, "a backend is not a Service"),
    ],
)
def test_a_route_that_does_more_is_refused_here(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r"},
        "spec": {"rules": [{"backendRefs": [], **change}]},
    }
    resource = {"action": "create", "manifest": json.dumps(route)}
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "x-"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "resource": resource}]},
    }
    with pytest.raises(RefusedError) as caught:
        execute(tmp_path, workflow)
    assert caught.value.code == "TIP230" and text in caught.value.message
    resource["manifest"] = json.dumps(route).replace(
        '"r"', '"{{workflow.name}}"'
    )  # which is known when it runs
    assert text in str(execute(tmp_path, workflow).workflow["status"])


def test_outputs_name_models_and_weights_may_be_none() -> None:
    with Pipeline("p") as pipeline:
        chosen = component(choose, embed=True)()
        Serving("m", gateway=Gateway("g")).split("first", {chosen.outputs.good: 100, chosen.outputs.new: 0})
    tasks = {task["name"]: task for task in templates(pipeline)["main"]["dag"]["tasks"]}
    given = {each["name"]: each["value"] for each in tasks["split-2"]["arguments"]["parameters"]}
    assert given["name-2"] == "{{tasks.choose.outputs.parameters.new}}" and given["weight-2"] == "0"


def wrong(**options: Any) -> Any:
    return lambda: Gateway(**options)


def splitting(models: dict[Any, Any], gateway: Gateway | None = PUBLIC, calls: bool = False) -> Any:
    def build() -> None:
        with Pipeline("p"):
            serving = Serving("m", gateway=gateway)
            (serving.split_calls if calls else serving.split)("first", models)

    return build


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (wrong(name="A b"), "TIP101"),
        (wrong(name="a", domain="-"), "TIP101"),
        (wrong(name="a", listener="A"), "TIP101"),
        (wrong(name="a", grpc_listener="g"), "TIP104"),
        (wrong(name="a", listener="g", grpc_listener="g"), "TIP105"),
        (splitting({"a": 1}, None), "TIP104"),
        (splitting({"a": 1}, Gateway("g"), calls=True), "TIP104"),
        (splitting({}), "TIP109"),
        (splitting({"a": 0, "b": 0}), "TIP109"),
        (splitting({"a": -1}), "TIP109"),
        (splitting({"a": 0.5}), "TIP109"),
        (splitting({"a": True}), "TIP109"),
        (splitting({"A b": 1}), "TIP101"),
        (splitting({str(number): 1 for number in range(17)}), "TIP109"),
    ],
)
def test_what_is_written_wrongly(build: Any, code: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        build()
    assert caught.value.code == code and "test_gateway.py" in (caught.value.where or "")
