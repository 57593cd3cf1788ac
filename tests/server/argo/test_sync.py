"""Limits of semaphores, by the real ``argo sync``; a run takes them from there."""

from __future__ import annotations

import time
from typing import Any

import kubernetes
import pytest

from tests.server.argo.conftest import Ask
from tests.server.running import GATE, HELLO, Running

WHERE = ("--type", "configmap", "--cm-name", "limits")


@pytest.mark.parametrize("way", ["argo", "argo_by_grpc"])
def test_the_real_argo_keeps_limits(request: pytest.FixtureRequest, running: Running, way: str) -> None:
    ask: Ask = request.getfixturevalue(way)
    key = way.replace("_", "-")
    assert "Limit: 2" in ask("sync", "create", key, *WHERE, "--limit", "2")
    assert "already exists" in ask("sync", "create", key, *WHERE, "--limit", "2", check=False)
    assert "Limit: 2" in ask("sync", "get", key, *WHERE)
    assert "Limit: 5" in ask("sync", "update", key, *WHERE, "--limit", "5")
    assert "greater than zero" in ask("sync", "update", key, *WHERE, "--limit", "0", check=False)
    assert "create it first" in ask("sync", "update", "other", *WHERE, "--limit", "1", check=False)
    with running.client() as client:
        core = kubernetes.client.CoreV1Api(client)
        assert core.read_namespaced_config_map("limits", "argo").data[key] == "5"
    ask("sync", "delete", key, *WHERE)
    assert "not found" in ask("sync", "get", key, *WHERE, check=False)
    assert "unsupported" in ask("sync", "create", key, "--type", "database", "--limit", "1", check=False)


def test_a_workflow_waits_for_what_is_kept(running: Running) -> None:
    """And has a parameter from there: `argo submit` sends the Workflow alone."""
    with running.client() as client:
        core = kubernetes.client.CoreV1Api(client)
        labels = {"workflows.argoproj.io/configmap-type": "Parameter"}  # as the controller wants it
        body = {"metadata": {"name": "site", "labels": labels}, "data": {"gang": "1", "who": "world"}}
        core.create_namespaced_config_map("argo", body)
        with pytest.raises(kubernetes.client.ApiException) as told:
            core.create_namespaced_config_map("argo", body)
        assert told.value.status == 409
        reference = {"name": "site", "key": "gang"}
        spec: Any = {
            "entrypoint": "main",
            "synchronization": {"semaphores": [{"configMapKeyRef": reference}]},
            "arguments": {
                "parameters": [{"name": "who", "valueFrom": {"configMapKeyRef": {**reference, "key": "who"}}}]
            },
            "templates": [
                {
                    "name": "main",
                    "container": {
                        "image": "x",
                        "command": ["sh", "-c"],
                        "args": ["echo hello {{workflow.parameters.who}}"],
                    },
                }
            ],
        }
        name = running.submit({**HELLO, "spec": spec})
        status: Any = running.until(name, "Succeeded")["status"]
        pods = core.list_namespaced_pod("argo", label_selector=f"workflows.argoproj.io/workflow={name}").items
        assert core.read_namespaced_pod_log(pods[0].metadata.name, "argo") == "hello world\n"
        assert status["phase"] == "Succeeded"
        core.delete_namespaced_config_map("site", "argo")
        lost = running.submit({**HELLO, "spec": spec})
        running.until(lost, "Error", "Failed")


def test_a_run_that_waits_goes_on_when_the_limit_is_raised(running: Running, argo: Ask) -> None:
    with running.client() as client:
        core = kubernetes.client.CoreV1Api(client)
        core.create_namespaced_config_map("argo", {"metadata": {"name": "narrow"}, "data": {"doors": "1"}})
        semaphore = {"configMapKeyRef": {"name": "narrow", "key": "doors"}}
        spec: Any = {**GATE["spec"], "synchronization": {"semaphores": [semaphore]}}  # type: ignore[dict-item]
        first = running.submit({**GATE, "spec": spec})
        running.until(first, "Suspended")
        second = running.submit({**GATE, "spec": spec})
        until = time.monotonic() + 60
        while "Lock status: 0/1" not in str(running.get(second).get("status")):
            assert time.monotonic() < until
            time.sleep(0.05)
        argo("sync", "update", "doors", "--cm-name", "narrow", "--limit", "2", "--type", "configmap")
        running.until(second, "Suspended")
        core.delete_namespaced_config_map("narrow", "argo")  # the last limit that was known holds
        for name in (first, second):
            argo("resume", name)
            running.until(name, "Succeeded")
