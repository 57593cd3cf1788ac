"""The logs of a run, against a cluster made of functions: which lines come, and each of them once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.fakes import events, kubernetes, server, state
from tiphys.errors import ClusterError
from tiphys.runs import Request, Response, Stream
from tiphys.runs.cluster.follow import source_names

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
        ("run(0)", "main", "run"),
        ("run(1)", "main", "run(1)"),
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
    asked = [
        "watch" if r.query.get("watch") else "list" for r in transport.requests if r.path.endswith("/pods")
    ]
    assert "list" in asked[asked.index("watch") :]


def test_following_ends_with_the_workflow_though_its_model_servers_run_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tiphys.runs.cluster.podlogs._QUIET", 0.05)
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


def test_a_jobsets_pods_have_the_names_of_their_workers() -> None:
    name = source_names({"metadata": {"name": "run"}})
    assert name("run-cnn-worker-0-1-rs5kd") == "cnn/worker-0-1"
    assert name("run-cnn-r1-worker-0-12-n9hkn") == "cnn-r1/worker-0-12"
    assert name("run-cnn-worker-1") == "cnn/worker-1"
