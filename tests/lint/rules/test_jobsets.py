"""What the rules of training jobs find in a JobSet."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tiphys
from tests.dsl import library
from tiphys import Gang, Pipeline, TFJob

Json = Any
FIELD = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}


def found(*, semaphore: bool = True, env: Json = (), success: str = "Completed", **job: Json) -> set[str]:
    """The codes of what is found in a workflow that makes a JobSet; ``job``: fields of its Job."""
    container = {"name": "c", "image": "x:1", "env": list(env)}
    spec = {"parallelism": 2, "completions": 2, **job, "template": {"spec": {"containers": [container]}}}
    manifest = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"generateName": "x-"},
        "spec": {"replicatedJobs": [{"name": "worker", "template": {"spec": spec}}]},
    }
    resource = {"action": "create", "manifest": json.dumps(manifest)}
    if success:
        resource["successCondition"] = f"status.terminalState == {success}"
    template: Json = {"name": "main", "resource": resource}
    if semaphore:
        template["synchronization"] = {"semaphores": [{"configMapKeyRef": {"name": "n", "key": "k"}}]}
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "x-"},
        "spec": {"entrypoint": "main", "templates": [template]},
    }
    return {each.code for each in tiphys.lint(workflow)}


@pytest.mark.parametrize(
    ("code", "wrong", "right"),
    [
        ("L330", {"success": ""}, {}),
        ("L345", {}, {"activeDeadlineSeconds": 60}),
        ("L346", {"semaphore": False}, {}),
        ("L346", {"semaphore": False}, {"semaphore": False, "parallelism": 1, "completions": 1}),
        ("L334", {"retries": 3}, {"backoffLimit": 3}),
        (
            "L369",
            {"env": [{"name": "A", "value": "$(JOB_COMPLETION_INDEX)"}]},
            {
                "env": [
                    {"name": "JOB_COMPLETION_INDEX", "valueFrom": FIELD},
                    {"name": "A", "value": "$(JOB_COMPLETION_INDEX)"},
                ]
            },
        ),
    ],
)
def test_what_is_found(code: str, wrong: Json, right: Json) -> None:
    assert code in found(**wrong)
    assert code not in found(**right)


def test_in_what_the_dsl_writes_nothing_more_is_found_than_in_a_tfjob() -> None:
    def codes(**kind: Any) -> list[str]:
        with Pipeline("p") as pipeline:
            TFJob(library.train, gang=Gang(4), **kind)(data="d")
        return [each.code for each in tiphys.lint(pipeline)]

    assert codes(kind="JobSet") == codes()
