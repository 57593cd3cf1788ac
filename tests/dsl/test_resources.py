"""TFJobs, serving and other objects: right by construction, whatever the values are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import Gang, Pipeline, Resource, Scheduling, Serving, TFJob, Volume, splice


def templates(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    return {t["name"]: t for t in spec["templates"]}


def training(**options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The template and the manifest of a training."""
    with Pipeline("p") as pipeline:
        TFJob(library.train, **options)(data="d")
    template = templates(pipeline)["train"]
    return template, json.loads(template["resource"]["manifest"])


def test_a_tfjob_is_what_the_operator_wants() -> None:
    template, job = training(workers=3, gang=Gang(capacity=7), instance="model", deadline="1h")
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    assert job["metadata"]["name"].startswith("{{workflow.name}}-{{=toJson(inputs.parameters.model)[1:-1]}}")
    assert job["spec"]["successPolicy"] == "AllWorkers"
    assert job["spec"]["runPolicy"] == {"activeDeadlineSeconds": 3600, "cleanPodPolicy": "Running"}
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    assert (worker["replicas"], worker["restartPolicy"]) == (3, "ExitCode")
    pod = worker["template"]
    assert pod["metadata"]["labels"]["workflows.argoproj.io/workflow"] == "{{workflow.name}}"
    (container,) = pod["spec"]["containers"]
    assert container["name"] == "tensorflow"
    assert container["command"] == ["python", "-m", "tests.dsl.library"]
    assert container["ports"] == [{"name": "tfjob-port", "containerPort": 2222}]
    assert set(container["resources"]) == {"requests", "limits"}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    env = {e["name"]: e["value"] for e in container["env"]}
    assert env["TIPHYS_INPUT_DATA"] == "{{=toJson(inputs.parameters.data)[1:-1]}}"
    assert env["TIPHYS_INPUT_OUTPUT"] == "pvc://tiphys/models/{{=toJson(inputs.parameters.key)[1:-1]}}"
    assert env["TIPHYS_INPUT_WORK"] == "pvc://tiphys/work/{{=toJson(inputs.parameters.key)[1:-1]}}"
    resource = template["resource"]
    assert resource["action"] in ("create", "apply") and resource["setOwnerReference"] is True
    assert resource["successCondition"] == "status.replicaStatuses.Worker.succeeded == 3"
    assert resource["failureCondition"] == ",".join(
        f"status.conditions.{i}.type == Failed" for i in (1, 2, 3)
    )
    locks = template["synchronization"]
    assert locks["semaphores"] == [{"configMapKeyRef": {"name": "tiphys-locks", "key": "training-3"}}]
    assert template["outputs"]["parameters"] == [
        {"name": "model", "valueFrom": {"jsonPath": r"{.metadata.annotations.tiphys\.dev/output}"}}
    ]
    assert job["metadata"]["annotations"] == {"tiphys.dev/output": env["TIPHYS_INPUT_OUTPUT"]}


@pytest.mark.parametrize("capacity, workers, permits", [(2, 2, "1"), (7, 3, "2"), (8, 1, "8")])
def test_a_gang_is_one_permit(capacity: int, workers: int, permits: str) -> None:
    with Pipeline("p") as pipeline:
        TFJob(library.train, workers=workers, gang=Gang(capacity, pool="gpu"))(data="d")
    first = next(iter(yaml.safe_load_all(tiphys.to_yaml(pipeline))))
    assert first["data"] == {f"gpu-{workers}": permits}


def test_a_training_of_any_number_of_workers_is_one_of_the_most_on_a_cluster() -> None:
    """What its end is like, and where its backups are, has no number in it: that may change."""
    template, job = training(workers=(1, 4), gang=Gang(capacity=4))
    fixed, other = training(workers=4, gang=Gang(capacity=4))
    assert job["spec"] == other["spec"]
    assert template["resource"]["successCondition"] == "status.completionTime"
    assert template["resource"]["failureCondition"] == fixed["resource"]["failureCondition"]
    env = {e["name"]: e["value"] for e in containers(job)[0]["env"]}
    assert job["metadata"]["annotations"] == {
        "tiphys.dev/output": env["TIPHYS_INPUT_OUTPUT"],
        "tiphys.dev/backup": env["TIPHYS_INPUT_WORK"],
    }


def containers(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"])


def test_without_the_success_policy_worker_0_decides() -> None:
    template, job = training(success_policy="", restart_policy="Never")
    assert "successPolicy" not in job["spec"]
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Worker.succeeded > 0"


def test_a_queue_is_named_as_kueue_and_as_volcano_read_it() -> None:
    _, job = training(scheduling=Scheduling(queue="team-a", priority_class="high"))
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert job["spec"]["runPolicy"]["schedulingPolicy"] == {"queue": "team-a", "priorityClass": "high"}
    assert job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["priorityClassName"] == "high"


def test_folders_in_another_volume() -> None:
    with Pipeline("p", volumes=[Volume("shared", "/data")]) as pipeline:
        TFJob(library.train, folders={"output": "pvc://shared/m", "work": "pvc://shared/w"})(data="d")
    job = json.loads(templates(pipeline)["train"]["resource"]["manifest"])
    assert job["metadata"]["annotations"]["tiphys.dev/output"].startswith("pvc://shared/m/")


def test_a_folder_in_a_volume_that_is_not_mounted_is_refused() -> None:
    with Pipeline("p", volumes=[Volume("data")]) as pipeline:
        TFJob(library.train)(data="d")
    with pytest.raises(tiphys.DefinitionError) as caught:
        tiphys.to_yaml(pipeline)
    assert "'tiphys'" in caught.value.message and "data" in caught.value.cause


def served(**options: Any) -> dict[str, dict[str, Any]]:
    serving = Serving("fashion-mnist", **options)
    with Pipeline("p") as pipeline:
        first = serving.publish("first", name="cnn", model="pvc://tiphys/models/x")
        two = pipeline.param("two", True)
        second = serving.publish("second", name="bn", model="pvc://tiphys/models/y", when=two)
        serving.retire(keep="cnn,bn").after(first, second)
        serving.stop()
    return templates(pipeline)


def test_serving_is_a_deployment_and_a_service() -> None:
    found = served(replicas=3)
    deploy = found["deploy"]["resource"]
    assert deploy["action"] == "apply"
    assert deploy["successCondition"].startswith("status.readyReplicas == 3,")
    deployment = json.loads(deploy["manifest"])
    assert deployment["metadata"]["name"] == "{{workflow.name}}-{{=toJson(inputs.parameters.name)[1:-1]}}"
    assert deployment["spec"]["replicas"] == 3
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].startswith("tensorflow/serving:")
    assert container["args"][0] == "--model_name=fashion-mnist"
    assert container["readinessProbe"]["httpGet"] == {"path": "/v1/models/fashion-mnist", "port": 8501}
    claim, scratch = container["volumeMounts"]
    assert claim == {"name": "tiphys", "mountPath": "/mnt/tiphys", "readOnly": True}
    assert {"name": scratch["name"], "emptyDir": {}} in deployment["spec"]["template"]["spec"]["volumes"]
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    service = json.loads(found["expose"]["resource"]["manifest"])
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert found["expose"]["outputs"]["parameters"][0]["valueFrom"] == {
        "jsonPath": "http://{.spec.clusterIP}:{.spec.ports[0].port}",
        "default": "",
    }
    tasks = {t["name"]: t for t in found["main"]["dag"]["tasks"]}
    assert tasks["expose-first"]["depends"] == "deploy-first.Succeeded"
    assert tasks["deploy-second"]["when"] == "{{=workflow.parameters.two == 'true'}}"


def test_what_is_retired_is_chosen_by_label() -> None:
    found = served()
    assert found["retire"]["resource"] == {
        "action": "delete",
        "flags": [
            "deployments.apps",
            "--selector",
            "tiphys.dev/workflow={{workflow.name}},tiphys.dev/model,"
            "tiphys.dev/model notin ({{inputs.parameters.keep}})",
        ],
    }


def test_any_object_can_be_a_step(tmp_path: Path) -> None:
    claim = Resource(
        "claim",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "x-" + splice(Resource.input("name"))},
            "data": {"y": Resource.input("text"), "on": "yes"},
        },
        action="create",
        inputs={"name": str, "text": str},
        outputs={"uid": "{.metadata.uid}"},
        success=["metadata.name != ''"],
        owned=False,
    )
    with Pipeline("p") as pipeline:
        made = claim(name="a", text='it\'s "x"\n: {}')
        claim(name="b", text=made.uid)
    body = templates(pipeline)["claim"]["resource"]
    assert "setOwnerReference" not in body
    manifest = json.loads(body["manifest"])
    assert manifest["metadata"]["name"] == "x-{{=toJson(inputs.parameters.name)[1:-1]}}"
    assert manifest["data"] == {"y": "{{=toJson(inputs.parameters.text)[1:-1]}}", "on": "yes"}
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
