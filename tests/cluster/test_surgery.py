"""Resume, retry and resubmit without a server: what becomes of the nodes. Trees as Argo 4.1 writes them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tiphys.argo.names import fnv32a
from tiphys.errors import ClusterError
from tiphys.runs import Client, FakeTransport, Request, Response, Result, rows

NOW = "2026-01-02T00:00:00Z"
Json = dict[str, Any]


def node(
    identity: str, kind: str, phase: str, boundary: str = "", children: tuple[str, ...] = (), **more: Any
) -> Json:
    name = "run" if identity == "run" else f"run.{identity}"
    return {
        "id": identity,
        "name": more.pop("name", name),
        "displayName": identity,
        "type": kind,
        "phase": phase,
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": "2026-01-01T00:01:00Z",
        **({"boundaryID": boundary} if boundary else {}),
        **({"children": list(children)} if children else {}),
        **more,
    }


def workflow(*nodes: Json, phase: str = "Failed", **spec: Any) -> Json:
    return {
        "metadata": {
            "name": "run",
            "namespace": "team",
            "generateName": "ru-",
            "labels": {
                "team": "ml",
                "workflows.argoproj.io/completed": "true",
                "workflows.argoproj.io/phase": phase,
                "workflows.argoproj.io/workflow-template": "nightly",
            },
        },
        "spec": {"arguments": {"parameters": [{"name": "epochs", "value": "3"}]}, **spec},
        "status": {
            "phase": phase,
            "message": "child 'c' failed",
            "finishedAt": "2026-01-01T00:01:00Z",
            "nodes": {item["id"]: item for item in nodes},
        },
    }


class Api:
    """The Kubernetes API with one workflow and its pods. The controller takes up what was written after ``deaf``
    nudges, and writes back what it made of it at a look."""

    def __init__(self, stored: Json, pods: dict[str, str] | None = None, *, deaf: int = 0) -> None:
        self.workflow = stored
        self.pods = pods or {}  # name -> node ID
        self.created: list[Json] = []
        self.deaf = deaf
        self.nudges: list[Json] = []
        self.waited = 0.0

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        if len(self.nudges) >= self.deaf:
            self.workflow["status"]["message"] = "taken up"

    def __call__(self, request: Request) -> Response:
        if "/pods" in request.path:
            if request.method == "DELETE":
                del self.pods[request.path.rpartition("/")[2]]
                return Response.of({})
            items = [
                {"metadata": {"name": name, "annotations": {"workflows.argoproj.io/node-id": identity}}}
                for name, identity in self.pods.items()
            ]
            return Response.of({"items": items})
        if request.method == "PUT":
            self.workflow = copy.deepcopy(request.body)
        if request.method == "PATCH":
            self.nudges.append(request.body["metadata"]["annotations"])
        if request.method == "POST":
            self.created.append(request.body)
            return Response.of({**request.body, "metadata": {**request.body["metadata"], "name": "ru-2"}})
        return Response.of(copy.deepcopy(self.workflow))

    def client(self) -> Client:
        from tiphys.runs import Kubernetes

        return Client(
            backend=Kubernetes(FakeTransport(self), clock=lambda: NOW, pause=self.wait), namespace="team"
        )

    @property
    def phases(self) -> dict[str, str]:
        return {key: item["phase"] for key, item in self.workflow["status"]["nodes"].items()}


# a -> b -> c in a DAG; b failed, so c was omitted; the exit handler ran
DAG = (
    node("run", "DAG", "Failed", children=("a",), message="child failed"),
    node("a", "Pod", "Succeeded", "run", ("b",), outputs={"parameters": [{"name": "x", "value": "1"}]}),
    node("b", "Pod", "Failed", "run", ("c",), message="exit code 1"),
    node("c", "Omitted", "Omitted", "run"),
    node("exit", "Pod", "Succeeded", name="run.onExit"),
)


def test_retry_runs_again_what_failed_and_keeps_what_succeeded() -> None:
    api = Api(workflow(*DAG, shutdown="Stop"), {"run-a": "a", "run-b": "b", "run-exit": "exit", "other": "z"})
    api.client().retry("run", parameters={"epochs": 5, "fast": True})
    assert api.phases == {"run": "Running", "a": "Succeeded"}
    nodes = api.workflow["status"]["nodes"]
    assert "children" not in nodes["a"] or nodes["a"]["children"] == []
    assert nodes["a"]["outputs"]["parameters"] == [{"name": "x", "value": "1"}]
    assert "message" not in nodes["run"] and "finishedAt" not in nodes["run"]
    assert api.pods == {"run-a": "a", "other": "z"}
    assert api.workflow["status"]["phase"] == "Running"
    assert "finishedAt" not in api.workflow["status"]
    assert "shutdown" not in api.workflow["spec"]
    labels = api.workflow["metadata"]["labels"]
    assert labels["workflows.argoproj.io/phase"] == "Running"
    assert "workflows.argoproj.io/completed" not in labels
    assert api.workflow["spec"]["arguments"]["parameters"] == [
        {"name": "epochs", "value": "5"},
        {"name": "fast", "value": "true"},
    ]


@pytest.mark.parametrize("deaf", [0, 1, 3])
def test_a_retried_workflow_that_the_controller_forgets_is_nudged(deaf: int) -> None:
    """Argo 4.0.5 forgets one that is retried within a second of its end, until the object changes."""
    api = Api(workflow(*DAG), deaf=deaf)
    found = api.client().retry("run")
    assert found.message == "taken up"
    assert len(api.nudges) == deaf
    texts = [text for nudge in api.nudges for text in nudge.values()]
    assert len(set(texts)) == deaf  # the same text again would be no change
    assert api.waited < 10


def test_nobody_waits_for_long_for_a_controller_that_is_away() -> None:
    api = Api(workflow(*DAG), deaf=1000)
    found = api.client().retry("run")
    assert (found.phase, api.phases) == ("Running", {"run": "Running", "a": "Succeeded"})
    assert len(api.nudges) == 3 and api.waited < 10


def test_labels_that_others_set_are_no_sign_of_the_controller() -> None:
    class Archived(Api):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            labels = self.workflow["metadata"]["labels"]
            labels["workflows.argoproj.io/workflow-archiving-status"] = "Archived"

    api = Archived(workflow(*DAG), deaf=1)
    assert api.client().retry("run").message == "taken up"
    assert len(api.nudges) == 1


def test_a_nudge_that_is_refused_does_not_undo_the_retry() -> None:
    class Strict(Api):
        def __call__(self, request: Request) -> Response:
            if request.method == "PATCH":
                return Response.of({"message": "workflows is forbidden", "code": 403}, 403)
            return super().__call__(request)

    api = Strict(workflow(*DAG), deaf=1)
    assert api.client().retry("run").phase == "Running"
    assert api.phases == {"run": "Running", "a": "Succeeded"}


def test_whoever_resumes_sees_to_it_too_where_a_node_has_to_go_on() -> None:
    tree = (node("run", "DAG", "Running"), node("approve", "Suspend", "Running", "run"))
    api = Api(workflow(*tree, phase="Running"), deaf=1)
    api.client().resume("run")
    assert len(api.nudges) == 1
    api = Api(workflow(*tree, phase="Running"), deaf=1)
    api.client().stop("run", nodes="displayName=approve")
    assert len(api.nudges) == 1
    api = Api(workflow(tree[0], phase="Running", suspend=True), deaf=1)
    api.client().resume("run")
    assert "suspend" not in api.workflow["spec"]
    assert not api.nudges and not api.waited  # the controller may have nothing to write


def test_retry_counts_attempts_from_the_start() -> None:
    api = Api(
        workflow(
            node("run", "Steps", "Failed", children=("g0",)),
            node("g0", "StepGroup", "Failed", "run", ("r", "s")),
            node("r", "Retry", "Failed", "run", ("r0", "r1")),
            node("r0", "Pod", "Failed", "run", nodeFlag={"retried": True}),
            node("r1", "Pod", "Failed", "run", nodeFlag={"retried": True}),
            node("s", "Retry", "Succeeded", "run", ("s0", "s1")),
            node("s0", "Pod", "Failed", "run", nodeFlag={"retried": True}),
            node("s1", "Pod", "Succeeded", "run", nodeFlag={"retried": True}),
        )
    )
    api.client().retry("run")
    assert api.phases == {
        "run": "Running",
        "g0": "Running",
        "r": "Running",  # with no attempts
        "s": "Succeeded",
        "s0": "Failed",  # the history of a step that succeeded at last
        "s1": "Succeeded",
    }
    assert api.workflow["status"]["nodes"]["g0"]["children"] == ["r", "s"]
    assert api.workflow["status"]["nodes"]["r"]["children"] == []


def test_retry_reopens_all_groups_around_a_failure() -> None:
    api = Api(
        workflow(
            node("run", "DAG", "Failed", children=("cnn", "ok")),
            node("cnn", "DAG", "Failed", "run", ("train",)),
            node("train", "Pod", "Failed", "cnn"),
            node("ok", "DAG", "Succeeded", "run", ("inner",)),
            node("inner", "Pod", "Succeeded", "ok"),
        )
    )
    api.client().retry("run")
    assert api.phases == {"run": "Running", "cnn": "Running", "ok": "Succeeded", "inner": "Succeeded"}


def test_retry_of_something_that_succeeded_with_all_that_follows() -> None:
    succeeded = (
        node("run", "DAG", "Succeeded", children=("a",)),
        node("a", "Pod", "Succeeded", "run", ("b",)),
        node("b", "Pod", "Succeeded", "run", ("c",)),
        node("c", "Pod", "Succeeded", "run"),
    )
    api = Api(workflow(*succeeded, phase="Succeeded"))
    with pytest.raises(ClusterError) as caught:
        api.client().retry("run")
    assert caught.value.code == "TIP612"
    api.client().retry("run", restart_successful=True, nodes="displayName=b")
    assert api.phases == {"run": "Running", "a": "Succeeded"}


def test_resume_lets_suspend_steps_pass() -> None:
    approve = node(
        "approve",
        "Suspend",
        "Running",
        "run",
        outputs={"parameters": [{"name": "ok", "valueFrom": {"supplied": {}, "default": "yes"}}]},
    )
    other = node("other", "Suspend", "Running", "run")
    api = Api(workflow(node("run", "DAG", "Running"), approve, other, phase="Running", suspend=True))
    api.client().resume("run", nodes="displayName=approve")
    assert api.phases == {"run": "Running", "approve": "Succeeded", "other": "Running"}
    assert api.workflow["status"]["nodes"]["approve"]["outputs"]["parameters"] == [
        {"name": "ok", "value": "yes"}
    ]
    assert api.workflow["spec"]["suspend"] is True
    api.client().resume("run")
    assert api.phases["other"] == "Succeeded"
    assert "suspend" not in api.workflow["spec"]


def test_resume_says_what_a_step_waits_for() -> None:
    waiting = node(
        "ask",
        "Suspend",
        "Running",
        "run",
        outputs={"parameters": [{"name": "ok", "valueFrom": {"supplied": {}}}]},
    )
    api = Api(workflow(node("run", "DAG", "Running"), waiting, phase="Running"))
    with pytest.raises(ClusterError, match="waits for its output 'ok'"):
        api.client().resume("run")
    with pytest.raises(ClusterError, match="no suspended node"):
        api.client().resume("run", nodes="displayName=nobody")


def test_stop_of_single_nodes_fails_waiting_suspend_steps() -> None:
    waiting = [node(name, "Suspend", "Running", "run") for name in ("approve", "other")]
    api = Api(workflow(node("run", "DAG", "Running"), *waiting, phase="Running"))
    api.client().stop("run", nodes="displayName=approve", message="not today")
    assert api.phases == {"run": "Running", "approve": "Failed", "other": "Running"}
    approve = api.workflow["status"]["nodes"]["approve"]
    assert (approve["message"], approve["finishedAt"]) == ("not today", NOW)
    assert "shutdown" not in api.workflow["spec"]
    with pytest.raises(ClusterError) as caught:
        api.client().stop("run", nodes="displayName=approve")
    assert caught.value.code == "TIP612"


def test_a_memoized_resubmit_takes_over_what_succeeded() -> None:
    old = workflow(
        node("run", "DAG", "Failed", children=("a",)),
        node("a", "Pod", "Succeeded", "run", ("s",), outputs={"parameters": [{"name": "x", "value": "1"}]}),
        node("s", "Skipped", "Skipped", "run", ("g",), message="when '1 == 2' evaluated false"),
        node("g", "TaskGroup", "Succeeded", "run", ("b",)),
        node("b", "Pod", "Failed", "run", message="exit code 1"),
        node("exit", "Pod", "Succeeded", name="run.onExit"),
    )
    api = Api(old)
    api.client().resubmit("run", parameters={"epochs": 9}, memoized=True)
    (sent,) = api.created
    name = sent["metadata"]["name"]
    assert name.startswith("ru-") and len(name) == 8 and "generateName" not in sent["metadata"]
    assert sent["metadata"]["labels"]["workflows.argoproj.io/resubmitted-from-workflow"] == "run"
    nodes = {item["name"].removeprefix(name).lstrip("."): item for item in sent["status"]["nodes"].values()}
    assert {path: (item["type"], item["phase"]) for path, item in nodes.items()} == {
        "": ("DAG", "Running"),
        "a": ("Skipped", "Skipped"),
        "s": ("Skipped", "Skipped"),
        "g": ("TaskGroup", "Running"),
    }
    assert nodes["a"]["message"] == "original pod: a"
    assert nodes["a"]["outputs"] == {"parameters": [{"name": "x", "value": "1"}]}
    assert nodes["s"]["message"] == "when '1 == 2' evaluated false"
    assert nodes["a"]["children"] == [nodes["s"]["id"]] and nodes["a"]["boundaryID"] == name
    assert nodes[""]["id"] == name and set(sent["status"]["nodes"]) == {item["id"] for item in nodes.values()}
    assert nodes["a"]["id"] == f"{name}-{fnv32a(name + '.a')}"  # Argo's rule for node IDs
    assert "phase" not in sent["status"]  # the controller begins it
    api.workflow["status"]["phase"] = "Succeeded"
    with pytest.raises(ClusterError) as caught:
        api.client().resubmit("run", memoized=True)
    assert caught.value.code == "TIP612"


def test_resubmit_makes_a_new_workflow_of_the_same_spec() -> None:
    api = Api(workflow(*DAG, shutdown="Terminate"))
    made = api.client().resubmit("run", parameters={"epochs": "9", "new": [1, 2]})
    assert made.name == "ru-2"
    (sent,) = api.created
    assert sent["metadata"]["generateName"] == "ru-"
    assert sent["metadata"]["labels"] == {
        "team": "ml",
        "workflows.argoproj.io/workflow-template": "nightly",
        "workflows.argoproj.io/resubmitted-from-workflow": "run",
    }
    assert sent["spec"] == {
        "arguments": {"parameters": [{"name": "epochs", "value": "9"}, {"name": "new", "value": "[1,2]"}]}
    }
    assert "status" not in sent


def test_large_workflows_are_unpacked_and_packed_again() -> None:
    import base64
    import gzip
    import json

    stored = workflow(*DAG)
    nodes = stored["status"].pop("nodes")
    stored["status"]["compressedNodes"] = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
    api = Api(stored)
    assert len(rows(api.client().get("run").workflow)) == 5
    api.client().retry("run")
    assert "nodes" not in api.workflow["status"]
    text = gzip.decompress(base64.b64decode(api.workflow["status"]["compressedNodes"]))
    assert sorted(json.loads(text)) == ["a", "run"]


def test_nodes_in_a_database_need_the_server() -> None:
    stored = workflow()
    stored["status"]["offloadNodeStatusVersion"] = "fnv:1"
    with pytest.raises(ClusterError) as caught:
        Api(stored).client().get("run")
    assert caught.value.code == "TIP611"


def test_the_tree_is_drawn_as_argo_get_draws_it() -> None:
    tree = rows(
        workflow(
            node("run", "DAG", "Running", children=("a", "loop")),
            node("a", "Retry", "Succeeded", "run", ("a0", "a1")),
            node("a0", "Pod", "Failed", "run", startedAt="2026-01-01T00:00:01Z"),
            node("a1", "Pod", "Succeeded", "run", startedAt="2026-01-01T00:00:02Z"),
            node("loop", "TaskGroup", "Running", "run", ("l0",), startedAt="2026-01-01T00:00:03Z"),
            node(
                "l0",
                "Pod",
                "Succeeded",
                "run",
                startedAt="2026-01-01T00:00:03Z",
                memoizationStatus={"hit": True},
            ),
            node("once", "Retry", "Failed", "run", ("once0",), startedAt="2026-01-01T00:00:04Z"),
            node("once0", "Pod", "Failed", "run", message="exit code 1"),
            node("exit", "Pod", "Pending", name="run.onExit", startedAt="2026-01-01T00:00:09Z"),
        )
    )
    assert [row.guide + row.name for row in tree] == [
        "run",
        "├─a",
        "│ ├─a0",
        "│ └─a1",
        "├─l0",
        "└─once",
        "exit",
    ]
    assert [row.name for row in tree if row.hit] == ["l0"]
    assert [row.message for row in tree if row.name == "once"] == ["exit code 1"]


def test_a_stopped_run_says_so() -> None:
    result = Result.of(workflow(*DAG, shutdown="Stop"))
    assert (result.stopped, result.succeeded) == (True, False)
    assert [failure.name for failure in result.failures] == ["b"]
