"""From a job to the Workflow that does it: look at the data, train, seal the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from tiphys.argo.quantity import whole_quantity
from tiphys.dsl import jobset
from tiphys.dsl.components import component
from tiphys.dsl.on_failure import Again, OnFailure
from tiphys.dsl.pod import (
    POD_SECURITY,
    SERVICE_ACCOUNT,
    STEP_IMAGE,
    Defaults,
    Resources,
    executor_patch,
    secured,
)
from tiphys.dsl.reporting import summary_output
from tiphys.dsl.resource import manifest_text
from tiphys.dsl.tfjob import AGAIN, FAILURE, adopted, succeeded
from tiphys.step import trained as steps
from tiphys.training.profiles import JobPlaces, environment
from tiphys.training.rules import seconds

if TYPE_CHECKING:
    from tiphys.argo.types import Template, Workflow
    from tiphys.jsontypes import JsonObject
    from tiphys.training.job import Algorithm, TrainingJob

__all__ = ["ALGORITHM_LABEL", "JOB_LABEL", "POOL_LABEL", "demand", "model_uri", "workflow_of"]

JOB_LABEL = "tiphys.dev/training-job"
POOL_LABEL = "tiphys.dev/training-pool"
ALGORITHM_LABEL = "tiphys.dev/training-algorithm"
_USER = "tiphys.dev/training-user"
_CLAIM = "tiphys"
_CPU, _MEMORY = "1", "1Gi"
_SMALL = Resources(cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="512Mi")
_CONTAINERS = {"tfjob": "tensorflow", "pytorchjob": "pytorch", "jobset": jobset.CONTAINER, "container": ""}
_PORTS = {"tfjob": jobset.PORT, "pytorchjob": 23456, "jobset": jobset.PORT}
_LATER = 600  # seconds beside the training's own: for its image, its data, its model


@dataclass(frozen=True, slots=True)
class _Made:
    """What the templates of one job are made of."""

    job: TrainingJob
    algorithm: Algorithm
    defaults: Defaults
    places: JobPlaces

    @property
    def resources(self) -> JsonObject:
        wants = self.algorithm
        cpu, memory = wants.cpu or _CPU, wants.memory or _MEMORY
        mapping = Resources(
            cpu=cpu, memory=memory, cpu_limit=cpu, memory_limit=memory, gpu=wants.gpus
        ).mapping()
        return cast("JsonObject", mapping)


def demand(algorithm: Algorithm) -> Mapping[str, int]:
    """What a job has at once: ``jobs`` (1), ``pods``, ``cpu`` in thousandths, ``memory`` in bytes, GPUs."""
    workers = algorithm.workers
    watcher = 0 if algorithm.kind == "container" else 1
    wants = {
        "jobs": 1,
        "pods": workers + watcher,
        "cpu": workers * whole_quantity(algorithm.cpu or _CPU, "m"),
        "memory": workers * whole_quantity(algorithm.memory or _MEMORY),
    }
    return {**wants, "nvidia.com/gpu": workers * algorithm.gpus} if algorithm.gpus else wants


def model_uri(job: TrainingJob) -> str:
    """The folder that a job's model is written to; empty when it makes none."""
    name = job.request.output_model_name
    return f"pvc://{_CLAIM}/models/{name}/{job.run}" if name else ""


def dataset_uri(job: TrainingJob) -> str:
    """The folder of a job's data: a URI, or that of its name below ``datasets``; a version that is no digest is a
    folder in it."""
    request = job.request
    if not request.dataset_id:
        return ""
    uri = (
        request.dataset_id if "://" in request.dataset_id else f"pvc://{_CLAIM}/datasets/{request.dataset_id}"
    )
    version = request.dataset_version
    return uri if not version or version.startswith("sha256:") else f"{uri}/{version}"


def workflow_of(job: TrainingJob, algorithm: Algorithm, *, image: str = "") -> Workflow:
    """The Workflow of a job. ``image``: of the steps before and after the training (default: Tiphys's own)."""
    defaults = Defaults(image=image or STEP_IMAGE)
    mount = defaults.volumes[0].mount_path

    def inside(uri: str) -> str:
        return uri.replace(f"pvc://{_CLAIM}", mount)

    model, data = model_uri(job), dataset_uri(job)
    report = f"pvc://{_CLAIM}/records/{job.run}/{job.run}.jsonl"
    places = JobPlaces(
        dataset=inside(data),
        model=inside(model),
        work=f"{mount}/work/{job.run}",
        report=f"{mount}/records/{{{{workflow.name}}}}/{{{{inputs.parameters.key}}}}.jsonl",
        model_uri=model,
        dataset_uri=data,
    )
    made = _Made(job, algorithm, defaults, places)
    train = _container(made) if algorithm.kind == "container" else _gang(made)
    metadata: JsonObject = {
        "name": job.run,
        "labels": {JOB_LABEL: str(job.id), POOL_LABEL: job.pool, ALGORITHM_LABEL: algorithm.name},
        "annotations": {
            _USER: job.user,
            "workflows.argoproj.io/title": job.request.name or algorithm.name,
            "workflows.argoproj.io/description": f"job {job.id}: {algorithm.name}, version {algorithm.version}",
        },
    }
    if job.namespace:
        metadata["namespace"] = job.namespace
    digest = job.request.dataset_version if job.request.dataset_version.startswith("sha256:") else ""
    before = component(steps.ready, name="ready", resources=_SMALL)
    after = component(steps.trained, name="trained", resources=_SMALL)
    asked = {
        "dataset": data,
        "digest": digest,
        "model": model,
        "work": f"pvc://{_CLAIM}/work/{job.run}",
        "told": report.rpartition("/")[0],
    }
    tasks: list[JsonObject] = [
        {"name": "ready", "template": "ready", "arguments": _arguments(asked)},
        {"name": "train", "template": "train", "depends": "ready", "arguments": _arguments({"key": job.run})},
        {
            "name": "trained",
            "template": "trained",
            "depends": "train",
            "arguments": _arguments({"model": model, "report": report}),
        },
    ]
    outputs = [
        {"name": name, "valueFrom": {"parameter": "{{tasks.trained.outputs.parameters." + name + "}}"}}
        for name in ("model", "metrics")
    ]
    entry = {"name": "job", "dag": {"tasks": tasks}, "outputs": {"parameters": outputs}}
    spec = {
        "entrypoint": "job",
        "activeDeadlineSeconds": seconds(algorithm) + _LATER,
        "securityContext": POD_SECURITY,
        "volumes": [volume.volume() for volume in defaults.volumes],
        "templates": [entry, before.body(defaults), train, after.body(defaults)],
    }
    if job.request.priority:
        spec["priority"] = job.request.priority
    return cast(
        "Workflow",
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec},
    )


def _arguments(values: Mapping[str, str]) -> JsonObject:
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def _main(made: _Made) -> JsonObject:
    """The container that trains: image, command, environment, resources."""
    algorithm = made.algorithm
    said = environment(made.job.request, algorithm, job=str(made.job.id), places=made.places)
    variables = {"HOME": "/tmp", **algorithm.env, **said.variables}
    env: list[JsonObject] = [
        {"name": name, "value": _as_it_is(value)} for name, value in variables.items() if value
    ]
    env += [
        {"name": each.variable, "valueFrom": {"secretKeyRef": {"name": each.secret, "key": each.key}}}
        for each in algorithm.secrets
    ]
    env += cast("list[JsonObject]", made.defaults.volumes_env())
    container: JsonObject = {"image": algorithm.image}
    if algorithm.command:
        container["command"] = [_as_it_is(word) for word in algorithm.command]
    if words := [*algorithm.args, *said.arguments]:
        container["args"] = [_as_it_is(word) for word in words]
    return cast("JsonObject", {**container, "env": env, "resources": made.resources})


def _as_it_is(text: str) -> str:
    """A text that the kubelet gives on as it is: it reads ``$(NAME)``, and ``$$`` as a dollar sign."""
    return text.replace("$", "$$")


def _container(made: _Made) -> Template:
    container = _main(made)
    name, output = summary_output("/tmp/tiphys")
    cast("list[JsonObject]", container["env"]).append(cast("JsonObject", name))
    template: JsonObject = {
        "name": "train",
        "inputs": {"parameters": [{"name": "key"}]},
        "activeDeadlineSeconds": seconds(made.algorithm),
    }
    secured(container, template, made.defaults.volumes, read_only=False)
    template["container"] = container
    template["outputs"] = {"parameters": [output]}
    template["podSpecPatch"] = executor_patch(resource=False)
    if made.algorithm.retries:
        again = Again(made.algorithm.retries)
        template["retryStrategy"] = cast("JsonObject", OnFailure(preempted=again, node_lost=again).strategy())
    return cast("Template", template)


def _gang(made: _Made) -> Template:
    """A resource template that makes the job and waits for its end."""
    kind = made.algorithm.kind
    resource: JsonObject = {
        "action": "apply",
        "setOwnerReference": True,
        "manifest": manifest_text(_job(made)),
        "successCondition": ",".join(_succeeded(made.algorithm)),
        "failureCondition": ",".join(jobset.FAILURE if kind == "jobset" else FAILURE),
    }
    template: JsonObject = {
        "name": "train",
        "inputs": {"parameters": [{"name": "key"}]},
        "serviceAccountName": SERVICE_ACCOUNT,
        "resource": resource,
        "podSpecPatch": executor_patch(resource=True),
    }
    follows = OnFailure(preempted=Again(made.algorithm.retries) if made.algorithm.retries else None)
    if (again := adopted(follows)) is not None:
        template["retryStrategy"] = cast("JsonObject", again.strategy())
    return cast("Template", template)


def _succeeded(algorithm: Algorithm) -> list[str]:
    if algorithm.kind == "jobset":
        return jobset.SUCCESS
    if algorithm.kind == "tfjob":
        return succeeded(algorithm.workers, "AllWorkers")
    return ["status.replicaStatuses.Master.succeeded == 1"]  # a PyTorchJob has succeeded when its master has


def _job(made: _Made) -> JsonObject:
    job, algorithm = made.job, made.algorithm
    container = {"name": _CONTAINERS[algorithm.kind], **_main(made)}
    env = cast("list[JsonObject]", container["env"])
    container["ports"] = [{"name": f"{algorithm.kind}-port", "containerPort": _PORTS[algorithm.kind]}]
    if algorithm.kind == "jobset":
        env += jobset.tf_config(algorithm.workers)
        container["ports"] = [{"name": "tfjob-port", "containerPort": jobset.PORT}]
    spec: JsonObject = {
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "volumes": [volume.volume() for volume in made.defaults.volumes],
    }
    secured(container, spec, made.defaults.volumes, read_only=False)
    labels = {"workflows.argoproj.io/workflow": job.run, "tiphys.dev/workflow": job.run}
    pod = cast("JsonObject", {"metadata": {"labels": labels}, "spec": {**spec, "containers": [container]}})
    metadata: JsonObject = {
        "name": f"{job.run}-t" + (AGAIN if algorithm.retries else ""),
        "labels": {"tiphys.dev/workflow": job.run, JOB_LABEL: str(job.id)},
    }
    deadline = seconds(algorithm)
    if algorithm.kind == "jobset":
        return jobset.job_set(
            metadata,
            cast("Mapping[str, JsonObject]", pod),
            workers=algorithm.workers,
            restart_policy="ExitCode",
            success_policy="AllWorkers",
            deadline=deadline,
        )
    policy: JsonObject = {"activeDeadlineSeconds": deadline, "cleanPodPolicy": "Running"}

    def replicas(count: int) -> JsonObject:
        return {"replicas": count, "restartPolicy": "ExitCode", "template": json.loads(json.dumps(pod))}

    if algorithm.kind == "tfjob":
        return {
            "apiVersion": "kubeflow.org/v1",
            "kind": "TFJob",
            "metadata": metadata,
            "spec": {
                "runPolicy": policy,
                "successPolicy": "AllWorkers",
                "tfReplicaSpecs": {"Worker": replicas(algorithm.workers)},
            },
        }
    specs = {"Master": replicas(1)}
    if algorithm.workers > 1:
        specs["Worker"] = replicas(algorithm.workers - 1)
    made_spec = cast("JsonObject", {"runPolicy": policy, "pytorchReplicaSpecs": specs})
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": metadata, "spec": made_spec}
