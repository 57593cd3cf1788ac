"""XGBoostJobs: a master and workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dsl.jobs_elsewhere import OPTIONS, check_legal, check_refused, check_wrong, training
from tiphys import XGBoostJob


@pytest.mark.parametrize("options", OPTIONS, ids=["gang", "one", "cached"])
def test_nobody_has_anything_against_it(options: dict[str, Any], tmp_path: Path) -> None:
    check_legal("XGBoostJob", XGBoostJob, options, tmp_path)


def test_here_it_is_refused_and_the_rest_runs_with_fakes(tmp_path: Path) -> None:
    check_refused("XGBoostJob", XGBoostJob, tmp_path)


def test_an_xgboostjob_has_a_master() -> None:
    template, job = training(XGBoostJob, workers=3)
    replicas = job["spec"]["xgbReplicaSpecs"]
    assert {kind: each["replicas"] for kind, each in replicas.items()} == {"Master": 1, "Worker": 2}
    assert replicas["Master"]["template"]["spec"]["containers"][0]["name"] == "xgboost"
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Master.succeeded == 1"


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"workers": (1, 2)}, "TIP109", "workers=(1, 2)"),
        ({"restart_policy": "No"}, "TIP105", "restart_policy='No'"),
    ],
)
def test_what_is_written_wrongly(given: dict[str, Any], code: str, text: str) -> None:
    check_wrong(XGBoostJob, given, code, text)
