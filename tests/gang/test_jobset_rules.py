"""What of a JobSet is refused, and what its Job makes of the ends of its pods."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tiphys.argo.answers import ApiError
from tiphys.errors import RefusedError
from tiphys.gang.jobset_rules import check_jobset, has_succeeded, indexes, pod_failure

Json = Any
CONTAINER = {"name": "c", "image": "i"}
JOBSET: dict[str, Json] = {
    "apiVersion": "jobset.x-k8s.io/v1alpha2",
    "kind": "JobSet",
    "metadata": {"name": "fine"},
    "spec": {
        "network": {"enableDNSHostnames": True},
        "successPolicy": {"operator": "All"},
        "replicatedJobs": [
            {
                "name": "worker",
                "template": {
                    "spec": {
                        "completionMode": "Indexed",
                        "parallelism": 2,
                        "completions": 2,
                        "template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}},
                    }
                },
            }
        ],
    },
}


def replicated(jobset: Json) -> Json:
    return jobset["spec"]["replicatedJobs"][0]


def job(jobset: Json) -> Json:
    return replicated(jobset)["template"]["spec"]


def changed(change: Callable[[Json], object]) -> Json:
    found = copy.deepcopy(JOBSET)
    change(found)
    return found


def test_what_is_known_is_taken() -> None:
    check_jobset(JOBSET)  # type: ignore[arg-type]
    check_jobset(changed(lambda one: one["spec"].update(startupPolicy={"startupPolicyOrder": "AnyOrder"})))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda one: one["spec"].update(failurePolicy={"maxRestarts": 3}), "spec.failurePolicy"),
        (lambda one: one["spec"].update(suspend=True), "only False"),
        (
            lambda one: one["spec"].update(startupPolicy={"startupPolicyOrder": "InOrder"}),
            "spec.startupPolicy",
        ),
        (lambda one: one["spec"].update(successPolicy={"operator": "Any"}), "only 'All'"),
        (lambda one: one["spec"].update(network={"enableDNSHostnames": False}), "enableDNSHostnames"),
        (lambda one: one["spec"]["replicatedJobs"].append(replicated(one)), "there are 2"),
        (lambda one: one["spec"].update(replicatedJobs=[]), "there are 0"),
        (lambda one: one.update(spec={}), "there are 0"),
        (lambda one: replicated(one).update(replicas=2), "replicas"),
        (lambda one: job(one).update(backoffLimitPerIndex=1), "backoffLimitPerIndex"),
        (lambda one: job(one).update(completionMode="NonIndexed"), "only 'Indexed'"),
        (lambda one: job(one).update(parallelism=1), "completions"),
        (lambda one: job(one).pop("completions"), "completions"),
        (lambda one: job(one)["template"]["spec"].update(restartPolicy="Always"), "OnFailure or Never"),
        (
            lambda one: (
                job(one).update(podFailurePolicy={"rules": []}),
                job(one)["template"]["spec"].update(restartPolicy="OnFailure"),
            ),
            "with podFailurePolicy Never",
        ),
        (lambda one: job(one)["template"]["spec"].update(containers=[]), "containers"),
        (lambda one: job(one)["template"]["spec"].update(containers=[None]), "null"),
        (lambda one: replicated(one).update(template={}), "with a spec"),
        (lambda one: job(one).update(successPolicy={"rules": [{"succeededIndexes": "x"}]}), "0,2-4"),
    ],
)
def test_what_has_no_stand_in(change: Callable[[Json], object], text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_jobset(changed(change))
    assert caught.value.code == "TIP237" and text in caught.value.message


@pytest.mark.parametrize(
    ("change", "text"),
    [
        # pkg/webhooks/jobset_webhook.go: pods get five letters more
        (
            lambda one: one["metadata"].update(name="a" * 47),
            "pod names generated for this JobSet will exceed 63",
        ),
        (lambda one: one["metadata"].update(name="1st"), "DNS-1035"),
        (lambda one: replicated(one).update(name="Worker"), "DNS-1035"),
        # the definition's schema
        (lambda one: replicated(one).pop("name"), "name"),
        (lambda one: one.update(spec=[]), "spec"),
        (lambda one: one["spec"].update(replicatedJobs={}), "spec.replicatedJobs"),
        (lambda one: replicated(one).update(template="x"), "spec.replicatedJobs.0.template"),
        (lambda one: job(one).update(completions="two"), "completions"),
    ],
)
def test_what_a_cluster_refuses(change: Callable[[Json], object], text: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_jobset(changed(change))
    assert text in caught.value.message


def test_a_name_that_just_fits() -> None:
    check_jobset(changed(lambda one: one["metadata"].update(name="a" * 46)))


CODES = {"operator": "In", "values": [1, 127]}
OTHERS = {"operator": "NotIn", "values": [137, 143]}
TAKEN = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


@pytest.mark.parametrize(
    ("rules", "code", "action"),
    [
        ([], 1, "Count"),
        ([TAKEN, {"action": "FailJob", "onExitCodes": CODES}], 1, "FailJob"),
        ([TAKEN, {"action": "FailJob", "onExitCodes": CODES}], 137, "Count"),
        ([{"action": "FailJob", "onExitCodes": OTHERS}], 1, "FailJob"),
        ([{"action": "FailJob", "onExitCodes": OTHERS}], 143, "Count"),
        (
            [{"action": "Ignore", "onExitCodes": CODES}, {"action": "FailJob", "onExitCodes": CODES}],
            127,
            "Ignore",
        ),
    ],
)
def test_the_first_rule_that_matches_decides(rules: Json, code: int, action: str) -> None:
    assert pod_failure({"podFailurePolicy": {"rules": rules}}, code) == action


@pytest.mark.parametrize(
    ("rule", "succeeded", "holds"),
    [
        (None, {0, 1}, False),
        (None, {0, 1, 2}, True),
        ({"succeededIndexes": "0"}, {0}, True),
        ({"succeededIndexes": "0"}, {1, 2}, False),
        ({"succeededIndexes": "0-1"}, {1}, False),
        ({"succeededIndexes": "0-1", "succeededCount": 1}, {1}, True),
        ({"succeededCount": 2}, {0, 2}, True),
    ],
)
def test_when_a_job_has_succeeded(rule: Json, succeeded: set[int], holds: bool) -> None:
    spec: Json = {"completions": 3, **({"successPolicy": {"rules": [rule]}} if rule else {})}
    assert has_succeeded(spec, succeeded) is holds


def test_indexes() -> None:
    assert indexes("0,2-4,7", 8) == {0, 2, 3, 4, 7}
    assert indexes("1-99999999999", 4) == {1, 2, 3}
