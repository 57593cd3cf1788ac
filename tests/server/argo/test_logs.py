"""The logs of a run, as Hera's client reads them, and what of them is wanted."""

from __future__ import annotations

import json

import kubernetes
import pytest
from hera.workflows import WorkflowsService

from tests.server.running import FAILS, HELLO, Running
from tiphys.errors import RefusedError
from tiphys.server.answers import RequestError
from tiphys.server.argo.logs import LogsAsked

pytestmark = pytest.mark.filterwarnings("ignore:The `")  # Hera's own use of pydantic


def test_hera_reads_one_line(hera: WorkflowsService, running: Running) -> None:
    name = running.submit(HELLO)
    running.until(name, "Succeeded")
    # Hera takes the whole answer for one object: with more than one line it fails on the original, too
    told = running.ask("GET", f"/api/v1/workflows/argo/{name}/log").json()["result"]
    assert told["content"] == "hello" and told["podName"].startswith(f"{name}-say-")
    hera.workflow_logs(name)
    hera.pod_logs(name, told["podName"])


def test_lines_are_of_the_pods_that_are_meant(running: Running) -> None:
    name = running.submit(FAILS)
    running.until(name, "Failed")

    def lines(**query: str) -> list[dict[str, str]]:
        answer = running.ask("GET", f"/api/v1/workflows/argo/{name}/log", params=query)
        return [json.loads(line)["result"] for line in answer.text.splitlines()]

    (line,) = lines()
    assert line["content"] == "bad"
    pod = line["podName"]
    assert lines(podName=pod) == [line] and lines(podName=f"{pod}0") == []
    assert lines(grep="^b.d$") == [line] and lines(grep="good") == []
    assert lines(**{"logOptions.container": "wait"}) == []
    assert lines(selector=f"workflows.argoproj.io/workflow={name}") == [line]
    assert lines(selector="x=y") == []
    (timed,) = lines(**{"logOptions.timestamps": "true"})
    assert timed["content"].endswith("Z bad")
    assert lines(**{"logOptions.sinceTime.seconds": "9999999999"}) == []
    one = running.ask("GET", f"/api/v1/workflows/argo/{name}/{pod}/log").json()["result"]
    assert one == line


def test_each_container_has_its_own(running: Running) -> None:
    """Those of a set, sidecars and init containers, as the cluster's pods have them."""

    def says(word: str, more: str = "") -> dict[str, object]:
        return {"image": "x", "command": ["sh", "-c"], "args": [f"echo from {word}{more}"]}

    templates = [
        {"name": "main", "steps": [[{"name": each, "template": each} for each in ("set", "side")]]},
        {
            "name": "set",
            "containerSet": {
                "containers": [{"name": "one", **says("one")}, {"name": "main", **says("the set")}]
            },
        },
        {
            "name": "side",
            "initContainers": [{"name": "first", **says("first")}],
            "container": says("the step", "; sleep 0.5"),
            "sidecars": [{"name": "helper", **says("helper", "; sleep 60")}],
        },
    ]
    spec = {"entrypoint": "main", "templates": templates}
    name = running.submit({**HELLO, "metadata": {"generateName": "many-"}, "spec": spec})
    running.until(name, "Succeeded")

    def lines(container: str) -> list[str]:
        query = {"logOptions.container": container}
        answer = running.ask("GET", f"/api/v1/workflows/argo/{name}/log", params=query)
        return sorted(json.loads(line)["result"]["content"] for line in answer.text.splitlines())

    assert lines("main") == lines("") == ["from the set", "from the step"]
    assert [lines(each) for each in ("one", "helper", "first", "other", "../x")] == [
        ["from one"],
        ["from helper"],
        ["from first"],
        [],
        [],
    ]
    with running.client() as client:
        core = kubernetes.client.CoreV1Api(client)
        pods = core.list_namespaced_pod("argo", label_selector=f"workflows.argoproj.io/workflow={name}").items
        pod = next(each for each in pods if each.spec.init_containers)
        assert [each.name for each in pod.spec.containers] == ["main", "helper"]
        assert core.read_namespaced_pod_log(pod.metadata.name, "argo", container="helper") == "from helper\n"
        assert core.read_namespaced_pod_log(pod.metadata.name, "argo", container="wait") == ""
        with pytest.raises(kubernetes.client.ApiException) as refused:
            core.read_namespaced_pod_log(pod.metadata.name, "argo", container="../other")
        assert refused.value.status == 400


def test_what_cannot_be_read_is_refused() -> None:
    for query in ({"grep": "("}, {"logOptions.tailLines": "x"}):
        with pytest.raises(RequestError) as told:
            LogsAsked.of(query)
        assert told.value.number == 400
    with pytest.raises(RefusedError):
        LogsAsked.of({"selector": "a b"})
