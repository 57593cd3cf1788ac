"""Ask a real cluster how things end: ``python -m tests.causes.record [NAME …]``.

kubectl finds the cluster, whose Argo watches the namespace ``argo``. Each case makes one Workflow, does to it what it
says, and keeps the node that ended as
``endings/NAME.json``. The label is what was *done*: it is written here by hand, before anybody judges the answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

HERE = Path(__file__).parent / "endings"
NAMESPACE = "argo"
IMAGE = "docker.io/library/python:3.11-slim"
CLASS = "causes"  # a PriorityClass for which a quota lets no pod in
Json = dict[str, Any]


class Case(NamedTuple):
    """``label`` is the kind of what was done, ``permanent`` whether the same attempt would end so again;
    ``silent``: nothing that is kept tells it from other ends, and it must stay ``unknown``."""

    label: str
    permanent: bool
    template: Json
    then: Callable[[str], None] | None = None
    spec: Mapping[str, Any] = MappingProxyType({})
    silent: bool = False


def kubectl(*words: str, text: str | None = None, check: bool = True) -> str:
    done = subprocess.run(
        ["kubectl", "-n", NAMESPACE, *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if check and done.returncode:
        raise RuntimeError(f"{words}: {done.stderr}")
    return done.stdout


def sh(line: str, **more: Any) -> Json:
    container: Json = {
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", line],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
    }
    limits = more.pop("limits", None)
    if limits:
        container["resources"]["limits"] = limits
    outside = {key: more.pop(key) for key in list(more) if key in _OF_TEMPLATES}
    return {"container": {**container, **more}, **outside}


_OF_TEMPLATES = (
    "timeout",
    "activeDeadlineSeconds",
    "inputs",
    "outputs",
    "volumes",
    "priorityClassName",
    "nodeSelector",
    "sidecars",
)


def listed(selector: str) -> list[Json]:
    """The pods that have a label."""
    found: list[Json] = json.loads(kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
    return found


def pods(name: str) -> list[Json]:
    return listed(f"workflows.argoproj.io/workflow={name}")


def running(name: str) -> str:
    for _ in range(120):
        for pod in pods(name):
            states = pod["status"].get("containerStatuses") or []
            if any(each["name"] == "main" and "running" in each["state"] for each in states):
                return str(pod["metadata"]["name"])
        time.sleep(0.5)
    raise RuntimeError(f"{name} never ran")


def patched(**status: str) -> Callable[[str], None]:
    """What a kubelet or a controller that cannot be had here would write into the pod's status. The pod is given to no
    node, whose kubelet would write its own."""

    def act(name: str) -> None:
        time.sleep(3)
        pod = str(pods(name)[0]["metadata"]["name"])
        kubectl(
            "patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
        )

    return act


def deleted() -> Callable[[str], None]:

    def act(name: str) -> None:
        kubectl("delete", "pod", running(name), "--wait=false")

    return act


def evicted(name: str) -> None:
    pod = running(name)
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    kubectl(
        "create",
        "--raw",
        f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction",
        "-f",
        "-",
        text=json.dumps(body),
    )


def shutdown(strategy: str, *, wait: bool = True) -> Callable[[str], None]:
    def act(name: str) -> None:
        if wait:
            running(name)
        kubectl("patch", "workflow", name, "--type=merge", "-p", json.dumps({"spec": {"shutdown": strategy}}))

    return act


def tfjob(line: str, policy: str = "Never", limit: str = "64Mi", **run: Any) -> Json:
    container = {
        "name": "tensorflow",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", line],
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": limit}},
    }
    worker = {"replicas": 1, "restartPolicy": policy, "template": {"spec": {"containers": [container]}}}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": "{{workflow.name}}", "labels": {"causes": "{{workflow.name}}"}},
        "spec": {"runPolicy": {"cleanPodPolicy": "Running", **run}, "tfReplicaSpecs": {"Worker": worker}},
    }
    return {
        "resource": {
            "action": "create",
            "setOwnerReference": True,
            "successCondition": "status.replicaStatuses.Worker.succeeded == 1",
            "failureCondition": ",".join(f"status.conditions.{each}.type == Failed" for each in (1, 2, 3)),
            "manifest": json.dumps(job),
        }
    }


def job_deleted(name: str) -> None:
    worker(name)
    kubectl("delete", "tfjob", name, "--wait=false")


def worker(name: str) -> str:
    for _ in range(120):
        found = json.loads(
            kubectl("get", "pods", "-l", f"training.kubeflow.org/job-name={name}", "-o", "json")
        )["items"]
        if found and found[0]["status"]["phase"] == "Running":
            return str(found[0]["metadata"]["name"])
        time.sleep(0.5)
    raise RuntimeError(f"{name}: no worker")


def worker_deleted(name: str) -> None:
    kubectl("delete", "pod", worker(name), "--wait=false")


def watcher_deleted(name: str) -> None:
    worker(name)
    deleted()(name)


def after(seconds: float, then: Callable[[str], None]) -> Callable[[str], None]:
    def act(name: str) -> None:
        time.sleep(seconds)
        then(name)

    return act


def path_output(path: str, kind: str = "parameters", **more: Any) -> Json:
    item: Json = (
        {"name": "x", "valueFrom": {"path": path}} if kind == "parameters" else {"name": "x", "path": path}
    )
    return {kind: [{**item, **more}]}


LONG = "trap 'exit 143' TERM; sleep 100 & wait"
EAT = "exec python -c 'print(len(b\"1\" * (230 << 20)))'"
_TOO_MUCH = {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}
_NO_KIND = '{"apiVersion":"no.example/v1","kind":"No","metadata":{"name":"x"}}'
NOWHERE = {**sh(LONG), "nodeSelector": {"no": "node"}}
SLOW = {"timeout": "6s"}
CASES: dict[str, Case] = {
    # the code of the step
    "exit-1": Case("code", True, sh("exit 1")),
    "exit-2": Case("code", True, sh("exit 2")),
    "exit-3-at-first": Case("code", True, sh("exit 3", limits={"memory": "32Mi"})),
    "exit-126": Case("code", True, sh("touch /tmp/x; /tmp/x")),
    "exit-127": Case("code", True, sh("no-such-program")),
    "exit-255": Case("code", True, sh("exit 255")),
    "traceback": Case("code", True, sh("exec python -c 'raise ValueError(1)'")),
    "aborted-134": Case("code", True, sh("kill -ABRT $$$$")),
    "segmentation-139": Case("code", True, sh("kill -SEGV $$$$")),
    "parameter-file-missing": Case("code", True, sh("true", outputs=path_output("/tmp/none"))),
    "artifact-file-missing": Case(
        "code", True, sh("true", outputs=path_output("/tmp/none", "artifacts", s3={"key": "x"}))
    ),
    "sidecar-exit-3": Case(
        "code", True, sh("sleep 3", sidecars=[{**sh("exit 3")["container"], "name": "side"}])
    ),
    # memory
    "oom": Case("oom", True, sh(EAT)),
    "oom-of-a-child": Case("oom", True, sh(EAT.replace("exec ", "") + "; exit 137")),
    # killed from outside, lost
    "killed-137": Case("preempted", False, sh("kill -KILL $$$$")),
    "terminated-143": Case("preempted", False, sh("kill -TERM $$$$; sleep 5")),
    "pod-deleted": Case("preempted", False, sh(LONG), deleted()),
    "pod-evicted": Case("preempted", False, sh(LONG), evicted),
    "node-low-on-memory": Case(
        "preempted", False, NOWHERE,
        patched(phase="Failed", reason="Evicted", message="The node was low on resource: memory. Threshold quantity: "
                "100Mi, available: 50Mi. "),
    ),
    "scheduler-preempts": Case(
        "preempted", False, NOWHERE,
        patched(phase="Failed", reason="Preempting", message="Preempted in order to admit critical pod"),
    ),
    "node-shutdown": Case(
        "node_lost", False, NOWHERE,
        patched(phase="Failed", reason="Terminated",
                message="Pod was terminated in response to imminent node shutdown."),
    ),
    "node-lost": Case(
        "node_lost", False, NOWHERE,
        patched(phase="Failed", reason="NodeLost", message="Node node which was running pod main is unresponsive"),
    ),
    "node-affinity": Case(
        "refused", True, NOWHERE,
        patched(phase="Failed", reason="NodeAffinity", message="Pod was rejected: Predicate NodeAffinity failed"),
    ),
    # the image and what the container needs to start
    "image-not-there": Case("image", True, {**sh("true", image="none.example/no:1", imagePullPolicy="Never"), **SLOW}),
    "image-cannot-be-pulled": Case("image", True, {**sh("true", image="localhost:1/no:1"), **SLOW}),
    "image-name-invalid": Case("image", True, {**sh("true", image="UPPER//x"), **SLOW}),
    "program-not-in-image": Case("image", True, sh("", command=["/no/such/program"])),
    "configmap-missing": Case(
        "refused", True,
        {**sh("true", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}}]), **SLOW},
    ),
    "secret-missing": Case(
        "refused", True,
        {**sh("true", env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}]), **SLOW},
    ),
    "claim-missing": Case(
        "refused", True,
        {**sh("true", volumeMounts=[{"name": "v", "mountPath": "/v"}]),
         "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "none"}}], **SLOW},
    ),
    "unschedulable": Case(
        "refused", True, {**sh("true", limits={"memory": "64Mi", "cpu": "900"}), "nodeSelector": {"no": "node"}, **SLOW}
    ),
    # time
    "template-timeout": Case("timeout", True, {**sh(LONG), "timeout": "5s"}),
    "template-deadline": Case("timeout", True, {**sh(LONG), "activeDeadlineSeconds": 5}),
    "workflow-deadline": Case("timeout", True, sh(LONG), spec={"activeDeadlineSeconds": 6}),
    # the API server
    "quota": Case("refused", False, {**sh("true", priorityClassName=CLASS), **SLOW}),
    "account-missing": Case("refused", True, sh("true"), spec={"serviceAccountName": "nobody"}),
    "pod-invalid": Case("refused", True, sh("true", resources=_TOO_MUCH)),
    "kind-unknown": Case(
        "refused", True,
        {"resource": {"action": "create", "manifest": _NO_KIND}},
    ),
    "template-missing": Case("refused", True, {"steps": [[{"name": "a", "template": "none"}]]}),
    # data
    "input-from-nowhere": Case(
        "data_missing", True,
        sh("true", inputs={"artifacts": [{"name": "x", "path": "/x", "http": {"url": "http://127.0.0.1:1/x"}}]}),
    ),
    "data-set-unusable": Case(
        "data_missing", True,
        sh("echo 'TIP708 the data set cannot be used: labels.npy is gone' > /dev/termination-log; exit 1"),
    ),
    # disk
    "disk-limit": Case(
        "disk_full", True, sh("dd if=/dev/zero of=/tmp/x bs=1M count=40; sleep 60",
                              limits={"memory": "64Mi", "ephemeral-storage": "5Mi"}),
    ),
    "disk-full-said": Case(
        "disk_full", True,
        sh("dd if=/dev/zero of=/small/x bs=1M count=9 2>/dev/termination-log", volumes=[
            {"name": "small", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
        ], volumeMounts=[{"name": "small", "mountPath": "/small"}]),
    ),
    # somebody's will
    "stopped": Case("stopped", True, sh(LONG), shutdown("Stop")),
    "terminated": Case("stopped", True, sh(LONG), shutdown("Terminate")),
    "stopped-while-pending": Case(
        "stopped", True, {**sh("true"), "nodeSelector": {"no": "node"}}, after(5, shutdown("Stop", wait=False))
    ),
    "stopped-while-suspended": Case(
        "stopped", True, {"suspend": {}}, after(3, shutdown("Stop", wait=False))
    ),
    # a training
    "job-failed": Case("code", True, tfjob("exit 1")),
    "job-deleted": Case("stopped", True, tfjob(LONG), job_deleted),
    "job-worker-deleted": Case("preempted", False, tfjob(LONG), worker_deleted, silent=True),
    "job-worker-oom": Case("oom", True, tfjob(EAT)),
    "job-watcher-deleted": Case("preempted", False, tfjob(LONG), watcher_deleted),
    # nothing that anybody knows
    "failed-without-a-word": Case("unknown", False, NOWHERE, patched(phase="Failed")),
}  # fmt: skip


def record(name: str) -> str:
    case = CASES[name]
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"causes-{name}-", "labels": {"tiphys-causes": "yes"}},
        "spec": {
            "entrypoint": "main",
            "serviceAccountName": CLASS,
            "templates": [{"name": "main", **case.template}],
            **case.spec,
        },
    }
    made = json.loads(kubectl("create", "-f", "-", "-o", "json", text=json.dumps(body)))["metadata"]["name"]
    try:
        if case.then is not None:
            case.then(made)
        workflow, waited = ended(made)
        status = workflow["status"]
        nodes = [each for each in (status.get("nodes") or {}).values() if each["type"] != "Steps"]
        node = next((each for each in nodes if each.get("phase") in ("Failed", "Error")), None)
        if node is None:  # it came to no step
            node = {"type": "Workflow", "phase": status.get("phase"), "message": status.get("message", "")}
        if case.template is NOWHERE:
            waited = ""  # this script let it wait, and nobody did in what it stands for
        kept = {
            "label": case.label,
            "permanent": case.permanent,
            "silent": case.silent,
            "waited": waited,
            "events": replicas(made),
            "phase": status.get("phase"),
            "message": status.get("message", ""),
            "shutdown": workflow["spec"].get("shutdown", ""),
            "node": node,
            "template": case.template,
        }
        HERE.mkdir(exist_ok=True)
        text = json.dumps(kept, indent=1, sort_keys=True).replace(made, "RUN")
        (HERE / f"{name}.json").write_text(text + "\n")
        return f"{name}: {case.label}: {(node or {}).get('message')!r} waited {waited!r} {kept['events']}"
    finally:
        kubectl("delete", "workflow", made, "--wait=false", check=False)


def ended(name: str) -> tuple[Json, str]:
    """The workflow at its end, and the last message that a node had while it was Pending."""
    waited = ""
    for turn in range(200):
        if turn % 20 == 19:  # else it is looked at when its pods change
            kubectl("label", "workflow", name, "--overwrite", f"turn={turn}")
        workflow = json.loads(kubectl("get", "workflow", name, "-o", "json"))
        status = workflow.get("status") or {}
        for each in (status.get("nodes") or {}).values():
            if each.get("phase") == "Pending" and each.get("message"):
                waited = each["message"]
        if status.get("finishedAt"):
            return workflow, waited
        time.sleep(0.4)
    raise RuntimeError("it does not end")


def replicas(name: str) -> list[Json]:
    """How the containers of a training ended."""
    found = []
    for pod in listed(f"training.kubeflow.org/job-name={name}"):
        for each in pod["status"].get("containerStatuses") or []:
            if end := each["state"].get("terminated"):
                found.append({"message": end.get("reason", ""), "exit_code": end["exitCode"]})
    return found


def prepare() -> None:
    prioritized = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 1}
    kubectl("apply", "-f", "-", text=json.dumps({**prioritized, "metadata": {"name": CLASS}}))
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": [CLASS]}]}
    spec = {"hard": {"pods": "0"}, "scopeSelector": selector}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": CLASS}, "spec": spec}
    kubectl("apply", "-f", "-", text=json.dumps(quota))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": CLASS}}
    kubectl("apply", "-f", "-", text=json.dumps(account))
    for group, kinds in (("kubeflow.org", "tfjobs"), ("argoproj.io", "workflowtaskresults")):
        kubectl("create", "role", f"{CLASS}-{kinds}", "--verb=*", f"--resource={kinds}.{group}", check=False)
        words = (f"--role={CLASS}-{kinds}", f"--serviceaccount={NAMESPACE}:{CLASS}")
        kubectl("create", "rolebinding", f"{CLASS}-{kinds}", *words, check=False)
    time.sleep(3)


def clear() -> None:
    kubectl("delete", "resourcequota,serviceaccount", CLASS, check=False)
    kubectl("delete", "priorityclass", CLASS, check=False)
    for kinds in ("tfjobs", "workflowtaskresults"):
        kubectl("delete", "role,rolebinding", f"{CLASS}-{kinds}", check=False)


def tried(name: str) -> str:
    try:
        return record(name)
    except Exception as error:  # noqa: BLE001 - the others go on
        return f"{name}: NOT RECORDED: {error}"


def main(names: list[str]) -> None:
    prepare()
    with ThreadPoolExecutor(6) as pool:
        for line in pool.map(tried, names or CASES):
            print(line, flush=True)  # noqa: T201
    clear()


if __name__ == "__main__":
    main(sys.argv[1:])
