"""Who starts first: priority, queue and class of a pipeline, as Argo and Kueue read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows.models import Affinity, Metadata, NodeAffinity
from hera.workflows.models import Toleration as HeraToleration

import tiphys
from tests.dsl import library
from tests.dsl.told import check_told
from tests.tools import argo_lint
from tiphys import DefinitionError, Pipeline, Scheduling, TFJob, Toleration, component
from tiphys.engine import RunOptions

LABELS = {"kueue.x-k8s.io/queue-name": "anna", "kueue.x-k8s.io/priority-class": "urgent"}
BOTH = Scheduling(priority=5, queue="anna", workload_class="urgent")


@component
def make() -> str:
    return "x"


def workflow(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]
    return found


def spec_of(**options: Any) -> dict[str, Any]:
    with Pipeline("p", **options) as pipeline:
        make()
    spec: dict[str, Any] = workflow(pipeline)["spec"]
    return spec


def test_the_pods_of_the_steps_are_labelled_for_kueue() -> None:
    assert spec_of(scheduling=BOTH)["podMetadata"] == {"labels": LABELS}
    assert "podMetadata" not in spec_of(scheduling=Scheduling(priority=5, priority_class="high"))


def test_a_training_waits_as_a_whole_and_its_workers_not_once_more() -> None:
    with Pipeline("p", scheduling=BOTH) as pipeline:
        TFJob(library.train)(data="d")
    (template,) = (t for t in workflow(pipeline)["spec"]["templates"] if "resource" in t)
    job = json.loads(template["resource"]["manifest"])
    assert job["metadata"]["labels"].items() >= LABELS.items()
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["metadata"]["labels"]
    assert not worker.keys() & LABELS.keys()


def test_short_forms() -> None:
    spec = spec_of(priority=5, queue="anna")
    assert spec == spec_of(scheduling=Scheduling(priority=5, queue="anna"))
    assert spec["priority"] == 5
    assert spec_of(priority=0)["priority"] == 0
    assert "priority" not in spec_of(queue="anna")


@pytest.mark.parametrize("short", [{"priority": 0}, {"queue": "anna"}, {"priority": 5, "queue": "anna"}])
def test_the_scheduling_is_given_once(short: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        Pipeline("p", scheduling=Scheduling(node_selector=(("pool", "cpu"),)), **short)
    assert caught.value.code == "TIP102"
    assert all(f"{word}=" in caught.value.message for word in short)
    assert "test_scheduling.py:" in caught.value.where


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"priority": "high"}, "TIP109"),
        ({"priority": True}, "TIP109"),
        ({"priority": 2**31}, "TIP109"),
        ({"queue": "of anna"}, "TIP101"),
    ],
)
def test_what_argo_or_kueue_would_refuse_is_told_with_the_line(options: dict[str, Any], code: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Pipeline("p", **options)
    assert caught.value.code == code
    assert "test_scheduling.py:" in caught.value.where
    with pytest.raises(DefinitionError):
        Scheduling(**options)


def test_a_class_has_a_name_that_kubernetes_takes() -> None:
    with pytest.raises(DefinitionError, match="workload class"):
        Scheduling(workload_class="Very Urgent")


def test_labels_that_were_set_through_hera_stay_beside_them() -> None:
    with Pipeline("p", queue="anna") as pipeline:
        make()
    pipeline.pod_metadata = Metadata(labels={"team": "a"}, annotations={"note": "b"})
    made = workflow(pipeline)["spec"]["podMetadata"]
    assert made["labels"] == {"kueue.x-k8s.io/queue-name": "anna", "team": "a"}
    assert made["annotations"] == {"note": "b"}
    pipeline.pod_metadata = Metadata(labels={"kueue.x-k8s.io/queue-name": "bo"})
    assert workflow(pipeline)["spec"]["podMetadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "bo"}


def test_the_same_yaml_is_taken_by_argo_and_runs_here(tmp_path: Path) -> None:
    with Pipeline("p", scheduling=BOTH) as pipeline:
        make()
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    assert tiphys.run(pipeline, options=RunOptions(store=tmp_path)).succeeded


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Toleration("gpu"), {"key": "gpu", "operator": "Exists"}),
        (
            Toleration("gpu", "yes", "NoSchedule"),
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        ),
        (
            Toleration("spot", effect="NoExecute", seconds=60),
            {"key": "spot", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
        ),
    ],
)
def test_a_toleration_is_kubernetes(given: Toleration, expected: dict[str, Any]) -> None:
    assert given.mapping() == expected
    HeraToleration.model_validate(expected)


def test_where_the_pods_go() -> None:
    affinity = Affinity(node_affinity=NodeAffinity())
    spec = spec_of(
        scheduling=Scheduling(node_selector={"pool": "a"}, tolerations=["spot"], affinity=affinity)
    )
    assert spec["nodeSelector"] == {"pool": "a"}
    assert spec["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert spec["affinity"] == {"nodeAffinity": {}}


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        (lambda: Toleration("a b"), "TIP101", "a taint"),
        (lambda: Toleration("gpu", "a b"), "TIP101", "a taint"),
        (lambda: Toleration("gpu", effect="Never"), "TIP109", "NoSchedule"),  # type: ignore[arg-type]
        (lambda: Toleration("gpu", seconds=5), "TIP109", "NoExecute"),
        (lambda: Scheduling(node_selector={"pool": 5}), "TIP105", "text"),  # type: ignore[dict-item]
        (lambda: Scheduling(node_selector="pool"), "TIP105", "node_selector"),  # type: ignore[arg-type]
        (lambda: Scheduling(tolerations="gpu"), "TIP105", "[Toleration("),
        (lambda: Scheduling(tolerations=[{"key": "gpu"}]), "TIP105", "[Toleration("),  # type: ignore[list-item]
        (lambda: Scheduling(affinity={"nodeAfinity": {}}), "TIP103", "nodeAffinity"),
    ],
)
def test_what_kubernetes_would_refuse_of_a_place(given: Any, code: str, words: str) -> None:
    check_told(given, code, words, __file__)
