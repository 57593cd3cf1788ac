"""RayJobs: a function on the head of a cluster of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dsl.jobs_elsewhere import OPTIONS, check_legal, check_refused, check_wrong, training
from tiphys import RayJob, Resources


@pytest.mark.parametrize("options", OPTIONS, ids=["gang", "one", "cached"])
def test_nobody_has_anything_against_it(options: dict[str, Any], tmp_path: Path) -> None:
    check_legal("RayJob", RayJob, options, tmp_path)


def test_here_it_is_refused_and_the_rest_runs_with_fakes(tmp_path: Path) -> None:
    check_refused("RayJob", RayJob, tmp_path)


def test_a_rayjob_calls_the_function_on_its_head() -> None:
    template, job = training(RayJob, workers=3, head=Resources(cpu="200m", memory="1Gi"), deadline="1h")
    spec = job["spec"]
    assert spec["entrypoint"] == "python -m tiphys.step tests.dsl.library:train"
    assert spec["shutdownAfterJobFinishes"] is True and spec["activeDeadlineSeconds"] == 3600
    (group,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 3
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert "command" not in head and head["resources"]["requests"]["cpu"] == "200m"
    assert template["resource"]["successCondition"] == "status.jobStatus == SUCCEEDED"


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"workers": [1]}, "TIP109", "workers=[1]"),
        ({"kind": "JobSet"}, "TIP103", "no option 'kind'"),
    ],
)
def test_what_is_written_wrongly(given: dict[str, Any], code: str, text: str) -> None:
    check_wrong(RayJob, given, code, text)
