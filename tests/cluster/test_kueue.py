"""What ``tiphys queue compile`` prints, on a real API server with a real Kueue: it is accepted, and it holds."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from components import train
from pipelines.fashion_mnist import evaluate_model, find_source, ingest_images
from tests.cluster.conftest import SCRIPT, Cluster, connect
from tiphys import Pipeline, Resources, Retry, Scheduling, TFJob, component
from tiphys.cli import main

pytestmark = [pytest.mark.cluster]

SPACE = "argo"
QUEUE = """
[groups]
vision = 1
text = 1

[users.anna]
group = "vision"
highest = 10

[users."Bo.B"]
group = "text"
account = "bo@example.org"
highest = 0

[cluster]
namespace = "argo"
cohort = "tiphys-test"
cpu = "1"
memory = "8Gi"

[classes]
tiphys-urgent = 10
tiphys-night = -5
"""
EPOCHS = 6
LABEL, CLASS = "kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class"


@pytest.fixture(scope="module")
def kueue(applied: Cluster) -> Cluster:
    """The cluster with Kueue in it. It stays until the cluster goes: it looks at nothing that names no queue."""
    subprocess.run([SCRIPT, "kueue"], env=applied.env, check=True, timeout=300)
    return applied


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("queue")
    (folder / "queue.toml").write_text(QUEUE)
    assert main(["queue", "compile", str(folder / "queue.toml"), "-o", str(folder / "kueue.yaml")]) == 0
    return list(yaml.safe_load_all((folder / "kueue.yaml").read_text()))


@pytest.fixture(scope="module")
def queues(kueue: Cluster, compiled: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    """The objects, applied; the queue of each user."""
    text = yaml.safe_dump_all(compiled)
    try:
        kueue.kubectl("apply", "--validate=strict", "-f", "-", text=text)
        names = [item["metadata"]["name"] for item in compiled if item["kind"] == "LocalQueue"]
        ready = '{.status.conditions[?(@.type=="Active")].status}'
        for name in names:
            kueue.until(
                f"the queue {name} is active",
                lambda name=name: (
                    kueue.kubectl("get", "-n", SPACE, "localqueue", name, "-o", f"jsonpath={ready}") == "True"
                ),
            )
        yield {"anna": "anna", "bo": next(name for name in names if name != "anna")}
    finally:
        kueue.kubectl(
            "delete",
            "tfjobs,pods,workflows",
            "-n",
            SPACE,
            "-l",
            "tiphys-test=kueue",
            "--timeout=60s",
            check=False,
        )
        kueue.kubectl("delete", "--ignore-not-found", "--timeout=60s", "-f", "-", text=text, check=False)


def test_all_of_it_is_accepted_and_applies_again(
    kueue: Cluster, queues: dict[str, str], compiled: list[dict[str, Any]]
) -> None:
    again = kueue.kubectl("apply", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(compiled))
    assert {line.split()[-1] for line in again.splitlines()} == {"unchanged"}
    for name in ("tiphys-test-text", "tiphys-test-vision"):
        states = kueue.get("clusterqueue", name)["status"]["conditions"]
        assert [(each["status"], each["reason"]) for each in states if each["type"] == "Active"] == [
            ("True", "Ready")
        ]
    for name in ("tiphys-test-classes", "tiphys-test-workflows"):

        def checked(name: str = name) -> Any:
            return (
                kueue.get("validatingadmissionpolicy", name).get("status", {}).get("typeChecking") is not None
            )

        kueue.until(f"the expressions of {name} are checked", checked)
        assert kueue.get("validatingadmissionpolicy", name)["status"]["typeChecking"] == {}


# -- what is lent comes back -----------------------------------------------------------------------------------


def training(name: str, queue: str, *, cpu: str = "250m", workload_class: str = "") -> dict[str, Any]:
    """A TFJob of one worker that never ends."""
    container = {
        "name": "tensorflow",
        "image": "local/pause:1",
        "command": ["/pause"],
        "resources": {"requests": {"cpu": cpu, "memory": "16Mi"}, "limits": {"cpu": cpu, "memory": "16Mi"}},
    }
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    asked = {CLASS: workload_class} if workload_class else {}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {
            "name": name,
            "namespace": SPACE,
            "labels": {LABEL: queue, "tiphys-test": "kueue", **asked},
        },
        "spec": {
            "tfReplicaSpecs": {"Worker": {"replicas": 1, "restartPolicy": "Never", "template": template}}
        },
    }


def create_all(kueue: Cluster, *jobs: dict[str, Any]) -> None:
    kueue.kubectl("create", "-f", "-", text="---\n".join(json.dumps(job) + "\n" for job in jobs))


def running(kueue: Cluster, *names: str) -> bool:
    found = kueue.get("pods", "-n", SPACE, "-l", f"training.kubeflow.org/job-name in ({','.join(names)})")
    ready = [pod for pod in found if pod["status"].get("phase") == "Running"]
    return len(ready) == len(names)


def suspended(kueue: Cluster) -> list[str]:
    """The trainings that were preempted and have not come back."""
    found = kueue.get("tfjobs", "-n", SPACE, "-l", LABEL)
    return [job["metadata"]["name"] for job in found if job["spec"]["runPolicy"].get("suspend")]


def test_a_team_takes_back_what_it_had_lent_and_the_other_goes_on_later(
    kueue: Cluster, queues: dict[str, str]
) -> None:
    """Each is owed half of one processor. Bo's four trainings have all of it until Anna asks."""
    lent = [f"lent-{index}" for index in range(4)]
    create_all(kueue, *(training(name, queues["bo"]) for name in lent))
    kueue.until("Bo's trainings have the whole cohort", lambda: running(kueue, *lent), timeout=60)
    create_all(kueue, training("asked", queues["anna"]))
    kueue.until("Anna's training runs", lambda: running(kueue, "asked"), timeout=60)
    victims = suspended(kueue)
    assert len(victims) == 1 and victims[0] in lent
    workloads = kueue.get("workloads", "-n", SPACE)
    evicted = [
        (item["metadata"]["ownerReferences"][0]["name"], state["reason"])
        for item in workloads
        for state in item["status"].get("conditions", ())
        if state["type"] == "Evicted" and state["status"] == "True"
    ]
    assert evicted == [(victims[0], "Preempted")]
    kueue.kubectl("delete", "tfjob", "-n", SPACE, "asked", "--timeout=60s")
    kueue.until("the victim is back", lambda: not suspended(kueue) and running(kueue, *lent), timeout=60)
    kueue.kubectl("delete", "tfjobs", "-n", SPACE, "-l", LABEL, "--timeout=60s")


def test_the_textbook_deadlock(kueue: Cluster, queues: dict[str, str]) -> None:
    """All that Anna is owed, and what she could borrow, is used up by trainings that hang, and the job that would end
    them finds no room. Of a higher class it has room within a minute. (On one machine:
    tests/engine/runtime/test_trainings.py.)"""
    hang = [f"hangs-{index}" for index in range(4)]
    create_all(kueue, *(training(name, queues["anna"]) for name in hang))
    kueue.until("all is used up", lambda: running(kueue, *hang), timeout=60)
    create_all(kueue, training("maintenance", queues["anna"], workload_class="tiphys-urgent"))
    kueue.until("the maintenance runs", lambda: running(kueue, "maintenance"), timeout=60)
    victims = suspended(kueue)
    assert len(victims) == 1 and victims[0] in hang
    kueue.kubectl("delete", "tfjobs", "-n", SPACE, "-l", LABEL, "--timeout=60s")


# -- a pipeline's steps --------------------------------------------------------------------------------------------


@component(resources=Resources(cpu="700m", memory="128Mi"), retry=Retry.on_infrastructure())
def long() -> str:
    import time

    time.sleep(15)
    return "long"


@component(resources=Resources(cpu="400m", memory="128Mi"))
def short() -> str:
    return "short"


def submit(kueue: Cluster, pipeline: Pipeline, user: str) -> str:
    """Create the workflow as the user does; its name."""
    pipeline.labels = {"tiphys-test": "kueue"}
    who = (f"--as={user}", "--as-group=system:masters", "-n", SPACE)
    made: str = kueue.kubectl("create", *who, "-o", "name", "-f", "-", text=tiphys.to_yaml(pipeline))
    return made.partition("/")[2]


def test_steps_wait_in_their_queue_and_a_victim_is_tried_again(
    kueue: Cluster, queues: dict[str, str], images: None
) -> None:
    """Anna has her half at once, in her class; the step of Bo's that had borrowed it begins anew when she is done."""
    with Pipeline("lent", queue=queues["bo"]) as lent:
        long()
    with Pipeline(
        "asked", scheduling=Scheduling(priority=10, queue="anna", workload_class="tiphys-urgent")
    ) as asked:
        short()

    def steps(run: str) -> list[dict[str, Any]]:
        found = kueue.get("pods", "-n", SPACE, "-l", f"workflows.argoproj.io/workflow={run}")
        return [each for each in found if each["status"].get("phase") == "Running"]

    first = submit(kueue, lent, "bo@example.org")
    kueue.until("Bo's step runs", lambda: steps(first), timeout=60)
    second = submit(kueue, asked, "anna")
    with connect(kueue) as client:
        assert client.wait(second, timeout=60).succeeded
        (workload,) = workloads(kueue, second)
        assert workload["spec"]["queueName"] == "anna"
        assert (workload["spec"]["priority"], workload["spec"]["priorityClassRef"]["name"]) == (
            10,
            "tiphys-urgent",
        )
        states = {each["type"]: each["status"] for each in workload["status"]["conditions"]}
        assert states["Admitted"] == states["Finished"] == "True"
        result = client.wait(first, timeout=120)
    assert result.succeeded
    attempts = [node for node in result.workflow["status"]["nodes"].values() if node["type"] == "Pod"]
    ends = sorted((node["phase"], node.get("message", "")) for node in attempts)
    # what the controller saw first: that the pod is gone, or that its container was told to go
    assert ends[0] in (("Error", "pod deleted"), ("Failed", "main: Error (exit code 143)"))
    assert ends[1:] == [("Succeeded", "")]
    assert {each["spec"]["queueName"] for each in workloads(kueue, first)} == {queues["bo"]}


def trained(name: str, queue: str) -> Pipeline:
    """A training of two workers on real images, with a folder of its own for what it makes."""
    fit = TFJob(
        train.train,
        workers=2,
        instance="model",
        resources=Resources(cpu="350m", memory="1Gi", cpu_limit="2", memory_limit="4Gi"),
        env={"TEST": uuid.uuid4().hex},
    )
    with Pipeline(name, queue=queue) as pipeline:
        found = find_source(source="pvc://tiphys/raw", limit=4000)
        data = ingest_images(source=found.source, validation_size=15000, seed=7, limit=4000)
        model = fit(
            dataset=data.dataset, model="cnn", epochs=EPOCHS, batch_size=64, learning_rate=0.003, seed=7
        )
        evaluate_model(name="cnn", model=model, dataset=data.dataset)
    return pipeline


def test_a_training_that_is_preempted_goes_on_from_its_backup(
    kueue: Cluster, queues: dict[str, str], images: None, data: Path
) -> None:
    """And comes to what an equal one comes to that nobody disturbed, beside it."""
    calm = submit(kueue, trained("calm", ""), "bo@example.org")
    victim = submit(kueue, trained("victim", queues["bo"]), "bo@example.org")

    def said() -> str:
        return kueue.kubectl("logs", "-n", SPACE, f"{victim}-cnn-worker-0", check=False)

    kueue.until("two epochs", lambda: f" epoch 2/{EPOCHS}" in said(), timeout=240)
    job = training("asked", "anna", cpu="450m")
    kueue.kubectl("create", "-f", "-", text=json.dumps(job))
    pods = ("pods", "-n", SPACE, "-l", "training.kubeflow.org/job-name=asked")
    kueue.until(
        "Anna's runs", lambda: [pod["status"].get("phase") for pod in kueue.get(*pods)] == ["Running"], 60
    )
    assert kueue.get("tfjob", "-n", SPACE, f"{victim}-cnn")["spec"]["runPolicy"]["suspend"]
    kueue.kubectl("delete", "tfjob", "-n", SPACE, "asked", "--timeout=60s")
    kueue.until("it goes on from its backup", lambda: "resuming after epoch" in said(), timeout=120)
    with connect(kueue) as client:
        accuracies = []
        for run in (calm, victim):
            result = client.wait(run, timeout=300)
            assert result.succeeded, result.failures
            (node,) = (
                n for n in result.workflow["status"]["nodes"].values() if n["displayName"] == "evaluate"
            )
            outputs = {each["name"]: each["value"] for each in node["outputs"]["parameters"]}
            accuracies.append(json.loads(outputs["report"])["test_accuracy"])
    assert accuracies[0] > 0.3
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.005)


def workloads(kueue: Cluster, run: str) -> list[dict[str, Any]]:
    """Of a run's pods: each has one."""
    found = kueue.get("workloads", "-n", SPACE)
    return [each for each in found if each["metadata"]["ownerReferences"][0]["name"].startswith(f"{run}-")]


# -- who may use which -----------------------------------------------------------------------------------------


def pod(queue: str, workload_class: str = "", **spec: Any) -> dict[str, Any]:
    labels = {LABEL: queue, **({CLASS: workload_class} if workload_class else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "asks", "namespace": SPACE, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "local/pause:1"}], **spec},
    }


def workflow(labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    main = {"name": "main", "container": {"image": "local/pause:1"}, "metadata": {"labels": labels or {}}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "asks", "namespace": SPACE},
        "spec": {"entrypoint": "main", "templates": [main], **spec},
    }


def of_pods(**labels: str) -> dict[str, Any]:
    return {
        "podMetadata": {
            "labels": {LABEL if key == "queue" else CLASS: value for key, value in labels.items()}
        }
    }


@pytest.fixture
def create(kueue: Cluster, queues: dict[str, str]) -> Any:
    """What the API server says to an object of a user, who has all rights otherwise; nothing is stored."""

    def asked(item: dict[str, Any], user: str = "system:serviceaccount:argo:argo") -> str:
        who = (f"--as={user}", "--as-group=system:masters")
        return kueue.kubectl(
            "create", "--dry-run=server", *who, "-f", "-", text=json.dumps(item), check=False
        )

    return asked


def test_a_class_above_the_users_highest_is_refused_for_whatever_waits_in_his_queue(
    create: Any, queues: dict[str, str]
) -> None:
    said = "the class tiphys-urgent (priority 10) is above the highest that Bo.B may ask for, 0"
    bo, anna = queues["bo"], queues["anna"]
    made = [pod(bo, "tiphys-urgent"), training("asks", bo, workload_class="tiphys-urgent")]
    template = {"spec": {"containers": [{"name": "main", "image": "x"}], "restartPolicy": "Never"}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": made[0]["metadata"],
        "spec": {"template": template},
    }
    for item in (*made, job):
        assert said in create(item), item["kind"]
        below = json.loads(json.dumps(item).replace("tiphys-urgent", "tiphys-night"))
        assert "created" in create(below), item["kind"]
    assert "created" in create(pod(anna, "tiphys-urgent"))
    assert "created" in create(pod("of-somebody-else", "tiphys-urgent"))
    assert "there is no class top that Bo.B may ask for" in create(pod(bo, "top"))


def test_a_priority_class_of_pods_is_no_way_around(create: Any, queues: dict[str, str]) -> None:
    said = "without a class the priority of the pods counts, and that is above the highest that Bo.B may ask for, 0"
    high = "system-cluster-critical"
    bo = queues["bo"]
    assert said in create(pod(bo, priorityClassName=high))
    job = training("asks", bo)
    job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["priorityClassName"] = high
    assert said in create(job)
    job = training("asks", bo)
    job["spec"]["runPolicy"] = {"schedulingPolicy": {"priorityClass": high}}
    assert said in create(job)
    assert "created" in create(pod(bo)) and "created" in create(training("asks", bo))


def test_a_workflow_is_held_against_who_creates_it(create: Any, queues: dict[str, str]) -> None:
    bo = "bo@example.org"
    assert f"the priority 1 is above the highest that {bo} may ask for, 0" in create(workflow(priority=1), bo)
    asked = f"the class tiphys-urgent (priority 10) is above the highest that {bo} may ask for, 0"
    assert asked in create(workflow(**of_pods(workload_class="tiphys-urgent")), bo)
    assert asked in create(workflow({CLASS: "tiphys-urgent"}), bo)
    assert f"the queue anna is not that of {bo}" in create(workflow(**of_pods(queue="anna")), bo)
    assert f"the queue anna is not that of {bo}" in create(workflow({LABEL: "anna"}), bo)
    mine = of_pods(queue=queues["bo"], workload_class="tiphys-night")
    assert "created" in create(workflow(priority=0, **mine), bo)
    hers = of_pods(queue="anna", workload_class="tiphys-urgent")
    assert "created" in create(workflow(priority=10, **hers), "anna")
    assert "created" in create(workflow(priority=10, **hers))  # its controller, for a CronWorkflow


def test_a_cron_workflow_is_held_against_who_writes_it(create: Any) -> None:
    spec = {"schedules": ["0 3 * * *"], "workflowSpec": workflow(priority=11)["spec"]}
    cron = {**workflow(), "kind": "CronWorkflow", "spec": spec}
    assert "the priority 11 is above the highest that anna may ask for, 10" in create(cron, "anna")
    spec["workflowSpec"]["priority"] = 10
    assert "created" in create(cron, "anna")
