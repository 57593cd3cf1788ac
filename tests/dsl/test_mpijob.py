"""MPIJobs: a launcher, and workers that sleep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dsl.jobs_elsewhere import OPTIONS, check_legal, check_refused, check_wrong, training
from tiphys import MPIJob, Resources


@pytest.mark.parametrize("options", OPTIONS, ids=["gang", "one", "cached"])
def test_nobody_has_anything_against_it(options: dict[str, Any], tmp_path: Path) -> None:
    check_legal("MPIJob", MPIJob, options, tmp_path)


def test_here_it_is_refused_and_the_rest_runs_with_fakes(tmp_path: Path) -> None:
    check_refused("MPIJob", MPIJob, tmp_path)


def test_an_mpijob_starts_its_processes_in_workers_that_sleep() -> None:
    template, job = training(MPIJob, workers=2, slots=4, launcher=Resources(cpu="200m", memory="64Mi"))
    assert job["spec"]["slotsPerWorker"] == 4 and job["spec"]["mainContainer"] == "mpi"
    replicas = job["spec"]["mpiReplicaSpecs"]
    pods = {kind: each["template"]["spec"] for kind, each in replicas.items()}
    assert {kind: each["replicas"] for kind, each in replicas.items()} == {"Launcher": 1, "Worker": 2}
    assert pods["Launcher"]["containers"][0]["command"] == [
        "mpirun", "-np", "8", "python", "-m", "tiphys.step", "tests.dsl.library:train",
    ]  # fmt: skip
    assert "command" not in pods["Worker"]["containers"][0]
    assert pods["Launcher"]["containers"][0]["resources"]["requests"]["cpu"] == "200m"
    assert (
        pods["Launcher"]["automountServiceAccountToken"],
        pods["Worker"]["automountServiceAccountToken"],
    ) == (
        True,
        False,
    )
    assert template["resource"]["successCondition"] == "status.replicaStatuses.Launcher.succeeded == 1"


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"workers": 0}, "TIP109", "workers=0"),
        ({"slots": True}, "TIP109", "slots=True"),
        ({"clean_pods": "No"}, "TIP105", "clean_pods='No'"),
    ],
)
def test_what_is_written_wrongly(given: dict[str, Any], code: str, text: str) -> None:
    check_wrong(MPIJob, given, code, text)
