"""The client against a cluster made of functions: what is sent, what comes back, and the errors."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.fakes import kubernetes, scripted, server, state
from tiphys.errors import ClusterError, RefusedError, TiphysError
from tiphys.runs import (
    Client,
    HttpTransport,
    Request,
    Response,
)

WORKFLOW = """
apiVersion: v1
kind: ConfigMap
metadata: {name: locks}
data: {training-2: "1"}
---
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: train-me
  annotations: {tiphys.dev/parameters: '{"epochs": {"type": "integer", "minimum": 1}}'}
spec:
  entrypoint: main
  arguments: {parameters: [{name: epochs, value: 6}]}
  templates:
  - name: main
    container: {image: busybox, command: [echo, 1], env: [{name: N, value: 012}]}
"""


# -- submit --------------------------------------------------------------------------------------------------


def accept(limits: dict[str, int]) -> Callable[[Request], Response]:
    """An Argo Server with semaphore limits."""

    def handler(request: Request) -> Response:
        if request.path.startswith("/api/v1/sync/team"):
            if request.method == "GET":
                key = request.path.rpartition("/")[2]
                if key in limits:
                    return Response.of({"key": key, "limit": limits[key]})
                return Response.of({"code": 5, "message": 'configmaps "locks" not found'}, 404)
            limits[request.body["key"]] = request.body["limit"]
            return Response.of(request.body)
        workflow = request.body["workflow"]
        workflow["metadata"]["name"] = workflow["metadata"].get("name") or "train-me-x1x2x"
        return Response.of(workflow)

    return handler


def test_submit_sends_limits_first_then_a_workflow_that_does_not_collide() -> None:
    limits: dict[str, int] = {}
    client, transport = server(accept(limits))
    made = client.submit(WORKFLOW, parameters={"epochs": 2}, labels={"team": "ml"}, priority=5)
    assert (made.name, made.notes, limits) == ("train-me-x1x2x", (), {"training-2": 1})
    sent = transport.requests[-1].body["workflow"]
    assert sent["metadata"]["generateName"] == "train-me-"
    assert sent["metadata"]["namespace"] == "team"
    assert sent["metadata"]["labels"] == {"team": "ml"}
    assert sent["spec"]["priority"] == 5
    assert sent["spec"]["arguments"]["parameters"] == [{"name": "epochs", "value": "2"}]


def test_a_limit_of_the_cluster_stays_unless_asked_otherwise() -> None:
    limits = {"training-2": 4}
    client, _ = server(accept(limits))
    made = client.submit(WORKFLOW)
    assert limits == {"training-2": 4}
    assert "training-2 is 4 here, not 1" in made.notes[0]
    assert client.submit(WORKFLOW, update_limits=True).notes == ()
    assert limits == {"training-2": 1}


def test_numbers_that_would_crash_the_controller_are_quoted() -> None:
    created: list[Any] = []

    def handler(request: Request) -> Response:
        if request.method == "GET":
            return Response.of({"data": {"training-2": "1"}})
        created.append(request.body)
        return Response.of({**request.body, "metadata": {"name": "train-me-1"}})

    client, _ = kubernetes(handler)
    client.submit(WORKFLOW.replace("value: 6}", "value: 6}, {name: rate, value: 1e-7}"))
    spec = created[0]["spec"]
    assert spec["arguments"]["parameters"][1] == {"name": "rate", "value": "0.0000001"}  # as the Argo Server
    assert spec["arguments"]["parameters"][0]["value"] == "6"
    container = spec["templates"][0]["container"]
    assert container["command"] == ["echo", "1"]
    assert container["env"][0]["value"] == "10"  # YAML 1.1: 012 is octal


def test_limits_in_a_config_map_are_merged() -> None:
    calls = []

    def handler(request: Request) -> Response:
        calls.append((request.method, request.path))
        if "configmaps" in request.path:
            if request.method == "GET":
                return Response.of({"data": {"other": "3"}})
            if request.method == "POST":
                return Response.of({"message": "already exists"}, 409)
            assert request.content_type == "application/merge-patch+json"
            assert request.body == {"data": {"training-2": "1"}}
            return Response.of({})
        return Response.of({**request.body, "metadata": {"name": "train-me-1"}})

    client, _ = kubernetes(handler)
    client.submit(WORKFLOW)
    assert ("PATCH", "/api/v1/namespaces/team/configmaps/locks") in calls


@pytest.mark.parametrize(
    ("size", "status", "told"), [(800_000, 200, False), (900_000, 200, True), (900_000, 403, False)]
)
@pytest.mark.parametrize(
    ("declared", "looked_at"),
    [
        ("mine", "mine"),
        ("tiphys-cache-a-{{=sprig.trunc(2, sprig.sha256sum(inputs.x))}}", "tiphys-cache-a-00"),
    ],
)
def test_a_cache_that_is_nearly_full_is_noted(
    size: int, status: int, told: bool, declared: str, looked_at: str
) -> None:
    def handler(request: Request) -> Response:
        if request.path.endswith(f"/configmaps/{looked_at}"):
            return Response.of({"data": {"k": "x" * size}}, status)
        return Response.of({**request.body, "metadata": {"name": "a-1"}})

    memo = {"key": "k", "cache": {"configMap": {"name": declared}}}
    template = {"name": "a", "memoize": memo, "container": {"image": "a"}}
    client, transport = kubernetes(handler)
    made = client.submit({"kind": "Workflow", "spec": {"entrypoint": "a", "templates": [template]}})
    assert [looked_at in note and "86%" in note for note in made.notes] == [True] * told
    assert any(request.path.endswith(looked_at) for request in transport.requests)


@pytest.mark.parametrize(
    ("given", "code"), [({"epoch": 1}, "TIP280"), ({"epochs": "many"}, "TIP281"), ({"epochs": 0}, "TIP281")]
)
def test_wrong_parameters_are_refused_before_anything_is_sent(given: dict[str, Any], code: str) -> None:
    client, transport = server(accept({}))
    with pytest.raises(RefusedError) as caught:
        client.submit(WORKFLOW, parameters=given)
    assert caught.value.code == code
    assert transport.requests == []


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("Sales_Report", "sales-report-"),
        ("2024-run", "w-2024-run-"),
        ("x" * 80, "x" * 38 + "-"),
    ],
)
def test_a_name_becomes_a_prefix_that_leaves_room_for_the_pods_of_a_tfjob(name: str, prefix: str) -> None:
    client, transport = server(accept({}))
    client.submit(
        {"kind": "Workflow", "metadata": {"name": name}, "spec": {"entrypoint": "a", "templates": []}}
    )
    assert transport.requests[-1].body["workflow"]["metadata"]["generateName"] == prefix


def test_a_fixed_name_is_kept_and_checked() -> None:
    client, transport = server(accept({"training-2": 1}))
    assert client.submit(WORKFLOW, name="nightly-1").name == "nightly-1"
    assert "generateName" not in transport.requests[-1].body["workflow"]["metadata"]
    with pytest.raises(ClusterError, match="not a name"):
        client.submit(WORKFLOW, name="Nightly 1")


def test_a_workflow_template_is_submitted_as_a_run_of_it() -> None:
    client, transport = server(accept({}))
    spec = {"entrypoint": "a", "templates": [{"name": "a", "suspend": {}}]}
    client.submit({"kind": "WorkflowTemplate", "metadata": {"name": "weekly"}, "spec": spec})
    sent = transport.requests[-1].body["workflow"]
    assert (sent["kind"], sent["metadata"]["generateName"], sent["spec"]) == ("Workflow", "weekly-", spec)


@pytest.mark.parametrize("text", ["kind: Pod\nspec: {}\n", "kind: ConfigMap\nmetadata: {name: a}\n"])
def test_what_is_not_a_workflow_is_refused(text: str) -> None:
    client, _ = server(accept({}))
    with pytest.raises(ClusterError) as caught:
        client.submit(text)
    assert caught.value.code == "TIP610"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("kind: WorkflowTemplate\nmetadata: {name: a}\n", "TIP208"),
        ("kind: CronWorkflow\nmetadata: {name: a}\nspec: {schedules: [0 0 * * *]}\n", "TIP208"),
        ("kind: CronWorkflow\nmetadata: {name: a}\n", "TIP208"),
        ("kind: ConfigMap\ndata: {a: '1'}\n---\nkind: Workflow\nspec: {}\n", "TIP610"),
        ("kind: ConfigMap\nmetadata: null\n---\nkind: Workflow\nspec: {}\n", "TIP610"),
        ("kind: Workflow\nmetadata: [a]\nspec: {}\n", "TIP298"),
        ("kind: Workflow\nmetadata: {annotations: [a]}\nspec: {}\n", "TIP298"),
        ("kind: Workflow\nmetadata: {labels: [a]}\nspec: {}\n", "TIP298"),
        ("kind: Workflow\nspec: {arguments: [a]}\n", "TIP298"),
        ("kind: Workflow\nspec: {arguments: {parameters: {a: b}}}\n", "TIP298"),
        ("kind: Workflow\nspec: {arguments: {parameters: [a]}}\n", "TIP298"),
        ("kind: CronWorkflow\nspec: {workflowSpec: {arguments: a}}\n", "TIP298"),
        ("kind: WorkflowTemplate\nmetadata: a\nspec: {}\n", "TIP298"),
        ("kind: ConfigMap\nmetadata: {name: a}\ndata: [a]\n---\nkind: Workflow\nspec: {}\n", "TIP298"),
    ],
)
def test_half_a_document_is_refused_before_anything_is_sent(text: str, code: str) -> None:
    client, transport = server(accept({}))
    with pytest.raises(TiphysError) as caught:
        client.submit(text, labels={"a": "b"})
    assert caught.value.code == code
    assert transport.requests == []


@pytest.mark.parametrize(
    "spec",
    ["{arguments: null}", "{arguments: {parameters: null}}", "{arguments: {parameters: [null, {name: p}]}}"],
)
def test_null_is_as_if_it_were_not_there(spec: str) -> None:
    client, transport = server(accept({}))
    spec = spec.replace("{arg", "{workflowTemplateRef: {name: a}, arg")
    client.submit(f"kind: Workflow\nmetadata: null\nspec: {spec}\n", parameters={"p": 1})
    sent = transport.requests[-1].body["workflow"]["spec"]["arguments"]["parameters"]
    assert [item for item in sent if item] == [{"name": "p", "value": "1"}]


# -- errors --------------------------------------------------------------------------------------------------


def test_a_name_that_is_not_there_suggests_one_that_is() -> None:
    def handler(request: Request) -> Response:
        if request.path.endswith("/workflows/team"):
            return Response.of({"items": [{"metadata": {"name": "fashion-mnist-x7x2p"}}]})
        return Response.of(
            {"code": 5, "message": 'workflows.argoproj.io "fashion-mnist-x7x2" not found'}, 404
        )

    client, _ = server(handler)
    with pytest.raises(ClusterError) as caught:
        client.get("fashion-mnist-x7x2")
    assert caught.value.code == "TIP605"
    assert "Did you mean 'fashion-mnist-x7x2p'?" in str(caught.value)


def test_a_missing_right_is_named() -> None:
    message = (
        'workflows.argoproj.io is forbidden: User "system:serviceaccount:team:bob" cannot create resource '
        '"workflows" in API group "argoproj.io" in the namespace "team"'
    )
    client, _ = kubernetes(lambda request: Response.of({"message": message, "code": 403}, 403))
    with pytest.raises(ClusterError) as caught:
        client.submit({"kind": "Workflow", "spec": {"entrypoint": "a", "templates": []}})
    assert caught.value.code == "TIP603"
    assert "not allowed to create workflows.argoproj.io" in caught.value.message
    assert "verbs ['create']" in caught.value.fix


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (400, '{"code":3,"message":"template name \'a\' undefined"}', "TIP607"),
        (401, '{"code":16,"message":"token not valid"}', "TIP602"),
        (302, "", "TIP604"),
        (404, "404 page not found", "TIP609"),
        (409, '{"message":"already exists"}', "TIP606"),
        (501, '{"code":12,"message":"Not Implemented"}', "TIP609"),
        (503, "upstream connect error", "TIP608"),
        (200, "<html>log in</html>", "TIP604"),
    ],
)
def test_answers_have_codes(status: int, text: str, code: str) -> None:
    client, _ = server(lambda request: Response(status, text))
    with pytest.raises(ClusterError) as caught:
        client.list()
    assert caught.value.code == code


def test_a_server_that_is_not_there() -> None:
    with Client(server="http://127.0.0.1:1") as client, pytest.raises(ClusterError) as caught:
        client.list()
    assert caught.value.code == "TIP601"
    assert "refused" in caught.value.cause
    assert "ARGO_SERVER" in caught.value.fix


def test_silence_ends_a_stream_and_is_no_error() -> None:
    """The Argo Server answers the request for events with the first event: a run may be quiet for hours."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport = HttpTransport(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with transport.stream(Request("GET", "/events", timeout=0.05)) as stream:
            assert (stream.status, list(stream)) == (200, [])
        with pytest.raises(ClusterError) as caught:
            transport.send(Request("GET", "/", timeout=0.05))
        assert caught.value.code == "TIP601"
        transport.close()


def test_no_cluster_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("ARGO_SERVER", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterError) as caught:
        Client()
    assert caught.value.code == "TIP610"


# -- the other verbs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["stop", "terminate", "suspend", "resume", "retry", "resubmit"])
def test_verbs_of_the_argo_server(verb: str) -> None:
    def handler(request: Request) -> Response:
        return Response.of(state("Running", 2))

    client, transport = server(handler)
    getattr(client, verb)("run")
    sent = next(request for request in transport.requests if request.method == "PUT")
    assert sent.path == f"/api/v1/workflows/team/run/{verb}"
    assert sent.body == {"name": "run", "namespace": "team"}


@pytest.mark.parametrize(("verb", "spec"), [("stop", {"shutdown": "Stop"}), ("suspend", {"suspend": True})])
def test_verbs_that_patch_the_spec(verb: str, spec: dict[str, Any]) -> None:
    client, transport = kubernetes(lambda request: Response.of(state("Running", 2)))
    getattr(client, verb)("run")
    assert (transport.requests[-1].method, transport.requests[-1].body) == ("PATCH", {"spec": spec})


@pytest.mark.parametrize("verb", ["stop", "terminate", "suspend"])
def test_what_has_ended_cannot_be_stopped(verb: str) -> None:
    client, _ = kubernetes(lambda request: Response.of(state("Succeeded", 2, end=True)))
    with pytest.raises(ClusterError) as caught:
        getattr(client, verb)("run")
    assert caught.value.code == "TIP612"


def test_terminate_deletes_what_the_run_created() -> None:
    objects = {
        "/apis/kubeflow.org/v1/namespaces/team/tfjobs": ["run-cnn"],
        "/apis/kubeflow.org/v1/namespaces/team/pytorchjobs": ["run-ddp"],
        "/apis/jobset.x-k8s.io/v1alpha2/namespaces/team/jobsets": ["run-bn"],
        "/api/v1/namespaces/team/services": ["run-first"],
        "/apis/gateway.networking.k8s.io/v1/namespaces/team/httproutes": ["m-first"],
    }

    def handler(request: Request) -> Response:
        if request.path in objects:
            assert request.query["labelSelector"] == "tiphys.dev/workflow=run"
            return Response.of({"items": [{"metadata": {"name": name}} for name in objects[request.path]]})
        folder, _, name = request.path.rpartition("/")
        if request.method == "DELETE":
            objects[folder].remove(name)
            return Response.of({})
        if "deployments" in request.path:
            return Response.of({"items": []})
        gone = not any(objects.values())
        return Response.of(state("Failed", 9, end=True) if gone else state("Running", 2))

    client, _ = kubernetes(handler)
    _, cleared = client.terminate("run")
    assert sorted(cleared or ()) == [
        "httproutes/m-first",
        "jobsets/run-bn",
        "pytorchjobs/run-ddp",
        "services/run-first",
        "tfjobs/run-cnn",
    ]
    assert objects == {key: [] for key in objects}


@pytest.mark.parametrize("status", [403, 404])
def test_a_cluster_without_jobsets_or_a_role_that_says_nothing_of_them(status: int) -> None:
    def handler(request: Request) -> Response:
        if request.path.endswith("/jobsets"):
            return Response.of({"message": "no"}, status)
        if "/workflows" not in request.path:
            return Response.of({"items": []})
        return Response.of(state("Failed", 2) if request.method != "GET" else state("Running", 1))

    client, _ = kubernetes(handler)
    assert list(client.backend.leftovers("team", "run", delete=True)) == []


def test_a_write_that_loses_a_race_is_done_again() -> None:
    workflow = state("Running", 3)
    workflow["spec"]["suspend"] = True
    client, transport = kubernetes(
        scripted(
            Response.of(workflow),
            Response.of({"message": "the object has been modified"}, 409),
            Response.of(workflow),
            Response.of(state("Running", 5)),
        )
    )
    client.resume("run")
    assert [request.method for request in transport.requests] == ["GET", "PUT", "GET", "PUT"]
    assert "suspend" not in transport.requests[-1].body["spec"]


def test_latest_is_the_newest() -> None:
    def handler(request: Request) -> Response:
        if request.path.endswith("/team"):
            items = [
                {"metadata": {"name": name, "creationTimestamp": f"2026-01-0{day}T00:00:00Z"}, "status": {}}
                for day, name in ((1, "old"), (3, "new"), (2, "middle"))
            ]
            return Response.of({"items": items})
        return Response.of(state("Running", 1, name=request.path.rpartition("/")[2]))

    client, _ = server(handler)
    assert client.get("@latest").name == "new"
    assert [item.name for item in client.list()] == ["new", "middle", "old"]
