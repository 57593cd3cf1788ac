"""The client against a cluster made of functions: what is sent, what comes back, and the errors."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tiphys.cluster import (
    Client,
    FakeTransport,
    HttpTransport,
    Request,
    Response,
    Result,
    Stream,
    WaitTimeout,
)
from tiphys.errors import ClusterError, RefusedError

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


def state(phase: str, version: int, *, end: bool = False, name: str = "run", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team", "uid": "u1", "resourceVersion": str(version)},
        "spec": {},
        "status": {
            "phase": phase,
            "startedAt": "2026-01-01T00:00:00Z",
            **({"finishedAt": "2026-01-01T00:01:30Z"} if end else {}),
            **status,
        },
    }


def server(handler: Callable[[Request], Any], **options: Any) -> tuple[Client, FakeTransport]:
    transport = FakeTransport(handler)
    return Client.argo_server(transport=transport, namespace="team", **options), transport


def kubernetes(handler: Callable[[Request], Any], **options: Any) -> tuple[Client, FakeTransport]:
    transport = FakeTransport(handler)
    return Client.kubernetes(transport=transport, namespace="team", **options), transport


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
    client.submit(WORKFLOW)
    spec = created[0]["spec"]
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


# -- watch and wait ------------------------------------------------------------------------------------------


def events(*changes: tuple[str, dict[str, Any]]) -> Iterable[str]:
    return [json.dumps({"result": {"type": kind, "object": item}}) for kind, item in changes]


def scripted(*answers: Any) -> Callable[[Request], Any]:
    """Answers in order; an exception is raised."""
    remaining = iter(answers)

    def handler(request: Request) -> Any:
        answer = next(remaining)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler


def test_wait_follows_a_pending_workflow_to_its_end() -> None:
    pending = {"metadata": {"name": "run", "uid": "u1", "resourceVersion": "1"}, "spec": {}}
    client, transport = server(
        scripted(
            Response.of(pending),
            events(
                ("ADDED", pending),
                ("MODIFIED", state("Running", 2)),
                ("MODIFIED", state("Succeeded", 3)),  # the exit handler still runs
                ("MODIFIED", state("Succeeded", 4, end=True)),
            ),
        )
    )
    result = client.wait("run", timeout=60)
    assert (result.phase, result.succeeded, result.seconds) == ("Succeeded", True, 90.0)
    assert [request.path for request in transport.requests] == [
        "/api/v1/workflows/team/run",
        "/api/v1/workflow-events/team",
    ]
    assert transport.requests[1].query["listOptions.fieldSelector"] == "metadata.name=run"


def test_watch_yields_each_state_once() -> None:
    first = state("Running", 1)
    client, _ = server(
        scripted(
            Response.of(first),
            events(("ADDED", first), ("MODIFIED", state("Failed", 2, end=True, message="child failed"))),
        )
    )
    assert [(item.phase, item.message) for item in client.watch("run")] == [
        ("Running", ""),
        ("Failed", "child failed"),
    ]


def test_a_broken_stream_is_taken_up_where_it_stood() -> None:
    client, transport = server(
        scripted(
            Response.of(state("Running", 1)),
            [*events(("MODIFIED", state("Running", 5))), '{"result":{"type":"MODI'],
            Response.of(state("Running", 5)),
            events(("MODIFIED", state("Error", 9, end=True))),
        )
    )
    assert client.wait("run").phase == "Error"
    assert transport.requests[3].query["listOptions.resourceVersion"] == "5"


@pytest.mark.parametrize(
    "gone",
    [
        [json.dumps({"error": {"code": 410, "message": "too old resource version"}})],
        Response.of({"code": 3, "message": "too old resource version: 38169 (38205)"}, 400),
    ],
    ids=["in the stream", "instead of it"],
)
def test_a_version_that_is_too_old_makes_it_look_again(gone: Any) -> None:
    client, _ = server(
        scripted(Response.of(state("Running", 1)), gone, Response.of(state("Succeeded", 30, end=True)))
    )
    assert client.wait("run").succeeded


def test_kubernetes_answers_410_for_a_version_that_is_too_old() -> None:
    client, _ = kubernetes(
        scripted(
            Response.of(state("Running", 1)),
            Response.of({"message": "too old resource version"}, 410),
            Response.of(state("Succeeded", 30, end=True)),
        )
    )
    assert client.wait("run").succeeded


def test_a_server_that_is_restarted_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiphys.cluster.client.time.sleep", lambda seconds: None)
    client, _ = server(
        scripted(
            Response.of(state("Running", 1)),
            ClusterError("TIP601", "cannot reach it"),
            Response.of({"message": "bad gateway"}, 502),
            events(("MODIFIED", state("Succeeded", 3, end=True))),
        )
    )
    assert client.wait("run").succeeded


def test_wait_gives_up_after_its_timeout_and_says_where_it_stood() -> None:
    times = iter([0.0, 1.0, 11.0, 12.0, 13.0])
    blocked = {
        "name": "run.cnn.train",
        "type": "Pod",
        "phase": "Pending",
        "message": "Waiting for ns/Mutex/y lock",
    }
    client, _ = server(
        scripted(
            Response.of(state("Pending", 1, message="Waiting for argo/Mutex/x lock", nodes={"a": blocked})),
            events(("ADDED", state("Pending", 1))),
            Response.of(state("Pending", 1)),
        ),
        clock=lambda: next(times),
    )
    with pytest.raises(WaitTimeout) as caught:
        client.wait("run", timeout=10)
    assert caught.value.phase == "Pending"
    assert "Waiting for argo/Mutex/x lock; cnn.train: Waiting for ns/Mutex/y lock" in str(caught.value)


@pytest.mark.parametrize("how", ["event", "absent", "another"])
def test_a_workflow_that_is_deleted_meanwhile(how: str) -> None:
    other = state("Running", 8)
    other["metadata"]["uid"] = "u2"
    missing = Response.of({"code": 5, "message": 'workflows.argoproj.io "run" not found'}, 404)
    tails: dict[str, list[Any]] = {
        "event": [events(("DELETED", state("Running", 2)))],
        "absent": [[], missing, Response.of({"items": []})],
        "another": [[], Response.of(other)],
    }
    client, _ = server(scripted(Response.of(state("Running", 1)), *tails[how]))
    with pytest.raises(ClusterError) as caught:
        client.wait("run")
    assert caught.value.code == "TIP621"


def test_a_result_says_what_failed_by_itself() -> None:
    nodes = {
        "run": {"id": "run", "name": "run", "type": "DAG", "phase": "Failed", "children": ["a"]},
        "a": {"id": "a", "name": "run.train", "type": "Pod", "phase": "Failed", "message": "exit code 1"},
    }
    result = Result.of(state("Failed", 1, end=True, nodes=nodes))
    assert [(item.name, item.message) for item in result.failures] == [("train", "exit code 1")]
    assert not result.succeeded


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
        "/api/v1/namespaces/team/services": ["run-first"],
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
    assert sorted(cleared or ()) == ["services/run-first", "tfjobs/run-cnn"]
    assert objects == {key: [] for key in objects}


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


# -- logs ----------------------------------------------------------------------------------------------------

MANIFEST = json.dumps(
    {
        "kind": "TFJob",
        "spec": {
            "tfReplicaSpecs": {"Worker": {"template": {"spec": {"containers": [{"name": "tensorflow"}]}}}}
        },
    }
)


def logged(name: str = "run") -> dict[str, Any]:
    workflow = state("Running", 1)
    workflow["spec"] = {
        "templates": [{"name": "train", "resource": {"manifest": MANIFEST}}, {"name": "evaluate"}]
    }
    workflow["status"]["nodes"] = {
        "run-77": {"id": "run-77", "name": "run.cnn.evaluate", "type": "Pod", "templateName": "evaluate"}
    }
    return workflow


def over() -> dict[str, Any]:
    """The same workflow, ended."""
    workflow = logged()
    workflow["status"] |= {"phase": "Succeeded", "finishedAt": "2026-01-01T00:01:30Z"}
    return workflow


def test_logs_of_the_server_cover_steps_and_workers() -> None:
    def handler(request: Request) -> Any:
        if not request.path.endswith("/log"):
            return Response.of(over())
        container = request.query["logOptions.container"]
        lines: dict[str, list[tuple[str, str]]] = {
            "main": [
                ("run-evaluate-77", 'time=2026-01-01T00:00:00Z level=INFO msg="x" argo=true'),
                ("run-evaluate-77", "accuracy 0.9"),
            ],
            "tensorflow": [("run-cnn-worker-0", "epoch 1"), ("run-cnn-worker-1", "epoch 1")],
        }
        return [json.dumps({"result": {"podName": pod, "content": text}}) for pod, text in lines[container]]

    client, _ = server(handler)
    found = {(line.source, line.container, line.text) for line in client.logs("run", follow=True)}
    assert found == {
        ("cnn.evaluate", "main", "accuracy 0.9"),
        ("cnn/worker-0", "tensorflow", "epoch 1"),
        ("cnn/worker-1", "tensorflow", "epoch 1"),
    }


@pytest.mark.parametrize(
    ("path", "template", "source"),
    [
        ("run.cnn.evaluate(0)", "evaluate", "cnn.evaluate"),
        ("run.cnn.evaluate(1)", "evaluate", "cnn.evaluate(1)"),
        ("run.cnn.evaluate.run(0)", "evaluate-run", "cnn.evaluate"),
        ("run.cnn.evaluate.run(1)", "evaluate-run", "cnn.evaluate(1)"),
        ("run.dry.run", "walk", "dry.run"),
        ("run", "main", "run"),
    ],
)
def test_pods_are_named_after_their_steps(path: str, template: str, source: str) -> None:
    workflow = logged()
    node = {"id": "run-9", "name": path, "type": "Pod", "templateName": template}
    workflow["status"]["nodes"] = {"run-9": node}
    name = "run" if path == "run" else f"run-{template}-9"
    lines = [json.dumps({"result": {"podName": name, "content": "x"}})]
    client, _ = server(lambda request: lines if request.path.endswith("/log") else Response.of(workflow))
    assert [line.source for line in client.logs("run", container="main")] == [source]


def pod(
    name: str, container: str, when: str, started: str = "running", identity: str = "c1"
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": name, "creationTimestamp": when, "resourceVersion": "5"},
        "status": {
            "containerStatuses": [
                {"name": container, "containerID": identity, "state": {started: {}}},
                {"name": "wait", "state": {"running": {}}},
            ]
        },
    }


class Pods:
    """The Kubernetes API with one workflow and its pods. A log is a list of readings, each a list of lines with their
    times; the workflow ends when ``over`` is set."""

    def __init__(self, logs: dict[str, list[list[str]]]) -> None:
        self.logs = logs
        self.pods: list[dict[str, Any]] = []
        self.events: list[Any] = []  # a watch of the pods gives the first of them, the others after it
        self.over = threading.Event()
        self.log_requests: list[Request] = []

    def __call__(self, request: Request) -> Any:
        if request.path.endswith("/log"):
            self.log_requests.append(request)
            readings = self.logs[request.path.split("/")[-2]]
            return readings.pop(0) if readings else []
        if request.path.endswith("/pods"):
            if not request.query.get("watch"):
                return Response.of({"metadata": {"resourceVersion": "3"}, "items": self.pods})
            return self.events.pop(0) if self.events else self.quiet()
        return self.end() if request.query.get("watch") else Response.of(logged())

    def quiet(self) -> Iterator[str]:
        self.over.wait(10)
        yield from ()

    def end(self) -> Iterator[str]:
        assert self.over.wait(10)
        yield json.dumps({"type": "MODIFIED", "object": state("Succeeded", 9, end=True)})

    def followed(self) -> list[tuple[str, str]]:
        client, _ = kubernetes(self)
        return [(line.source, line.text) for line in client.logs("run", follow=True)]


TIME = "2026-01-01T00:00:0{}.000000000Z {}"
EVALUATE, WORKER = "run-evaluate-77", "run-cnn-worker-0"


def test_logs_of_kubernetes_follow_pods_that_appear_later() -> None:
    api = Pods({EVALUATE: [[TIME.format(1, "hello")]], WORKER: [[TIME.format(2, "hello")]]})
    api.pods = [pod(EVALUATE, "main", "2026-01-01T00:00:00Z", "terminated")]
    late = "2026-01-01T00:00:05Z"

    def events() -> Iterator[str]:
        for started in ("waiting", "running", "running", "terminated"):
            yield json.dumps({"type": "MODIFIED", "object": pod(WORKER, "tensorflow", late, started)})
        api.over.set()

    api.events = [events()]
    assert sorted(api.followed()) == [("cnn.evaluate", "hello"), ("cnn/worker-0", "hello")]


def test_a_log_that_breaks_off_is_read_on_from_where_it_stood() -> None:
    """Equal times and half a line are no reason to lose or to repeat one."""
    first = [TIME.format(1, "one"), TIME.format(2, "two")]
    again = [TIME.format(2, "two"), TIME.format(2, "three"), TIME.format(3, "four")]
    api = Pods({EVALUATE: [first, again, [TIME.format(3, "four")]]})
    running = pod(EVALUATE, "main", "2026-01-01T00:00:00Z")
    api.pods = [running]

    def log(request: Request) -> Any:
        if request.path.endswith("/log") and len(api.log_requests) == 1:
            running["status"]["containerStatuses"][0]["state"] = {"terminated": {}}
            api.over.set()
        return api(request)

    client, _ = kubernetes(log)
    assert [line.text for line in client.logs("run", follow=True, tail=5)] == ["one", "two", "three", "four"]
    since = [request.query.get("sinceTime", "") for request in api.log_requests]
    assert since[:2] == ["", "2026-01-01T00:00:02.000000000Z"]
    assert "tailLines" not in api.log_requests[1].query


def test_a_container_that_is_started_again_in_its_pod_is_followed_again() -> None:
    api = Pods({WORKER: [[TIME.format(1, "epoch 1")], [], [TIME.format(2, "epoch 2")], []]})
    when = "2026-01-01T00:00:00Z"
    api.pods = [pod(WORKER, "tensorflow", when, "terminated", "c1")]

    def events() -> Iterator[str]:
        while len(api.log_requests) < 2:  # the first is read to its end
            time.sleep(0.01)
        api.pods = [pod(WORKER, "tensorflow", when, "terminated", "c2")]
        yield json.dumps({"type": "MODIFIED", "object": api.pods[0]})
        api.over.set()

    api.events = [events()]
    assert api.followed() == [("cnn/worker-0", "epoch 1"), ("cnn/worker-0", "epoch 2")]


def test_events_of_pods_that_are_lost_are_made_up_for_by_a_list() -> None:
    api = Pods({WORKER: [[TIME.format(1, "hello")]]})

    def gone() -> Response:
        api.pods = [pod(WORKER, "tensorflow", "2026-01-01T00:00:00Z", "terminated")]
        return Response.of({"message": "too old resource version"}, 410)

    def handler(request: Request) -> Any:
        if request.path.endswith("/log"):
            api.over.set()
        if request.path.endswith("/pods") and request.query.get("watch") and not api.pods:
            return gone()
        return api(request)

    client, transport = kubernetes(handler)
    assert [line.text for line in client.logs("run", follow=True)] == ["hello"]
    watched = [r for r in transport.requests if r.path.endswith("/pods") and r.query.get("watch")]
    assert len(watched) == 2


def test_following_ends_with_the_workflow_though_its_model_servers_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tiphys.cluster.podlogs._QUIET", 0.05)
    api = Pods({})
    served = threading.Event()

    def serving() -> Iterator[str]:
        yield TIME.format(1, "ready")
        api.over.set()
        served.wait(10)

    api.pods = [pod("run-first-abc-1", "serving", "2026-01-01T00:00:00Z")]
    client, _ = kubernetes(lambda request: serving() if request.path.endswith("/log") else api(request))
    assert [line.text for line in client.logs("run", follow=True)] == ["ready"]
    served.set()


def test_the_log_of_a_workflow_that_has_ended_is_not_followed() -> None:
    item = pod("run-first-abc-1", "serving", "2026-01-01T00:00:00Z")
    listed = Response.of({"metadata": {"resourceVersion": "3"}, "items": [item]})
    asked: list[Request] = []

    def handler(request: Request) -> Any:
        if request.path.endswith("/log"):
            asked.append(request)
            return []
        return listed if request.path.endswith("/pods") else Response.of(over())

    for client in (kubernetes(handler)[0], server(handler)[0]):
        assert list(client.logs("run", follow=True)) == []
    assert {r.query.get("follow") or r.query["logOptions.follow"] for r in asked} == {"false"}


def test_a_stream_of_the_server_that_breaks_off_is_read_again() -> None:
    readings = [
        [TIME.format(1, "one"), TIME.format(2, "two")],
        [TIME.format(1, "one"), TIME.format(2, "two"), TIME.format(3, "three")],
    ]
    over = threading.Event()

    def handler(request: Request) -> Any:
        if request.path.endswith("/log"):
            lines = readings.pop(0)
            if not readings:
                over.set()
            return [json.dumps({"result": {"podName": EVALUATE, "content": text}}) for text in lines]
        if "workflow-events" in request.path:
            over.wait(10)
            return events(("MODIFIED", state("Succeeded", 9, end=True)))
        return Response.of(state("Succeeded", 9, end=True) if over.is_set() else logged())

    client, _ = server(handler)
    lines = client.logs("run", follow=True, container="main")
    assert [line.text for line in lines] == ["one", "two", "three"]


def test_logs_without_follow_go_pod_by_pod() -> None:
    def handler(request: Request) -> Any:
        if request.path.endswith("/log"):
            if "worker-1" in request.path:
                return Response.of({"message": "not found"}, 404)
            return [request.path.split("/")[-2]]
        if request.path.endswith("/pods"):
            return Response.of(
                {
                    "metadata": {"resourceVersion": "3"},
                    "items": [
                        pod("run-cnn-worker-1", "tensorflow", "2026-01-01T00:00:03Z"),
                        pod("run-cnn-worker-0", "tensorflow", "2026-01-01T00:00:02Z", "terminated"),
                        pod("run-evaluate-77", "main", "2026-01-01T00:00:09Z"),
                    ],
                }
            )
        return Response.of(logged())

    client, _ = kubernetes(handler)
    assert [line.pod for line in client.logs("run")] == ["run-cnn-worker-0", "run-evaluate-77"]


def test_an_error_in_one_of_the_log_streams_is_raised() -> None:
    def handler(request: Request) -> Any:
        if request.path.endswith("/log"):
            return Stream(403, (), text='{"message":"no"}')
        return Response.of(logged())

    client, _ = server(handler)
    with pytest.raises(ClusterError) as caught:
        list(client.logs("run", follow=True))
    assert caught.value.code == "TIP603"


def test_a_reader_may_stop_reading_logs() -> None:
    def endless() -> Iterator[str]:
        while True:
            yield json.dumps({"result": {"podName": "run-evaluate-77", "content": "again"}})

    client, _ = server(lambda request: endless() if request.path.endswith("/log") else Response.of(logged()))
    lines = client.logs("run", follow=True, container="main")
    assert next(iter(lines)).text == "again"
