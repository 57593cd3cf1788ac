"""What goes on is told as it happens: to the real ``argo``, and on the wire."""

from __future__ import annotations

import json
import threading

import pytest

from tests.server.argo.conftest import Ask
from tests.server.running import FAILS, GATE, HELLO, Running

ONCE = {**GATE, "metadata": {"generateName": "once-"}}


def test_changes_are_events_or_lines(running: Running) -> None:
    name = running.submit(ONCE)
    running.until(name, "Suspended")
    query = {"listOptions.fieldSelector": f"metadata.name={name}", "fields": "result.object.status.phase"}
    path, kinds = "/api/v1/workflow-events/argo", []
    with running.ask(
        "GET", path, params=query, headers={"Accept": "text/event-stream"}, stream=True
    ) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        for line in answer.iter_lines():
            if not line.startswith(b"data: "):
                continue
            told = json.loads(line.removeprefix(b"data: "))["result"]
            kinds.append(told["type"])
            assert told["object"]["metadata"] == {}  # not asked for
            if told["object"]["status"]["phase"] == "Failed":
                break
            if len(kinds) == 1:
                assert running.ask("PUT", f"/api/v1/workflows/argo/{name}/terminate", json={}).ok
    assert kinds[0] == "ADDED" and set(kinds[1:]) == {"MODIFIED"}
    plain = {**query, "listOptions.timeoutSeconds": "1"}
    (line,) = running.ask("GET", path, params=plain).text.splitlines()
    assert json.loads(line)["result"]["object"]["status"]["phase"] == "Failed"


def test_a_stream_of_what_is_not_there_is_refused(running: Running) -> None:
    query = {"listOptions.fieldSelector": "metadata.name=none"}
    answer = running.ask("GET", "/api/v1/workflow-events/argo", params=query)
    assert (answer.status_code, answer.json()["code"]) == (404, 5)
    assert running.ask("GET", "/api/v1/workflows/argo/none/log").status_code == 404
    old = {"listOptions.resourceVersion": "1"}
    (line,) = running.ask("GET", "/api/v1/workflow-events/argo", params=old).text.splitlines()
    assert "too old" in json.loads(line)["error"]["message"]


def test_events_tell_how_a_run_goes(running: Running) -> None:
    name = running.submit(FAILS)
    running.until(name, "Failed")
    about = f"involvedObject.kind=Workflow,involvedObject.name={name}"
    query = {"listOptions.timeoutSeconds": "1", "listOptions.fieldSelector": about}
    lines = running.ask("GET", "/api/v1/stream/events/argo", params=query).text.splitlines()
    told = [json.loads(line)["result"] for line in lines]
    assert [(each["reason"], each["type"]) for each in told] == [
        ("WorkflowRunning", "Normal"),
        ("WorkflowFailed", "Warning"),
    ]


def test_argo_watches_and_follows_a_log_to_the_end(argo: Ask, running: Running) -> None:
    slow = json.loads(json.dumps(HELLO))
    slow["metadata"] = {"generateName": "slow-"}
    slow["spec"]["templates"][1]["container"]["args"] = ["for i in 1 2 3; do echo line $i; sleep 0.3; done"]
    name = running.submit(slow)
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.append(argo("logs", name, "-f", "--no-color")))
    reader.start()
    assert "Succeeded" in argo("watch", name)
    reader.join(60)
    assert [line.partition(": ")[2] for line in said[0].splitlines()] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize("words", [["--tail", "1"], ["--grep", "line 3"]])
def test_a_part_of_a_log(argo: Ask, running: Running, words: list[str]) -> None:
    three = json.loads(json.dumps(HELLO))
    three["spec"]["templates"][1]["container"]["args"] = ["for i in 1 2 3; do echo line $i; done"]
    name = running.submit(three)
    running.until(name, "Succeeded")
    said = argo("logs", name, "--no-color", *words).splitlines()
    assert [line.partition(": ")[2] for line in said] == ["line 3"]
