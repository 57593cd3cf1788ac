"""pipelines/pytorch_ddp.py in Hera alone: the same code in the same image, but no fresh job after a lost worker.

tiphys run pipelines/plain_hera/pytorch_ddp.py --with manifests/base/locks.yaml
"""

import json

from hera.workflows import (
    DAG,
    Container,
    Env,
    ExistingVolume,
    Parameter,
    Resource,
    Resources,
    Workflow,
    script,
)
from hera.workflows.models import (
    Cache,
    ConfigMapKeySelector,
    LocalObjectReference,
    Memoize,
    PodSecurityContext,
    SecurityContext,
    SemaphoreRef,
    Synchronization,
    ValueFrom,
)

IMAGE = "tiphys/step:0.1.0"
VERSION = "v1"  # of the code of the steps: by hand, or a cache goes on with what the code before made
VOLUMES = {"TIPHYS_VOLUMES": '{"tiphys":"/mnt/tiphys"}', "TIPHYS_WORKFLOW": "{{workflow.name}}"}
SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
USER = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
MODEL = "pvc://tiphys/models/{{workflow.name}}"


def cached(name, *inputs):
    values = ", ".join(f"inputs.parameters['{each}']" for each in inputs)
    key = f"{name}-{VERSION}-{{{{=sprig.trunc(32, sprig.sha256sum(toJson([{values}])))}}}}"
    return Memoize(key=key, max_age="336h", cache=Cache(config_map=LocalObjectReference(name=f"ddp-{name}")))


def environment(inputs):
    return {
        f"TIPHYS_INPUT_{each.upper().replace('-', '_')}": f"{{{{inputs.parameters.{each}}}}}"
        for each in inputs
    }


def step(name, code, inputs, outputs, cpu="500m", memory="1Gi", **options):
    env = {**environment(inputs), **VOLUMES, "TIPHYS_OUTPUTS": "/tmp/outputs"}
    return Container(
        name=name,
        image=IMAGE,
        command=["python", "-m", "tiphys.step", code],
        env=[Env(name=key, value=value) for key, value in env.items()],
        inputs=[Parameter(name=each) for each in inputs],
        outputs=[Parameter(name=each, value_from=ValueFrom(path=f"/tmp/outputs/{each}")) for each in outputs],
        resources=Resources(cpu_request=cpu, cpu_limit="2", memory_request=memory, memory_limit="2Gi"),
        security_context=SecurityContext(**SAFE),
        volumes=[ExistingVolume(name="tiphys", claim_name="tiphys", mount_path="/mnt/tiphys")],
        **options,
    )


def manifest():
    env = {**environment(["dataset", "epochs"]), **VOLUMES}
    env |= {"TIPHYS_INPUT_OUTPUT": MODEL, "TIPHYS_INPUT_WORK": "pvc://tiphys/work/{{workflow.name}}"}
    quoted = {name: value.replace("{{inputs.parameters.dataset}}", DATASET) for name, value in env.items()}
    container = {
        "name": "pytorch",
        "image": IMAGE,
        "command": ["python", "-m", "tiphys.step", "components.ddp:train"],
        "env": [{"name": name, "value": value} for name, value in quoted.items()],
        "ports": [{"name": "pytorchjob-port", "containerPort": 23456}],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
        "securityContext": SAFE,
        "volumeMounts": [
            {"name": "tiphys", "mountPath": "/mnt/tiphys"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    claim = {"name": "tiphys", "persistentVolumeClaim": {"claimName": "tiphys"}}
    pod = {
        "metadata": {"labels": {"workflows.argoproj.io/workflow": "{{workflow.name}}"}},
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": USER,
            "volumes": [claim, {"name": "tmp", "emptyDir": {}}],
            "containers": [container],
        },
    }
    replica = {"replicas": 1, "restartPolicy": "Never", "template": pod}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "{{workflow.name}}-train", "annotations": {"example.com/output": MODEL}},
        "spec": {
            "runPolicy": {"activeDeadlineSeconds": 7200, "cleanPodPolicy": "Running"},
            "pytorchReplicaSpecs": {"Master": replica, "Worker": replica},
        },
    }
    return json.dumps(job)


DATASET = "{{=toJson(inputs.parameters.dataset)[1:-1]}}"  # a JSON text inside of a JSON text


@script(image=IMAGE, outputs=[Parameter(name="result", value_from=ValueFrom(path="/tmp/result"))])
def accept(accuracy: float, test_accuracy: float, least: float):
    if accuracy < least:
        raise SystemExit(f"an accuracy of {accuracy:.4f} is less than {least}")
    with open("/tmp/result", "w") as file:
        file.write(f"accuracy {accuracy:.4f} on validation, {test_accuracy:.4f} on test")


PARAMETERS = {"source": "auto", "limit": "0", "validation-size": "6000", "epochs": "4", "min-accuracy": "0.9"}
GIVEN = {name: f"{{{{workflow.parameters.{name}}}}}" for name in PARAMETERS}
with Workflow(
    generate_name="pytorch-ddp-",
    entrypoint="main",
    security_context=PodSecurityContext(**USER),
    arguments=[Parameter(name=name, value=value) for name, value in PARAMETERS.items()],
) as w:
    sizes = ["source", "validation-size", "limit"]
    fingerprint = step(
        "fingerprint",
        "components.fingerprint:fingerprint",
        ["source", "limit"],
        ["source"],
        cpu="100m",
        memory="256Mi",
    )
    ingest = step("ingest", "components.ingest:ingest", sizes, ["dataset"], memoize=cached("ingest", *sizes))
    expect = step("expect", "components.expect:expect", ["dataset", "expected", "limit"], ["dataset"])
    train = Resource(
        name="train",
        action="apply",
        set_owner_reference=True,
        manifest=manifest(),
        success_condition="status.replicaStatuses.Master.succeeded == 1",
        failure_condition=",".join(f"status.conditions.{at}.type == Failed" for at in (1, 2, 3)),
        service_account_name="tiphys",
        inputs=[Parameter(name="dataset"), Parameter(name="epochs")],
        outputs=[
            Parameter(
                name="model", value_from=ValueFrom(json_path="{.metadata.annotations.example\\.com/output}")
            )
        ],
        memoize=cached("train", "dataset", "epochs"),
        synchronization=Synchronization(
            semaphores=[
                SemaphoreRef(config_map_key_ref=ConfigMapKeySelector(name="tiphys-locks", key="training-2"))
            ]
        ),
    )
    evaluate = step(
        "evaluate", "components.ddp:evaluate", ["model", "dataset"], ["accuracy", "test-accuracy"]
    )
    with DAG(name="main"):
        found = fingerprint(arguments={"source": GIVEN["source"], "limit": GIVEN["limit"]})
        rest = {name: GIVEN[name] for name in ("limit", "validation-size")}
        data = ingest(arguments={"source": found.get_parameter("source"), **rest})
        rows = {"expected": json.dumps({"rows": 60_000}), "limit": GIVEN["limit"]}
        expected = expect(arguments={"dataset": data.get_parameter("dataset"), **rows})
        dataset = expected.get_parameter("dataset")
        model = train(arguments={"dataset": dataset, "epochs": GIVEN["epochs"]})
        judged = evaluate(arguments={"model": model.get_parameter("model"), "dataset": dataset})
        accepted = accept(
            arguments={
                "accuracy": judged.get_parameter("accuracy"),
                "test_accuracy": judged.get_parameter("test-accuracy"),
                "least": GIVEN["min-accuracy"],
            }
        )
        found >> data >> expected >> model >> judged >> accepted
