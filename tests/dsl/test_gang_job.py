"""What trainings on several pods have in common, whatever their kind is."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

import tiphys
from tests.dsl import library
from tiphys import (
    Cache,
    DefinitionError,
    Gang,
    MPIJob,
    Pipeline,
    PyTorchJob,
    RayJob,
    Scheduling,
    TFJob,
    XGBoostJob,
)
from tiphys.dsl.gang_job import GangJob, JobOptions

KINDS: list[Callable[..., GangJob]] = [TFJob, PyTorchJob, XGBoostJob, MPIJob, RayJob]


def step(make: Callable[..., GangJob], **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    with Pipeline("p") as pipeline:
        make(library.train, instance="model", cache=Cache.by_content(), gang=Gang(capacity=2), **options)(
            data="d"
        )
    spec = list(yaml.safe_load_all(tiphys.to_yaml(pipeline)))[-1]["spec"]
    (template,) = (each for each in spec["templates"] if "manifest" in each.get("resource", {}))
    return template, json.loads(template["resource"]["manifest"])


@pytest.mark.parametrize("make", KINDS)
def test_what_is_said_of_one_kind_is_said_of_all(make: Callable[..., GangJob]) -> None:
    template, manifest = step(make, scheduling=Scheduling(queue="team-a"))
    other_template, other = step(TFJob, scheduling=Scheduling(queue="team-a"))
    assert manifest["metadata"] == other["metadata"]
    for field in ("inputs", "outputs", "synchronization", "retryStrategy", "podSpecPatch"):
        assert template[field] == other_template[field]


def test_options_are_those_that_the_class_takes() -> None:
    """Two lists of one thing: who types an option wrongly is told by either."""
    taken = inspect.signature(GangJob.__init__).parameters
    inner = {"self", "function", "counts", "kind", "plural", "success", "failure", "elastic"}
    assert set(JobOptions.__annotations__) == set(taken) - inner


@pytest.mark.parametrize("make", KINDS)
def test_an_option_that_there_is_not(make: Callable[..., GangJob]) -> None:
    with pytest.raises(DefinitionError) as caught:
        make(library.train, workrs=2)
    assert caught.value.code == "TIP103" and "Did you mean 'workers'" in caught.value.message
    assert "test_gang_job.py" in (caught.value.where or "")
