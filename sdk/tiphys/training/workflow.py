"""From a job and its algorithm to the Workflow that trains: its data is looked at, it trains, its model is sealed.

Nothing that a user wrote is a template tag or a variable of the kubelet there (:func:`profiles.verbatim`), and a secret
is a reference. The training is one container, or one object (TFJob, PyTorchJob, JobSet) that a step watches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.operated_kinds import OPERATED
from tiphys.argo.pools import TRAINING_POOL
from tiphys.argo.quantity import whole_quantity
from tiphys.compiler.line import Site
from tiphys.dsl import jobset, operator
from tiphys.dsl.components import component
from tiphys.dsl.durations import whole_seconds
from tiphys.dsl.on_failure import Again, OnFailure
from tiphys.dsl.pod import POD_SECURITY, Defaults, executor_patch, secured
from tiphys.dsl.reporting import report_env, summary_output
from tiphys.dsl.resource import Resource
from tiphys.dsl.resources import Resources
from tiphys.dsl.scheduling import Scheduling
from tiphys.step import trained as steps
from tiphys.training.folders import JobFolders, WorkflowSettings, folders_of
from tiphys.training.profiles import (
    arguments_of,
    escapes,
    fixed_variables,
    parameter_variables,
    verbatim,
)

if TYPE_CHECKING:
    from tiphys.argo.types import Template, Workflow
    from tiphys.jsontypes import Json, JsonObject
    from tiphys.training.job import Algorithm, TrainingJob

__all__ = ["ALGORITHM_LABEL", "JOB_LABEL", "POOL_LABEL", "USER_LABEL", "demand", "workflow_of"]

JOB_LABEL, USER_LABEL, POOL_LABEL = "tiphys.dev/training-job", "tiphys.dev/training-user", TRAINING_POOL
ALGORITHM_LABEL = "tiphys.dev/training-algorithm"
_CPU, _MEMORY = "1", "1Gi"  # of a worker whose algorithm does not say
_SMALL = Resources(cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="512Mi")
_LATER = 600  # seconds beside the training's own: for its image, its data, its model
_SITE = Site("", 0)
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
_SCRATCH = "/tmp"
_LONGEST = 1024  # characters of a parameter of the run


def demand(algorithm: Algorithm) -> Mapping[str, int]:
    """What a job has at once: ``jobs`` (1), ``pods`` (of a gang with the one that watches it), ``cpu`` in thousandths,
    ``memory`` in bytes, and ``nvidia.com/gpu`` where it has any."""
    workers = algorithm.workers
    wants = {
        "jobs": 1,
        "pods": workers + (0 if algorithm.kind == "container" else 1),
        "cpu": workers * whole_quantity(algorithm.cpu or _CPU, "m"),
        "memory": workers * whole_quantity(algorithm.memory or _MEMORY),
    }
    return {**wants, "nvidia.com/gpu": workers * algorithm.gpus} if algorithm.gpus else wants


def workflow_of(
    job: TrainingJob, algorithm: Algorithm, *, settings: WorkflowSettings | None = None
) -> Workflow:
    """The Workflow of a job, under the job's name; the same whenever it is asked."""
    settings = settings or WorkflowSettings()
    folders = folders_of(job, settings)
    defaults = folders.defaults
    seconds = whole_seconds(algorithm.deadline, "deadline", _SITE)
    gang = algorithm.kind != "container"
    trains = (
        _gang(job, algorithm, settings, folders, seconds)
        if gang
        else _container(job, algorithm, settings, folders)
    )
    templates = [_main(job, folders), *_guards(settings, defaults), trains]
    labels = {
        JOB_LABEL: str(job.id),
        USER_LABEL: _label(job.user),
        POOL_LABEL: _label(job.pool),
        ALGORITHM_LABEL: _label(job.request.algorithm),
    }
    scheduling = Scheduling(queue=settings.queue)
    metadata: JsonObject = {
        "name": job.run,
        **({"namespace": job.namespace} if job.namespace else {}),
        "labels": {**labels},
        "annotations": {"workflows.argoproj.io/title": _title(job)},
    }
    arguments: list[Json] = [{"name": name, "value": value} for name, value in _shown(job).items()]
    spec: JsonObject = {
        "entrypoint": "main",
        "activeDeadlineSeconds": seconds + _LATER,
        **({"arguments": {"parameters": arguments}} if arguments else {}),
        **scheduling.workflow(),
        "securityContext": POD_SECURITY,
        "volumes": [each.volume() for each in defaults.volumes],
    }
    if job.request.priority:
        spec["priority"] = job.request.priority
    if gang:  # what has its own pods is not ended with the step that watches it
        spec["onExit"] = "cleanup"
        templates += _cleanup(algorithm, settings, defaults)
    spec["podMetadata"] = {"labels": {**labels, **scheduling.labels()}}
    spec["templates"] = cast("list[JsonObject]", templates)  # type: ignore[assignment]
    return cast(
        "Workflow",
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec},
    )


def _title(job: TrainingJob) -> str:
    return (job.request.name or job.request.algorithm).replace("{{", "{ {")


def _label(text: str) -> str:
    return _NOT_LABEL.sub("-", text)[:63].strip("-_.")


def _shown(job: TrainingJob) -> dict[str, str]:
    """Parameters that are those of the run, too: the records ask for them. One that is put in a container as it is
    (:func:`verbatim`), or that is long, is not."""
    found = {}
    for name, value in job.request.parameters.items():
        plain = verbatim(value) == value and len(value) <= _LONGEST and "\n" not in value
        if plain and "." not in name:  # which no name of Argo's parameters has
            found[name] = value
    return found


def _main(job: TrainingJob, folders: JobFolders) -> Template:
    before = {
        "dataset": folders.dataset,
        "version": job.request.dataset_version,
        "model": folders.model,
        "folders": json.dumps([folders.checkpoints, folders.logs, folders.reports], separators=(",", ":")),
    }
    after = {"model": folders.model, "report": folders.report}
    told = ("model", "metrics")
    template = {
        "name": "main",
        "steps": [[_step("ready", before)], [_step("train", {"key": job.run})], [_step("trained", after)]],
        "outputs": {
            "parameters": [
                {"name": each, "valueFrom": {"parameter": f"{{{{steps.trained.outputs.parameters.{each}}}}}"}}
                for each in told
            ]
        },
    }
    return cast("Template", template)


def _step(name: str, arguments: Mapping[str, str]) -> JsonObject:
    step: JsonObject = {"name": name, "template": name}
    if arguments:
        step["arguments"] = {
            "parameters": [{"name": each, "value": value} for each, value in arguments.items()]
        }
    return step


def _guards(settings: WorkflowSettings, defaults: Defaults) -> list[Template]:
    """What the project's own image does: it is tried again after what is nobody's fault."""
    made = (
        component(each, image=settings.step_image, resources=_SMALL, on_failure=OnFailure())
        for each in (steps.ready, steps.trained)
    )
    return [cast("Template", each.body(defaults)) for each in made]


def _resources(algorithm: Algorithm) -> Resources:
    """What it may use is what it asks for: a quota counts no more than the pool was asked."""
    cpu, memory = algorithm.cpu or _CPU, algorithm.memory or _MEMORY
    return Resources(cpu=cpu, memory=memory, cpu_limit=cpu, memory_limit=memory, gpu=algorithm.gpus)


def _given(job: TrainingJob, algorithm: Algorithm) -> dict[str, str]:
    """The values of the parameters, as the templates have them: those of the run's parameters, or verbatim."""
    shown = _shown(job)

    def text(name: str, value: str) -> str:
        if name not in shown:
            return verbatim(value)
        tag = f"workflow.parameters['{name}']" if "-" in name else f"workflow.parameters.{name}"
        if algorithm.kind == "container":
            return f"{{{{=string({tag})}}}}" if "-" in name else f"{{{{{tag}}}}}"
        return f"{{{{=toJson({tag})[1:-1]}}}}"  # inside of the manifest's text

    return {name: text(name, value) for name, value in job.request.parameters.items()}


def _arguments(job: TrainingJob, algorithm: Algorithm) -> list[str]:
    further = arguments_of(algorithm.profile, _given(job, algorithm))
    return [*(verbatim(each) for each in algorithm.args), *further]


def _env(
    job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings, *, hosts: Sequence[str] = ()
) -> list[JsonObject]:
    """The profile's variables, the parameters, the algorithm's own, and the secrets, by reference."""
    own = {"HOME": _SCRATCH, **algorithm.env, **fixed_variables(job, algorithm, settings)}
    values = {name: verbatim(text) for name, text in own.items()}
    values.update(parameter_variables(algorithm.profile, _given(job, algorithm)))
    if hosts and algorithm.profile == "sagemaker":  # names that the kubelet puts in
        values["SM_HOSTS"] = json.dumps(hosts[1:], separators=(",", ":"))
        values["SM_CURRENT_HOST"] = hosts[0]
    written = "".join([*values.values(), *_arguments(job, algorithm), *map(verbatim, algorithm.command)])
    signs = {name: sign for name, sign in escapes().items() if f"$({name})" in written}
    env: list[JsonObject] = [{"name": name, "value": value} for name, value in {**signs, **values}.items()]
    for each in algorithm.secrets:
        chosen: JsonObject = {"name": each.secret, "key": each.key}
        env.append({"name": each.variable, "valueFrom": {"secretKeyRef": chosen}})
    return env


def _program(job: TrainingJob, algorithm: Algorithm) -> JsonObject:
    command: list[Json] = [verbatim(each) for each in algorithm.command]
    arguments: list[Json] = [*_arguments(job, algorithm)]
    return {
        "image": algorithm.image,
        **({"command": command} if command else {}),
        **({"args": arguments} if arguments else {}),
    }


def _surroundings(defaults: Defaults) -> list[JsonObject]:
    """Where the volumes are, and the file that it tells in."""
    told = report_env(defaults, "{{inputs.parameters.key}}")
    return cast("list[JsonObject]", [*defaults.volumes_env(), *told])


def _container(
    job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings, folders: JobFolders
) -> Template:
    defaults = folders.defaults
    summary, output = summary_output(_SCRATCH)
    template: JsonObject = {
        "name": "train",
        "inputs": {"parameters": [{"name": "key"}]},
        "activeDeadlineSeconds": whole_seconds(algorithm.deadline, "deadline", _SITE),
    }
    if algorithm.retries:
        again = Again(algorithm.retries)
        template["retryStrategy"] = cast("JsonObject", OnFailure(preempted=again, node_lost=again).strategy())
    container: JsonObject = {
        **_program(job, algorithm),
        "env": [
            *_env(job, algorithm, settings),
            *_surroundings(defaults),
            cast("JsonObject", summary),
        ],
        "resources": _resources(algorithm).mapping(),
    }
    secured(container, template, defaults.volumes, read_only=False)
    template["container"] = container
    template["podSpecPatch"] = executor_patch(resource=False)
    template["outputs"] = {"parameters": [output]}
    return cast("Template", template)


# -- gangs -----------------------------------------------------------------------------------------------------


def _gang(
    job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings, folders: JobFolders, deadline: int
) -> Template:
    """A step that makes the object, and waits for its end. Of why a gang failed Argo is told nothing: each failed one
    counts among the ``retries``; without any, only who watches it is replaced."""
    manifest = {
        "tfjob": _tfjob,
        "pytorchjob": _pytorchjob,
        "jobset": _jobset,
    }[algorithm.kind](job, algorithm, settings, folders, deadline)
    success = {
        "tfjob": operator.success(algorithm.workers, "AllWorkers"),
        "pytorchjob": operator.pytorch_success(),
        "jobset": jobset.SUCCESS,
    }[algorithm.kind]
    retry = operator.adopt(OnFailure(preempted=Again(algorithm.retries))) if algorithm.retries else None
    step = Resource(
        "train",
        manifest,
        action="apply",
        success=success,
        failure=jobset.FAILURE if algorithm.kind == "jobset" else operator.FAILURE,
        retry=retry or operator.adopted(),
    )
    body = cast("JsonObject", step.body(folders.defaults))
    body["inputs"] = {"parameters": [{"name": "key"}]}  # what its workers tell is called so
    body["serviceAccountName"] = settings.service_account
    return cast("Template", body)


def _pod(
    job: TrainingJob,
    algorithm: Algorithm,
    settings: WorkflowSettings,
    folders: JobFolders,
    name: str,
    port: JsonObject,
    further: Sequence[JsonObject] = (),
    hosts: Sequence[str] = (),
) -> dict[str, JsonObject]:
    defaults = folders.defaults
    spec: JsonObject = {
        "automountServiceAccountToken": False,
        "securityContext": POD_SECURITY,
        "volumes": [each.volume() for each in defaults.volumes],
    }
    container: JsonObject = {
        "name": name,
        **_program(job, algorithm),
        "env": [
            *further,
            *_env(job, algorithm, settings, hosts=hosts),
            *_surroundings(defaults),
        ],
        "ports": [port],
        "resources": _resources(algorithm).mapping(),
    }
    secured(container, spec, defaults.volumes, read_only=False)
    labels: JsonObject = {
        "workflows.argoproj.io/workflow": job.run,
        "tiphys.dev/workflow": job.run,
        JOB_LABEL: str(job.id),
    }
    return {"metadata": {"labels": labels}, "spec": {**spec, "containers": [container]}}


def _metadata(job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings) -> JsonObject:
    labels = {"tiphys.dev/workflow": job.run, **Scheduling(queue=settings.queue).labels()}
    return {"name": job.run + (operator.AGAIN if algorithm.retries else ""), "labels": {**labels}}


def _tfjob(
    job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings, folders: JobFolders, deadline: int
) -> JsonObject:
    port: JsonObject = {"name": "tfjob-port", "containerPort": jobset.PORT}
    pod = _pod(job, algorithm, settings, folders, jobset.CONTAINER, port)
    worker = operator.replica(algorithm.workers, "ExitCode", {**pod})
    return _operated("TFJob", _metadata(job, algorithm, settings)) | {
        "spec": {
            "runPolicy": operator.run_policy(deadline, "Running", Scheduling()),
            "successPolicy": "AllWorkers",
            "tfReplicaSpecs": {"Worker": worker},
        }
    }


def _pytorchjob(
    job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings, folders: JobFolders, deadline: int
) -> JsonObject:
    """One master, and the other workers. Policy ``Never``: a worker that is started anew alone finds nobody who waits
    for it, so that a job is started anew as a whole or not at all."""
    port: JsonObject = {"name": "pytorchjob-port", "containerPort": operator.PYTORCH_PORT}
    container = OPERATED["PyTorchJob"].container
    pod = _pod(job, algorithm, settings, folders, container, port)
    return _operated("PyTorchJob", _metadata(job, algorithm, settings)) | {
        "spec": {
            "runPolicy": operator.run_policy(deadline, "Running", Scheduling()),
            "pytorchReplicaSpecs": operator.led(algorithm.workers, "Never", {**pod}),
        }
    }


def _operated(kind: str, metadata: JsonObject) -> JsonObject:
    return {"apiVersion": operator.API, "kind": kind, "metadata": metadata}


def _jobset(
    job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings, folders: JobFolders, deadline: int
) -> JsonObject:
    port: JsonObject = {"name": "tfjob-port", "containerPort": jobset.PORT}
    further, hosts = _jobset_gang(algorithm.workers)
    pod = _pod(job, algorithm, settings, folders, jobset.CONTAINER, port, further, hosts)
    return jobset.job_set(
        _metadata(job, algorithm, settings),
        pod,
        workers=algorithm.workers,
        restart_policy="ExitCode",
        success_policy="AllWorkers",
        deadline=deadline,
    )


def _jobset_gang(workers: int) -> tuple[list[JsonObject], list[str]]:
    """The variables that say to each worker of a JobSet which it is (TensorFlow's and PyTorch's), and the workers'
    names, this one's first."""
    if workers == 1:
        return [], []
    names = jobset.host_names(workers)
    # the port that the pod declares: both frameworks meet there, and on this machine it is another one
    env = [*jobset.worker_names(), *jobset.tf_config(workers), *jobset.torch_env(workers, jobset.PORT)]
    return env, [jobset.host_name("$(JOB_COMPLETION_INDEX)"), *names]


def _cleanup(algorithm: Algorithm, settings: WorkflowSettings, defaults: Defaults) -> list[Template]:
    """A workflow that is stopped, or past its deadline, leaves no gang behind."""
    named = {"tfjob": operator.TFJOBS, "pytorchjob": operator.PYTORCHJOBS, "jobset": jobset.RESOURCE}
    flags = [named[algorithm.kind], "--selector", "tiphys.dev/workflow={{workflow.name}}"]
    body = Resource("stop-training", action="delete", flags=flags).body(defaults)
    stop: JsonObject = {**_step("stop-training", {}), "when": "{{=workflow.status != 'Succeeded'}}"}
    exits = {"name": "cleanup", "steps": [[stop]]}
    return [
        cast("Template", exits),
        cast("Template", {**body, "serviceAccountName": settings.service_account}),
    ]
