"""A training as a JobSet: legal for those who publish JobSet and Argo, with the training operator's TF_CONFIG."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.cluster.upstream import jobset, misfits
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import DefinitionError, Gang, Pipeline, Scheduling, TFJob, TiphysWarning
from tiphys.compiler.load import load

Json = Any
MISSION = Path(__file__).resolve().parents[2] / "pipelines" / "fashion_mnist.py"
VARIANTS: list[dict[str, Any]] = [
    {},
    {"workers": 1},
    {"workers": 3, "success_policy": "", "restart_policy": "OnFailure", "instance": "model"},
    {"restart_policy": "Never", "scheduling": Scheduling(queue="team-a", priority_class="high")},
]


def compiled(**options: Any) -> str:
    with Pipeline("p") as pipeline:
        TFJob(library.train, kind="JobSet", **options)(data="d")
    return tiphys.to_yaml(pipeline)


def training(**options: Any) -> tuple[Json, Json]:
    """The template and the manifest."""
    spec = list(yaml.safe_load_all(compiled(**options)))[-1]["spec"]
    template = next(each for each in spec["templates"] if each["name"] == "train")
    return template, json.loads(template["resource"]["manifest"])


def job_of(manifest: Json) -> Json:
    (replicated,) = manifest["spec"]["replicatedJobs"]
    return replicated["template"]["spec"]


@pytest.fixture(scope="module")
def published() -> Json:
    try:
        return jobset()
    except OSError as error:
        pytest.skip(f"the published definition of JobSet could not be fetched: {error}")


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_the_published_definition_has_nothing_against_it(published: Json, options: dict[str, Any]) -> None:
    _, manifest = training(**options)
    assert list(misfits(manifest, published)) == []


def test_the_published_definition_is_strict(published: Json) -> None:
    _, manifest = training()
    wrong = copy.deepcopy(manifest)
    wrong["spec"]["replicatedJobs"][0]["template"]["spec"]["retries"] = 3
    wrong["spec"]["successPolicy"]["operator"] = "Most"
    del wrong["spec"]["replicatedJobs"][0]["name"]
    job_of(wrong)["completions"] = "2"
    assert len(list(misfits(wrong, published))) == 4


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_argo_has_nothing_against_the_workflow(options: dict[str, Any], tmp_path: Path) -> None:
    assert argo_lint(compiled(**options), tmp_path) == ""


def test_it_is_the_training_that_the_tfjob_is() -> None:
    options: dict[str, Any] = {"workers": 3, "gang": Gang(capacity=7), "deadline": "1h"}
    template, manifest = training(**options)
    with Pipeline("p") as pipeline:
        TFJob(library.train, **options)(data="d")
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    other = next(each for each in spec["templates"] if each["name"] == "train")
    tfjob = json.loads(other["resource"]["manifest"])
    assert manifest["metadata"] == tfjob["metadata"]
    for field in ("inputs", "outputs", "synchronization", "retryStrategy", "podSpecPatch"):
        assert template[field] == other[field]
    job, worker = job_of(manifest), tfjob["spec"]["tfReplicaSpecs"]["Worker"]
    assert job["template"]["metadata"] == worker["template"]["metadata"]
    (container,), (theirs,) = (each["template"]["spec"]["containers"] for each in (job, worker))
    assert [each["name"] for each in container["env"][-3:]] == [
        "JOBSET_NAME",
        "JOB_COMPLETION_INDEX",
        "TF_CONFIG",
    ]
    assert {**container, "env": container["env"][:-3]} == theirs
    assert job["parallelism"] == job["completions"] == worker["replicas"] == 3
    assert (job["completionMode"], job["activeDeadlineSeconds"]) == ("Indexed", 3600)


def test_the_step_waits_for_the_state_in_which_the_controller_ends_it() -> None:
    """pkg/controllers/jobset_controller.go and failure_policy.go: set with the condition, and empty before."""
    resource = training()[0]["resource"]
    assert resource["successCondition"] == "status.terminalState == Completed"
    assert resource["failureCondition"] == "status.terminalState == Failed"
    assert resource["action"] == "apply" and resource["setOwnerReference"] is True


def test_exit_codes_mean_what_they_mean_to_the_training_operator() -> None:
    _, manifest = training()
    job = job_of(manifest)
    codes = next(r["onExitCodes"] for r in job["podFailurePolicy"]["rules"] if r["action"] == "FailJob")
    assert codes["operator"] == "In" and codes["values"] == list(range(1, 128))
    assert codes["containerName"] == "tensorflow"
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # else codes are not looked at
    assert job["backoffLimit"] >= 1000 and "failurePolicy" not in manifest["spec"]


@pytest.mark.parametrize(
    ("policy", "pods", "failures"), [("Never", "Never", False), ("OnFailure", "OnFailure", True)]
)
def test_other_restart_policies(policy: str, pods: str, failures: bool) -> None:
    job = job_of(training(restart_policy=policy)[1])
    assert job["template"]["spec"]["restartPolicy"] == pods
    assert "podFailurePolicy" not in job and (job["backoffLimit"] > 0) is failures


def test_worker_0_decides_where_it_did() -> None:
    job = job_of(training(success_policy="")[1])
    assert job["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}


def test_a_queue_is_named_for_kueue() -> None:
    _, manifest = training(scheduling=Scheduling(queue="team-a", priority_class="high"))
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert job_of(manifest)["template"]["spec"]["priorityClassName"] == "high"


def test_all_jobs_of_a_run_are_deleted_by_their_kind() -> None:
    with Pipeline("p") as pipeline:
        fit = TFJob(library.train, kind="JobSet")
        fit.stop().after(fit(data="d"))
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    stop = next(each for each in spec["templates"] if each["name"] == "stop-training")
    assert stop["resource"]["flags"][0] == "jobsets.jobset.x-k8s.io"


@pytest.mark.parametrize(
    ("field", "value"), [("restart_policy", "Always"), ("clean_pods", "All"), ("clean_pods", "None")]
)
def test_what_is_dropped_is_a_warning_at_the_users_line(field: str, value: str) -> None:
    with pytest.warns(TiphysWarning) as caught, Pipeline("p"):
        TFJob(library.train, kind="JobSet", **{field: value})  # the line
    (said,) = caught
    assert said.filename == __file__
    assert Path(__file__).read_text().splitlines()[said.lineno - 1].endswith("# the line")
    assert isinstance(said.message, TiphysWarning) and said.message.code == "TIP129"
    assert f"{field}={value!r}" in str(said.message)


def test_nothing_is_dropped_of_the_defaults_or_by_a_tfjob() -> None:
    """Warnings are errors in these tests."""
    with Pipeline("p"):
        TFJob(library.train, kind="JobSet")
        TFJob(library.train, name="other", restart_policy="Always", clean_pods="All")


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(DefinitionError) as caught, Pipeline("p"):
        TFJob(library.train, kind="Jobset")  # type: ignore[arg-type]
    assert caught.value.code == "TIP105" and "Did you mean 'JobSet'" in caught.value.message


def test_a_site_chooses_the_kind_when_it_compiles(published: Json, tmp_path: Path) -> None:
    """A setting of the mission's pipeline, as `tiphys compile -p kind=JobSet` gives it."""
    text = tiphys.to_yaml(load(str(MISSION), {"kind": "JobSet"}))
    assert argo_lint(text, tmp_path) == ""
    spec = list(yaml.safe_load_all(text))[-1]["spec"]
    resources = {each["name"]: each["resource"] for each in spec["templates"] if "resource" in each}
    (manifest,) = (
        each["manifest"] for each in resources.values() if '"kind": "JobSet"' in each.get("manifest", "")
    )
    assert list(misfits(json.loads(manifest), published)) == []
    assert resources["stop-training"]["flags"][0] == "jobsets.jobset.x-k8s.io"


def names_before(env: list[Json]) -> Iterator[tuple[str, set[str]]]:
    seen: set[str] = set()
    for each in env:
        yield str(each.get("value", "")), set(seen)
        seen.add(each["name"])


def test_the_kubelet_expands_what_was_declared_before() -> None:
    (container,) = job_of(training()[1])["template"]["spec"]["containers"]
    for value, before in names_before(container["env"]):
        assert {name for name in ("JOBSET_NAME", "JOB_COMPLETION_INDEX") if f"$({name})" in value} <= before


def test_a_single_worker_gets_no_tf_config() -> None:
    (container,) = job_of(training(workers=1)[1])["template"]["spec"]["containers"]
    assert "TF_CONFIG" not in {each["name"] for each in container["env"]}
