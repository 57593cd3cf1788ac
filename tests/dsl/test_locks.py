"""Locks of pipelines: what Argo reads of them, and which pools they are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hera.workflows import DAG, Workflow

import tiphys
from tests.dsl import library
from tests.tools import argo_lint
from tiphys import Gang, Pipeline, Semaphore, TFJob, component
from tiphys.argo.pools import POOLS, Weight, pools_of


def compiled(x: Any) -> list[Any]:
    return list(yaml.safe_load_all(tiphys.to_yaml(x)))


def weights(workflow: Any) -> dict[str, Weight]:
    return pools_of(workflow["metadata"].get("annotations") or {})


@component(locks=[Semaphore("slots", 3)])
def slotted() -> str:
    return "x"


@component(locks=[Semaphore("slots", 2, config_map="theirs")])
def other() -> str:
    return "x"


def test_a_gang_is_as_many_permits_as_it_has_workers(tmp_path: Path) -> None:
    with Pipeline("p") as pipeline:
        for workers in (2, 4, 3):
            TFJob(library.train, name=f"t{workers}", workers=workers, gang=Gang(capacity=4))(data="d")
    _, workflow = compiled(pipeline)
    assert weights(workflow) == {
        f"tiphys-locks/training-{workers}": Weight(f"tiphys-locks/training-{workers}", "training", workers, 4)
        for workers in (2, 3, 4)
    }
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""


def test_a_training_that_can_do_with_less_says_so(tmp_path: Path) -> None:
    """Argo has no such thing: there it is a gang of the most, and its semaphore is its own."""
    with Pipeline("p") as pipeline:
        TFJob(library.train, name="fixed", workers=4, gang=Gang(capacity=8))(data="d")
        TFJob(library.train, name="elastic", workers=(1, 4), gang=Gang(capacity=8))(data="d")
        TFJob(library.train, name="listed", workers=[1, 2, 4], gang=Gang(capacity=8))(data="d")
        TFJob(library.train, name="close", workers=[3, 4], gang=Gang(capacity=8))(data="d")
    limits, workflow = compiled(pipeline)
    keys = ("training-4", "training-1-4", "training-1-or-2-or-4", "training-3-4")
    assert limits["data"] == dict.fromkeys(keys, "2")
    assert weights(workflow) == {
        "tiphys-locks/training-4": Weight("tiphys-locks/training-4", "training", 4, 8),
        "tiphys-locks/training-1-4": Weight("tiphys-locks/training-1-4", "training", 4, 8, 1),
        "tiphys-locks/training-3-4": Weight("tiphys-locks/training-3-4", "training", 4, 8, 3),
        "tiphys-locks/training-1-or-2-or-4": Weight(
            "tiphys-locks/training-1-or-2-or-4", "training", 4, 8, 1, (1, 2, 4)
        ),
    }
    assert argo_lint(tiphys.to_yaml(pipeline), tmp_path) == ""
    assert not [each for each in tiphys.lint(pipeline) if each.severity != "info"]


def test_a_semaphore_is_a_pool_and_that_of_another_map_another() -> None:
    with Pipeline("p") as pipeline:
        slotted()
        other()
    assert weights(compiled(pipeline)[-1]) == {
        "tiphys-locks/slots": Weight("tiphys-locks/slots", "slots", 1, 3),
        "theirs/slots": Weight("theirs/slots", "theirs:slots", 1, 2),
    }


def test_of_one_pool_all_steps_say_one_size() -> None:
    with Pipeline("p") as pipeline:
        TFJob(library.train, name="two", workers=2, gang=Gang())(data="d")
        TFJob(library.train, name="three", workers=3, gang=Gang())(data="d")
    assert {each.size for each in weights(compiled(pipeline)[-1]).values()} == {3}


def test_runs_of_templates_say_it_too() -> None:
    with Pipeline("p", locks=[Semaphore("whole", 1)]) as pipeline:
        slotted()
    expected = weights(compiled(pipeline)[-1])
    assert expected.keys() == {"tiphys-locks/whole", "tiphys-locks/slots"}
    for made in (pipeline.as_template(), pipeline.as_cron("@daily")):
        assert pools_of(made["spec"]["workflowMetadata"]["annotations"]) == expected


def test_a_plain_hera_workflow_with_a_component_says_it() -> None:
    with Workflow(generate_name="h-", entrypoint="main") as workflow, DAG(name="main"):
        slotted()
    assert weights(compiled(workflow)[-1]).keys() == {"tiphys-locks/slots"}


def test_without_semaphores_there_is_no_annotation() -> None:
    with Pipeline("p") as pipeline:
        component(free)()
    assert POOLS not in (compiled(pipeline)[-1]["metadata"].get("annotations") or {})


def free() -> str:
    return "x"
