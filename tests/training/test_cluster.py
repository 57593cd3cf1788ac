"""Jobs on a cluster behind a transport of our own: adopted by name, looked at together, and held back by quotas."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.fakes import kubernetes
from tiphys.errors import ClusterError
from tiphys.runs.cluster.transport import Request, Response
from tiphys.training.cluster import ClusterPlace
from tiphys.training.job import TrainingJob, TrainingRequest
from tiphys.training.workflow import JOB_LABEL

GIB = 1 << 30


def job(number: int, namespace: str = "team") -> TrainingJob:
    return TrainingJob(
        number, TrainingRequest("cnn"), "anna", "p", 1, f"train-x-{number}", namespace=namespace
    )


def place_of(handler: Callable[[Request], Response]) -> tuple[ClusterPlace, object]:
    client, transport = kubernetes(handler)
    return ClusterPlace(client.backend), transport  # type: ignore[arg-type]


def workflow(number: int, phase: str, *, label: str = "") -> dict[str, object]:
    ended = {"finishedAt": "2026-11-29T00:00:00Z"} if phase in ("Succeeded", "Failed") else {}
    return {
        "metadata": {"name": f"train-x-{number}", "labels": {JOB_LABEL: label or str(number)}},
        "spec": {},
        "status": {"phase": phase, **ended},
    }


def test_what_is_there_under_the_name_is_the_job_s_if_it_says_so() -> None:
    there = workflow(1, "Running")

    def handler(request: Request) -> Response:
        if request.method == "POST":
            return Response.of({"message": 'workflows "train-x-1" already exists'}, status=409)
        return Response.of(there)

    place, _ = place_of(handler)
    place.create(job(1), {"metadata": {"name": "train-x-1"}, "spec": {}})
    there["metadata"] = {"name": "train-x-1", "labels": {JOB_LABEL: "77"}}
    with pytest.raises(ClusterError) as caught:
        place.create(job(1), {"metadata": {"name": "train-x-1"}, "spec": {}})
    assert caught.value.code == "TIP606"


def test_jobs_are_looked_at_together_and_one_that_is_gone_is_seen_to_be() -> None:
    asked = []

    def handler(request: Request) -> Response:
        asked.append((request.path.rpartition("/namespaces/")[2], request.query.get("labelSelector", "")))
        if "labelSelector" in request.query:
            items = [workflow(number, "Running") for number in range(1, 50)] if "team" in request.path else []
            return Response.of({"items": items})
        if request.path.endswith("train-x-50"):
            return Response.of(workflow(50, "Succeeded"))
        return Response.of({"message": 'workflows "train-x-51" not found'}, status=404)

    place, _ = place_of(handler)
    found = place.look([job(number) for number in range(1, 52)])
    assert {found[number].phase for number in range(1, 50)} == {"Running"}
    assert (found[50].phase, found[51].phase) == ("Succeeded", "")
    assert asked[0] == ("team/workflows", f"{JOB_LABEL},workflows.argoproj.io/completed!=true")
    assert len(asked) <= 4


def test_of_a_namespace_that_does_not_answer_nothing_is_told() -> None:
    def handler(request: Request) -> Response:
        if "/away/" in request.path:
            return Response.of({"message": "no"}, status=503)
        return Response.of({"items": [workflow(1, "Running")]})

    place, _ = place_of(handler)
    assert {*place.look([job(1), job(2, "away")])} == {1}
    with pytest.raises(ClusterError):
        place.look([job(2, "away")])


def quota(**parts: object) -> Response:
    hard = {"requests.cpu": "4", "limits.memory": "8Gi", "pods": "10", "requests.nvidia.com/gpu": "1"}
    used = {"requests.cpu": "1500m", "limits.memory": "1Gi", "pods": "2"}
    item = {"metadata": {"name": "small"}, "spec": {}, "status": {"hard": hard, "used": used}}
    return Response.of({"items": [{**item, **parts}]})


@pytest.mark.parametrize(
    ("wants", "why"),
    [
        ({"jobs": 1, "cpu": 2500, "memory": 7 * GIB, "pods": 8}, ""),
        ({"cpu": 2501}, "requests.cpu: 2501m wanted, 2500m of 4 free"),
        ({"memory": 8 * GIB}, "limits.memory: 8Gi wanted, 7Gi of 8Gi free"),
        ({"pods": 9}, "pods: 9 wanted, 8 of 10 free"),
        ({"nvidia.com/gpu": 2}, "requests.nvidia.com/gpu: 2 wanted, 1 of 1 free"),
    ],
)
def test_what_a_quota_has_room_for(wants: dict[str, int], why: str) -> None:
    place, _ = place_of(lambda request: quota())
    told = f"quota small of namespace team: {why}" if why else ""
    assert place.full(job(1), wants) == told


def test_what_was_promised_counts_until_the_job_has_ended() -> None:
    states = {"train-x-1": workflow(1, "Running")}

    def handler(request: Request) -> Response:
        if "resourcequotas" in request.path:
            return quota()
        if "labelSelector" in request.query:
            return Response.of({"items": []})
        return Response.of(states["train-x-1"])

    place, _ = place_of(handler)
    assert place.full(job(1), {"cpu": 2500}) == ""
    assert place.full(job(1), {"cpu": 2500}) == "", "the same job, asked for again"
    assert place.full(job(2), {"cpu": 1500}) == ""
    assert "0 of 4 free" in place.full(job(3), {"cpu": 1000})
    states["train-x-1"] = workflow(1, "Succeeded")
    place.look([job(1)])
    assert place.full(job(3), {"cpu": 1000}) == ""


def test_a_quota_for_some_pods_only_is_argo_s_to_heed() -> None:
    place, _ = place_of(lambda request: quota(spec={"scopeSelector": {"matchExpressions": []}}))
    assert place.full(job(1), {"cpu": 10**6}) == ""
