"""What all jobs of the training operator do alike, whatever their kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.harness import Recorder, execute, workflow
from tests.engine.objects.test_pytorchjob import pytorchjob
from tests.engine.objects.test_pytorchjob import waiting as waiting_for_pytorch
from tests.engine.test_resources import tfjob, waiting
from tiphys.engine import ReplicaChanged


def job_of(kind: str, script: str, **spec: Any) -> dict[str, Any]:
    if kind == "TFJob":
        return waiting(tfjob(script, replicas=1, **spec), workers=1)
    manifest = pytorchjob(script, **spec)
    del manifest["spec"]["pytorchReplicaSpecs"]["Worker"]
    return waiting_for_pytorch(manifest)


@pytest.mark.parametrize("kind", ["TFJob", "PyTorchJob"])
def test_a_job_that_is_suspended_starts_nothing(kind: str, tmp_path: Path) -> None:
    seen = Recorder()
    step = {**job_of(kind, "true", runPolicy={"suspend": True}), "activeDeadlineSeconds": 1}
    assert execute(tmp_path, workflow(step), observer=seen).phase == "Failed"
    assert seen.of(ReplicaChanged) == []


@pytest.mark.parametrize("kind", ["TFJob", "PyTorchJob"])
def test_restarts_inside_of_a_pod_have_a_limit(kind: str, tmp_path: Path) -> None:
    """PastBackoffLimit of pkg/controller.v1/common counts those of OnFailure and Always."""
    fields = {"worker": {"restartPolicy": "OnFailure"}} if kind == "TFJob" else {"policy": "OnFailure"}
    step = job_of(kind, "exit 1", runPolicy={"backoffLimit": 1}, **fields)
    assert execute(tmp_path, workflow(step)).phase == "Failed"
