"""What trainings on several pods have in common, whatever their kind is."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.upstream import jobset, misfits, published
from tests.dsl import library
from tiphys import (
    Cache,
    ConfigMap,
    DefinitionError,
    Gang,
    MPIJob,
    Pipeline,
    PodSettings,
    PyTorchJob,
    RayJob,
    Resources,
    Scheduling,
    Scratch,
    Secret,
    TFJob,
    Volume,
    XGBoostJob,
    component,
)
from tiphys.argo.patch import POD_SPEC, strategic
from tiphys.dsl.gang_job import GangJob, JobOptions

KINDS: list[Callable[..., GangJob]] = [TFJob, PyTorchJob, XGBoostJob, MPIJob, RayJob]


def step(make: Callable[..., GangJob], **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    with Pipeline("p") as pipeline:
        make(library.train, instance="model", cache=Cache.by_content(), gang=Gang(capacity=2), **options)(
            data="d"
        )
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    (template,) = (each for each in spec["templates"] if "manifest" in each.get("resource", {}))
    return template, json.loads(template["resource"]["manifest"])


@pytest.mark.parametrize("make", KINDS)
def test_what_is_said_of_one_kind_is_said_of_all(make: Callable[..., GangJob]) -> None:
    template, manifest = step(make, scheduling=Scheduling(queue="team-a"))
    other_template, other = step(TFJob, scheduling=Scheduling(queue="team-a"))
    assert manifest["metadata"] == other["metadata"]
    for field in ("inputs", "outputs", "synchronization", "retryStrategy", "podSpecPatch"):
        assert template[field] == other_template[field]


def test_options_are_those_that_the_class_takes() -> None:
    """Two lists of one thing: who types an option wrongly is told by either."""
    taken = inspect.signature(GangJob.__init__).parameters
    inner = {"self", "function", "counts", "kind", "plural", "success", "failure", "elastic"}
    assert set(JobOptions.__annotations__) == set(taken) - inner


def pods(kind: str, manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pod templates of a job, by who they are for."""
    spec = manifest["spec"]
    if kind == "RayJob":
        cluster = spec["rayClusterSpec"]
        (group,) = cluster["workerGroupSpecs"]
        return {"Head": cluster["headGroupSpec"]["template"], "Worker": group["template"]}
    if kind == "JobSet":
        return {"Worker": spec["replicatedJobs"][0]["template"]["spec"]["template"]}
    (replicas,) = (value for name, value in spec.items() if name.endswith("ReplicaSpecs"))
    return {name: replica["template"] for name, replica in replicas.items()}


EQUIPMENT: dict[str, Any] = {
    "resources": Resources(gpu=1, memory="8Gi"),
    "secrets": [
        Secret("hub", "token", env="HUB_TOKEN"),
        Secret("tls", mount="/var/secrets/tls", env="TLS"),
        Secret("all", prefix="ALL_"),
    ],
    "pod": PodSettings(
        labels={"team": "vision"},
        annotations={"example.com/why": "a test"},
        volumes=[Volume("datasets"), Scratch("/scratch", "1Gi")],
        host_aliases={"10.0.0.7": ["db"]},
        patch={"dnsPolicy": "Default", "containers": [{"name": "main", "imagePullPolicy": "Always"}]},
    ),
    "scheduling": Scheduling(priority_class="high", node_selector={"zone": "a"}, tolerations=["spot"]),
}
OF_ALL: dict[str, Any] = {
    "gpu_nodes": Scheduling(node_selector={"gpu": "a100"}, tolerations=["team-a"]),
    "scheduling": Scheduling(node_selector={"pool": "cpu"}, tolerations=["night"]),
}


def compiled(make: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    with Pipeline("p", volumes=[Volume("tiphys")], **OF_ALL) as pipeline:
        make(library.train, instance="model", **options)(data="d")
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    (template,) = (each for each in spec["templates"] if "manifest" in each.get("resource", {}))
    manifest: dict[str, Any] = json.loads(template["resource"]["manifest"])
    return manifest


def pod_of_a_component() -> dict[str, Any]:
    """The pod that Argo makes of a component with the same words: the oracle of what they mean."""
    with Pipeline("p", volumes=[Volume("tiphys")], **OF_ALL) as pipeline:
        component(library.train, embed=False, **EQUIPMENT)(data="d", output="o", work="w")
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    template = spec["templates"][-1]
    (main,) = ([{**template["container"], "name": "main"}],)
    pod = {"containers": main, "volumes": [*spec["volumes"], *template["volumes"]]}
    for field in ("tolerations", "hostAliases", "nodeSelector", "priorityClassName"):
        pod[field] = template[field]
    return {
        "metadata": template["metadata"],
        "spec": strategic(pod, json.loads(template["podSpecPatch"]), POD_SPEC),
    }


@pytest.mark.parametrize("make", [*KINDS, functools.partial(PyTorchJob, kind="JobSet")])
def test_each_worker_has_what_a_component_with_the_same_words_has(make: Callable[..., Any]) -> None:
    manifest, right = compiled(make, EQUIPMENT), pod_of_a_component()
    found = pods(manifest["kind"], manifest)
    worker = found["Worker"]
    assert right["metadata"]["labels"].items() <= worker["metadata"]["labels"].items()
    assert worker["metadata"]["annotations"] == right["metadata"]["annotations"]
    for field in ("tolerations", "hostAliases", "nodeSelector", "priorityClassName", "dnsPolicy"):
        assert worker["spec"][field] == right["spec"][field], field
    volumes = [each for each in right["spec"]["volumes"] if each["name"] != "tiphys-token"]
    assert sorted(worker["spec"]["volumes"], key=str) == sorted(volumes, key=str)
    (box,) = worker["spec"]["containers"]
    (main,) = (each for each in right["spec"]["containers"] if each["name"] == "main")
    for field in ("resources", "envFrom", "imagePullPolicy", "securityContext"):
        assert box[field] == main[field], field
    assert sorted(box["volumeMounts"], key=str) == sorted(main["volumeMounts"], key=str)
    variables = {each["name"]: each for each in box["env"]}
    for each in main["env"]:
        if each["name"] in ("HUB_TOKEN", "TLS", "TIPHYS_VOLUMES"):
            assert variables[each["name"]] == each


@pytest.mark.parametrize("make", [*KINDS[1:], functools.partial(PyTorchJob, kind="JobSet")])
def test_the_published_definition_has_all_of_it(make: Callable[..., Any]) -> None:
    manifest = compiled(make, EQUIPMENT)
    try:
        schema = jobset() if manifest["kind"] == "JobSet" else published(manifest["kind"])
    except OSError as error:
        pytest.skip(f"the published definition could not be fetched: {error}")
    assert list(misfits(manifest, schema)) == []


def test_who_leads_without_a_gpu_is_not_among_the_gpus() -> None:
    for make in (MPIJob, functools.partial(RayJob, head=Resources())):
        manifest = compiled(make, {"resources": Resources(gpu=1)})
        leader, worker = pods(manifest["kind"], manifest).values()
        assert worker["spec"]["nodeSelector"] == {"gpu": "a100"}
        assert leader["spec"]["nodeSelector"] == {"pool": "cpu"}
        assert [each["key"] for each in leader["spec"]["tolerations"]] == ["night"]
        assert "/dev/shm" not in [
            each["mountPath"] for each in leader["spec"]["containers"][0]["volumeMounts"]
        ]


def test_a_sidecar_beside_every_worker() -> None:
    beside = PodSettings(patch={"containers": [{"name": "log", "image": "log:1", "command": ["log"]}]})
    for make in (*KINDS, functools.partial(PyTorchJob, kind="JobSet")):
        manifest = compiled(make, {"pod": beside})
        for template in pods(manifest["kind"], manifest).values():
            names = {each["name"]: each.get("command") for each in template["spec"]["containers"]}
            assert [*names][1:] == ["log"] and names["log"] == ["log"]  # operators look at the first


@pytest.mark.parametrize("make", [*KINDS, functools.partial(PyTorchJob, kind="TrainJob")])
@pytest.mark.parametrize("options", [{"service_account": "trainer"}, {"token": True}])
def test_a_job_has_no_account(make: Callable[..., Any], options: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(library.train, pod=PodSettings(**options))
    assert caught.value.code == "TIP105" and next(iter(options)) in caught.value.message
    assert "test_gang_job.py" in (caught.value.where or "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pod": PodSettings(host_aliases={"10.0.0.7": ["db"]})}, "host_aliases"),
        ({"pod": PodSettings(patch={"dnsPolicy": "Default"})}, "patch"),
        ({"secrets": [Secret("all")]}, "all keys"),
    ],
)
def test_what_a_trainjob_cannot_say(options: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        PyTorchJob(library.train, kind="TrainJob", **options)
    assert caught.value.code == "TIP105" and words in caught.value.message


def test_a_trainjob_has_the_rest() -> None:
    own = {**EQUIPMENT, "pod": PodSettings(labels={"team": "vision"}, volumes=[Scratch("/scratch", "1Gi")])}
    own["secrets"] = EQUIPMENT["secrets"][:2]
    own["scheduling"] = Scheduling(node_selector={"zone": "a"})
    manifest = compiled(functools.partial(PyTorchJob, kind="TrainJob"), own)
    spec = manifest["spec"]
    job = spec["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0]
    pod = job["template"]["spec"]["template"]
    assert pod["metadata"]["labels"]["team"] == "vision"
    assert pod["spec"]["nodeSelector"] == {"zone": "a"}  # in place of the pipeline's, as of a component
    mounts = {each["mountPath"] for each in pod["spec"]["containers"][0]["volumeMounts"]}
    assert {"/scratch", "/var/secrets/tls", "/dev/shm"} <= mounts
    names = {each["name"] for each in pod["spec"]["volumes"]}
    assert {each["name"] for each in pod["spec"]["containers"][0]["volumeMounts"]} <= names
    (token,) = (each for each in spec["trainer"]["env"] if each["name"] == "HUB_TOKEN")
    assert token["valueFrom"] == {"secretKeyRef": {"name": "hub", "key": "token"}}
    try:
        schema = published("TrainJob")
    except OSError as error:
        pytest.skip(f"the published definition could not be fetched: {error}")
    assert list(misfits(manifest, schema)) == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"secrets": ["hub"]}, "TIP105"),
        ({"pod": {"labels": {}}}, "TIP105"),
        ({"scheduling": Scheduling(priority=5)}, "TIP105"),
        ({"cache": Cache.by_content(), "secrets": [ConfigMap("settings")]}, "TIP126"),
    ],
)
def test_what_is_no_equipment_is_told(options: dict[str, Any], code: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        TFJob(library.train, **options)
    assert caught.value.code == code and "test_gang_job.py" in (caught.value.where or "")


@pytest.mark.parametrize("make", KINDS)
def test_an_option_that_there_is_not(make: Callable[..., GangJob]) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(library.train, workrs=2)
    assert caught.value.code == "TIP103" and "Did you mean 'workers'" in caught.value.message
    assert "test_gang_job.py" in (caught.value.where or "")
