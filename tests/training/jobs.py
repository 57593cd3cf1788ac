"""Algorithms, jobs and their runs on this machine, for the tests of what a job becomes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tiphys.engine import RunOptions, RunResult
from tiphys.runs.start import run
from tiphys.training.job import Algorithm, TrainingJob, TrainingRequest
from tiphys.training.workflow import workflow_of

IMAGES = {"alpine*": "host", "tiphys/*": "host"}


def shell(script: str, **fields: object) -> Algorithm:
    """An algorithm that is a line of shell, in an image that is not ours."""
    return Algorithm("mnist", 1, "alpine:3", ("sh", "-c"), (script, "sh"), **fields)  # type: ignore[arg-type]


def job_of(
    parameters: Mapping[str, str] | None = None, *, run_name: str = "train-0123456789", **fields: str
) -> TrainingJob:
    request = TrainingRequest("mnist", parameters=parameters or {}, **fields)  # type: ignore[arg-type]
    return TrainingJob(7, request, "ann", "default", 1, run_name)


def trained(job: TrainingJob, algorithm: Algorithm, store: Path) -> RunResult:
    return run(workflow_of(job, algorithm), options=RunOptions(store=store, images=IMAGES))


def phases(result: RunResult) -> dict[str, str]:
    nodes = (result.workflow["status"].get("nodes") or {}).values()
    return {node["displayName"]: node["phase"] for node in nodes}
