"""The logs of a run, as Hera's client reads them, and what of them is wanted."""

from __future__ import annotations

import json

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


def test_what_cannot_be_read_is_refused() -> None:
    for query in ({"grep": "("}, {"logOptions.tailLines": "x"}):
        with pytest.raises(RequestError) as told:
            LogsAsked.of(query)
        assert told.value.number == 400
    with pytest.raises(RefusedError):
        LogsAsked.of({"selector": "a b"})
