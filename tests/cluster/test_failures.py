"""What users need when something goes wrong: killed workers, stopped runs, full quotas, contended locks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import COMPILED, SMALL, Cluster, Mission, connect
from tiphys.runs import Client, Result, Submitted, WaitTimeout

pytestmark = [pytest.mark.cluster]

STEP = "tiphys/step:0.1.0"
POD = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
LIMITS = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}


def python(code: str, name: str = "main", **more: Any) -> dict[str, Any]:
    container = {
        "name": name,
        "image": STEP,
        "command": ["python", "-c", code],
        "resources": LIMITS,
        "securityContext": CONTAINER,
    }
    return {**container, **more}


def workflow(name: str, template: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"{name}-", "labels": {"tiphys-test": "yes"}},
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": "tiphys",
            "securityContext": POD,
            "templates": [{"name": "main", **template}],
            **spec,
        },
    }


def left(cluster: Cluster, name: str) -> list[str]:
    return cluster.kubectl(
        "get", "tfjobs,deployments,services", "-l", f"tiphys.dev/workflow={name}", "-o", "name"
    ).split()


def nodes(result: Result) -> dict[str, Any]:
    name = result.name
    found = ((result.workflow.get("status") or {}).get("nodes") or {}).values()
    return {node["name"].removeprefix(name).lstrip("."): node for node in found}


def running_workers(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    pods = cluster.get(
        "pods", "-l", f"workflows.argoproj.io/workflow={name},training.kubeflow.org/replica-type=worker"
    )
    return [pod for pod in pods if pod["status"]["phase"] == "Running"]


def launch(client: Client, parameters: dict[str, Any]) -> Submitted:
    return client.submit(COMPILED, parameters=parameters, labels={"tiphys-test": "yes"})


# a training that is long enough to be interrupted; the mission before it made the data set and the images
LONG = {**SMALL, "epochs": 6, "learning-rate": 0.0031}


def test_a_worker_without_memory_and_one_that_is_deleted_resume_from_the_backup(
    mission: Mission, cluster: Cluster
) -> None:
    """First the kernel kills worker 1, whose container is over its limit: the operator starts it again. Then its pod is
    deleted, as when a node is drained: that ends the TFJob, and the step makes a new one."""
    with connect(cluster, "kubeconfig") as client:
        made = launch(client, {**LONG, "epochs": 16})

        def trains(after: str = "") -> Any:
            """Worker 1 in a gang that has finished two epochs, in another pod than ``after``."""
            for pod in running_workers(cluster, made.name):
                name = pod["metadata"]["name"]
                if name.endswith("-worker-1") and pod["metadata"]["uid"] != after:
                    said = cluster.kubectl("logs", name.removesuffix("1") + "0", check=False)
                    if len(re.findall(r" epoch \d+/", said)) >= 2:
                        return pod
            return None

        victim = cluster.until("two epochs", trains, 300)
        name = victim["metadata"]["name"]
        job = name.removesuffix("-worker-1")
        starve(cluster, victim)
        again = cluster.until("the operator starts it again", lambda: trains(victim["metadata"]["uid"]), 180)
        events = cluster.get("events", "--field-selector", f"involvedObject.name={job}")
        assert any("exited with code 137" in event["message"] for event in events)
        assert cluster.get("tfjob", job)["metadata"]["labels"]["tiphys.dev/workflow"] == made.name
        cluster.kubectl("delete", "pod", again["metadata"]["name"], "--wait=false")
        model = job.removeprefix(made.name + "-")

        def trained() -> Any:
            node = nodes(client.get(made.name)).get(f"{model}.train")
            return node if node and node["phase"] in ("Succeeded", "Failed", "Error") else None

        assert cluster.until("the training goes on", trained, 420)["phase"] == "Succeeded"
        lines = [line.text for line in client.logs(made.name) if line.source.startswith(model)]
        assert any("resum" in line.lower() for line in lines), lines[-20:]
        client.stop(made.name)
        client.wait(made.name, timeout=120)
    cluster.until("nothing is left", lambda: not left(cluster, made.name), 60)


def starve(cluster: Cluster, pod: dict[str, Any]) -> None:
    """Lower the memory limit of a container to what it uses now, and use more in it: the kernel kills the largest of
    its processes. The node is this machine, so its control groups can be reached (of version 1 and 2)."""
    identity = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        for folder in Path("/sys/fs/cgroup").rglob(identity):
            if (folder / limit).exists():
                (folder / limit).write_text(str(int((folder / used).read_text()) + (16 << 20)))
    more = ("exec", pod["metadata"]["name"], "--", "python", "-c", "print(len(bytearray(1 << 28)))")
    cluster.kubectl(*more, check=False)


@pytest.mark.usefixtures("images")
def test_a_step_over_its_memory_limit_is_tried_again(cluster: Cluster) -> None:
    code = """
import os, sys
mark = "/mnt/tiphys/" + sys.argv[1]
if os.path.exists(mark):
    os.remove(mark)
else:
    open(mark, "w").close()
    print(len(bytearray(1 << 28)))
"""
    container = python(code, volumeMounts=[{"name": "tiphys", "mountPath": "/mnt/tiphys"}])
    container["command"].append("{{workflow.name}}")
    volume = {"name": "tiphys", "persistentVolumeClaim": {"claimName": "tiphys"}}
    template = {"container": container, "retryStrategy": {"limit": "1", "retryPolicy": "Always"}}
    with connect(cluster) as client:
        made = client.submit(workflow("memory", template, volumes=[volume]))
        result = client.wait(made.name, timeout=120)
    assert result.succeeded, result.failures
    attempts = {path: node for path, node in nodes(result).items() if path}
    assert [(path, node["phase"]) for path, node in sorted(attempts.items())] == [
        ("(0)", "Failed"),
        ("(1)", "Succeeded"),
    ]
    assert "OOMKilled" in attempts["(0)"]["message"]


def test_a_deleted_tfjob_fails_its_step_at_once_and_a_stopped_run_leaves_nothing(
    mission: Mission, cluster: Cluster
) -> None:
    with connect(cluster) as client:
        made = launch(client, {**LONG, "learning-rate": 0.0032})
        worker = cluster.until("a gang runs", lambda: running_workers(cluster, made.name), 240)[0]
        job = worker["metadata"]["labels"]["training.kubeflow.org/job-name"]
        model = job.removeprefix(made.name + "-")
        cluster.kubectl("delete", "tfjob", job, "--wait=false")

        def failed() -> Any:
            node = nodes(client.get(made.name)).get(f"{model}.train")
            return node if node and node["phase"] in ("Failed", "Error") else None

        cluster.until("the step fails", failed, 60)
        client.stop(made.name)
        result = client.wait(made.name, timeout=120)
        assert (result.phase, result.stopped, result.succeeded) == ("Failed", True, False)
    cluster.until("nothing is left", lambda: not left(cluster, made.name), 60)


def test_terminate_leaves_nothing_either(mission: Mission, cluster: Cluster) -> None:
    with connect(cluster, "kubeconfig") as client:
        made = launch(client, {**LONG, "learning-rate": 0.0033})
        cluster.until("a gang runs", lambda: running_workers(cluster, made.name), 240)
        _, cleared = client.terminate(made.name)
        assert any(item.startswith("tfjobs/") for item in cleared or ())
        assert client.wait(made.name, timeout=60).phase == "Failed"
        assert left(cluster, made.name) == []


@pytest.mark.usefixtures("images")
def test_an_evicted_step_is_tried_again(cluster: Cluster) -> None:
    """The eviction API, as a node that is drained uses it: Argo makes the pod anew, or a new attempt, as it comes to
    know of it. The retry strategy is that of compiled pipelines."""
    code = """
import os, signal, sys, time
signal.signal(15, lambda *_: sys.exit(143))
mark = "/mnt/tiphys/" + sys.argv[1]
if os.path.exists(mark):
    os.remove(mark)
else:
    open(mark, "w").close()
    time.sleep(300)
"""
    container = python(code, volumeMounts=[{"name": "tiphys", "mountPath": "/mnt/tiphys"}])
    container["command"].append("{{workflow.name}}")
    volume = {"name": "tiphys", "persistentVolumeClaim": {"claimName": "tiphys"}}
    template = {"container": container, "retryStrategy": retry_strategy()}
    client = connect(cluster)
    made = client.submit(workflow("evicted", template, volumes=[volume]))
    mark = cluster.volume / made.name

    cluster.until("the step runs", mark.exists, 60)
    victim = cluster.get("pods", "-l", f"workflows.argoproj.io/workflow={made.name}")[0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": victim, "namespace": "argo"}}
    cluster.kubectl(
        "create", "--raw", f"/api/v1/namespaces/argo/pods/{victim}/eviction", "-f", "-", text=json.dumps(body)
    )
    result = client.wait(made.name, timeout=120)
    assert result.succeeded, result.failures
    assert not mark.exists()


def retry_strategy() -> dict[str, Any]:
    """The one that a compiled pipeline gives its steps."""
    from tiphys.argo.reader import read

    workflow = next(document.data for document in read(COMPILED) if document.data["kind"] == "Workflow")
    templates = {template["name"]: template for template in workflow["spec"]["templates"]}
    strategy: dict[str, Any] = templates["predict"]["retryStrategy"]
    return strategy


@pytest.mark.usefixtures("images")
def test_a_full_quota_delays_a_run_and_does_not_fail_it(cluster: Cluster) -> None:
    """The quota counts pods of one priority class only, so that nothing else is held up."""
    client = connect(cluster, "kubeconfig")
    priority = "tiphys-test-quota"
    objects = [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": priority},
            "value": 1,
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": priority},
            "spec": {
                "hard": {"pods": "1"},
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "PriorityClass", "operator": "In", "values": [priority]}
                    ]
                },
            },
        },
    ]
    for item in objects:
        cluster.kubectl("apply", "-f", "-", text=json.dumps(item))
    try:
        templates = [
            {"name": "main", "steps": [[{"name": f"s{i}", "template": "one"} for i in range(2)]]},
            {
                "name": "one",
                "container": python("import time; time.sleep(3)"),
                "retryStrategy": retry_strategy(),
            },
        ]
        made = client.submit(
            workflow(
                "quota", {}, templates=templates, podPriorityClassName=priority, activeDeadlineSeconds=120
            )
        )
        result = client.wait(made.name, timeout=150)
        assert result.succeeded, (result.message, result.failures)
        pods = cluster.get("pods", "-l", f"workflows.argoproj.io/workflow={made.name}")
        spans = sorted((pod["metadata"]["creationTimestamp"], _finished(pod)) for pod in pods)
        assert spans[1][0] >= spans[0][1]  # the second pod came when the first had ended
    finally:
        cluster.kubectl("delete", "resourcequota", priority)
        cluster.kubectl("delete", "priorityclass", priority)


def _finished(pod: dict[str, Any]) -> str:
    return max(
        str(status["state"]["terminated"]["finishedAt"]) for status in pod["status"]["containerStatuses"]
    )


@pytest.mark.usefixtures("images")
def test_one_semaphore_for_two_workflows_and_the_higher_priority_first(cluster: Cluster) -> None:
    """One permit. While the first holds it two more queue up; the later one with the higher priority goes
    first."""
    lock = {"configMapKeyRef": {"name": "tiphys-test-locks", "key": "one"}}
    cluster.kubectl("delete", "configmap", "tiphys-test-locks", "--ignore-not-found")
    limits = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "tiphys-test-locks"},
        "data": {"one": "1"},
    }

    def locked(name: str, seconds: float) -> list[dict[str, Any]]:
        template = {
            "container": python(f"import time; time.sleep({seconds})"),
            "synchronization": {"semaphores": [lock]},
        }
        return [limits, workflow(name, template)]

    with connect(cluster) as client:
        holder = client.submit(locked("holder", 8))

        def held() -> bool:
            return nodes(client.get(holder.name)).get("", {}).get("phase") == "Running"

        cluster.until("the lock is held", held, 60)
        low = client.submit(locked("low", 1), priority=1)
        high = client.submit(locked("high", 1), priority=9)

        def waits(name: str) -> bool:
            message = nodes(client.get(name)).get("", {}).get("message", "")
            return "Waiting for argo/ConfigMap/tiphys-test-locks/one lock" in message

        cluster.until("both wait", lambda: waits(low.name) and waits(high.name), 30)
        with pytest.raises(WaitTimeout, match="Waiting for argo/ConfigMap/tiphys-test-locks/one lock"):
            client.wait(low.name, timeout=1)
        ends = [client.wait(item.name, timeout=120) for item in (holder, high, low)]
    assert all(result.succeeded for result in ends)
    pods = [cluster.get("pods", "-l", f"workflows.argoproj.io/workflow={result.name}")[0] for result in ends]
    spans = [(pod["metadata"]["creationTimestamp"], _finished(pod)) for pod in pods]
    assert spans[0][1] <= spans[1][0]
    assert spans[1][1] <= spans[2][0]
    cluster.kubectl("delete", "configmap", "tiphys-test-locks")


@pytest.mark.usefixtures("images")
def test_resume_retry_resubmit_and_stop_of_one_node(client: Client, cluster: Cluster) -> None:
    passed = {"parameters": [{"name": "of", "value": "{{tasks.first.outputs.parameters.said}}"}]}
    said = {"name": "said", "valueFrom": {"path": "/tmp/said"}}
    templates = [
        {
            "name": "main",
            "dag": {
                "tasks": [
                    {"name": "first", "template": "ok"},
                    {"name": "gate", "template": "gate", "depends": "first"},
                    {"name": "last", "template": "check", "depends": "gate", "arguments": passed},
                ]
            },
        },
        {"name": "gate", "suspend": {}},
        {
            "name": "ok",
            "container": python("open('/tmp/said', 'w').write('done')"),
            "outputs": {"parameters": [said]},
        },
        {
            "name": "check",
            "inputs": {"parameters": [{"name": "of"}]},
            "container": python("import sys; sys.exit(int('{{workflow.parameters.code}}'))"),
        },
    ]
    arguments = {"parameters": [{"name": "code", "value": "3"}]}
    made = client.submit(workflow("verbs", {}, templates=templates, arguments=arguments))
    until = cluster.until
    until("it waits at the gate", lambda: nodes(client.get(made.name)).get("gate"), 60)
    client.resume(made.name)
    result = client.wait(made.name, timeout=120)
    assert (result.phase, [item.name for item in result.failures]) == ("Failed", ["last"])
    first = nodes(result)["first"]["finishedAt"]
    client.retry(made.name, parameters={"code": "0"})
    result = client.wait(made.name, timeout=120)
    assert result.succeeded, result.failures
    assert nodes(result)["first"]["finishedAt"] == first  # what had succeeded was kept
    assert nodes(result)["gate"]["phase"] == "Succeeded"
    again = client.resubmit(made.name)
    assert again.name != made.name
    until("it waits at the gate", lambda: nodes(client.get(again.name)).get("gate"), 60)
    client.stop(again.name, nodes="displayName=gate", message="not today")
    result = client.wait(again.name, timeout=60)
    assert (result.phase, result.stopped) == ("Failed", False)
    assert [(item.name, item.message) for item in result.failures] == [("gate", "not today")]
    third = client.resubmit(again.name, parameters={"code": "0"}, memoized=True)
    until("it waits at the gate", lambda: waiting(client.get(third.name)), 60)
    client.resume(third.name, nodes="displayName=gate")
    result = client.wait(third.name, timeout=60)
    assert result.succeeded, result.failures
    assert nodes(result)["first"]["type"] == "Skipped"  # it ran in the run before
    assert nodes(result)["last"]["inputs"]["parameters"][0]["value"] == "done"
    for item in (made, again, third):
        client.delete(item.name)


def waiting(result: Result) -> bool:
    return bool(nodes(result).get("gate", {}).get("phase") == "Running")
