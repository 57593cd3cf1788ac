"""A gate before serving, compiled, refused, and run on the local engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

import tiphys
from tests.dsl.gated import check, export, good_and_bad, urls
from tiphys import DefinitionError, Gate, Pipeline, Serving, component
from tiphys.engine import RunOptions
from tiphys.serving.gate.rules import GateRules
from tiphys.step.codec import decode
from tiphys.store import Store


def evaluated(name: str, accuracy: float) -> dict[str, object]:
    """Stands for an evaluation."""
    return {"name": name, "test_accuracy": accuracy, "class_accuracy": {"Bag": accuracy}, "synthetic": False}


def gated(
    gate: Callable[..., Gate], serving: Serving | None = None, models: tuple[str, str] = ("x", "y")
) -> Pipeline:
    """Two slots behind the same gate, the second only with ``two``."""
    serving = serving or Serving("m", replicas=1)
    with Pipeline("gated") as pipeline:
        two = pipeline.param("two", True)
        report = component(evaluated)
        reports = [
            report(name=name, accuracy=accuracy).named(f"judge-{name}").outputs.result
            for name, accuracy in (("a", 0.9), ("b", 0.5))
        ]
        served = report(name="s", accuracy=0.9).named("served")
        stands = gate(reports=reports, served=served.outputs.result)
        first = serving.publish("first", name="a", model=f"pvc://tiphys/models/{models[0]}", gate=stands)
        second = serving.publish(
            "second", name="b", model=f"pvc://tiphys/models/{models[1]}", gate=stands, when=two
        )
        component(urls, embed=True)(given=[first.url.optional(""), second.url.optional("")])
    return pipeline


def compiled(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    workflow = yaml.safe_load(tiphys.to_yaml(pipeline))
    assert not [finding for finding in tiphys.lint(workflow) if finding.severity == "error"]
    return {template["name"]: template for template in workflow["spec"]["templates"]}


def all_of_it(**values: Any) -> Gate:
    return Gate(
        no_worse_by=0.01, per_class=0.03, p99="20ms", memory="1Gi", golden=32, data_age="14d",
        data_time="2026-11-28", inputs={"images": "uint8[?,28,28]"}, **values,
    )  # fmt: skip


def test_what_it_says_is_what_the_step_is_asked() -> None:
    found = compiled(gated(all_of_it))
    tasks = {task["name"]: task for task in found["main"]["dag"]["tasks"]}
    given = {p["name"]: p["value"] for p in tasks["gate-first"]["arguments"]["parameters"]}
    assert decode(given["rules"], GateRules) == GateRules(
        p99_seconds=0.02,
        memory_bytes=2**30,
        golden=32,
        inputs={"images": "uint8[?,28,28]"},
        no_worse_by=0.01,
        per_class=0.03,
        data_age_seconds=14 * 86400,
    )
    assert given["data-time"] == "2026-11-28"
    assert found["gate"]["container"]["command"] == [
        "python", "-m", "tiphys.step", "tiphys.serving.gate.judge:judge",
    ]  # fmt: skip
    assert tasks["gate-second"]["template"] == "gate"
    # nothing is deployed but what has passed, and a gate that was skipped has not
    for slot in ("first", "second"):
        passed = f"tasks['gate-{slot}'].outputs.parameters.passed == 'true'"
        assert tasks[f"deploy-{slot}"]["when"] == "{{=" + passed + "}}"
    assert tasks["gate-second"]["when"] == "{{=workflow.parameters.two == 'true'}}"
    assert tasks["deploy-second"]["depends"] == "gate-second.Succeeded"
    assert tasks["expose-first"]["depends"] == "deploy-first.Succeeded"


@pytest.mark.parametrize(
    ("serving", "gate", "image"),
    [
        ({}, {}, "tiphys/step:"),  # tensorflow/serving has no Python
        ({"image": "us/serving:1"}, {}, "us/serving:1"),
        ({"image": "us/serving:1"}, {"image": "us/gate:2"}, "us/gate:2"),
    ],
)
def test_it_runs_in_the_image_that_serves(serving: Any, gate: Any, image: str) -> None:
    found = compiled(gated(lambda **values: Gate(**gate, **values), Serving("m", **serving)))
    assert found["gate"]["container"]["image"].startswith(image)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda: Gate(p99="20"), "p99='20'"),
        (lambda: Gate(p99="-1ms"), "p99='-1ms'"),
        (lambda: Gate(load="0s"), "load='0s'"),
        (lambda: Gate(memory="much"), "memory='much'"),
        (lambda: Gate(memory="0"), "memory='0'"),
        (lambda: Gate(golden=-1), "golden=-1"),
        (lambda: Gate(requests=0), "requests=0"),
        (lambda: Gate(no_worse_by=float("nan"), reports=[{}]), "no_worse_by=nan"),
        (lambda: Gate(per_class=True, reports=[{}]), "per_class=True"),
        (lambda: Gate(no_worse_by=0.1), "a comparison without reports"),
        (lambda: Gate(data_age="14d"), "data_age='14d' without data_time"),
    ],
)
def test_what_no_model_could_be_judged_by_is_refused(wrong: Callable[[], Gate], word: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        wrong()
    assert caught.value.code == "TIP109"
    assert word in caught.value.message
    assert "test_gate.py" in caught.value.where


class Served(NamedTuple):
    """As the registry says it: an empty ``report`` is of nothing."""

    found: bool
    report: str


def baseline(report: str) -> Served:
    return Served(report != "", report)


def anything() -> list[object]:
    return []


@pytest.mark.parametrize("report", ["", '{"test_accuracy": 0.9, "synthetic": false}'])
def test_what_is_served_may_be_known_only_when_it_runs(tmp_path: Path, report: str) -> None:
    """As text, as the report of a task that was skipped; without a model every verdict is a refusal."""
    serving = Serving("m")
    with Pipeline("late") as pipeline:
        known = component(baseline)(report=report)
        judged = component(evaluated)(name="served", accuracy=0.9).when(known.found)
        some = component(anything)()
        for slot, served, reports in (
            ("text", known.report, [judged.outputs.result.optional("{}")]),
            ("task", judged.outputs.result.optional("{}"), some.outputs.result),
        ):
            made = pipeline.param(f"made-{slot}", "2026-11-28")
            gate = Gate(no_worse_by=0.01, reports=reports, served=served, data_age="36500d", data_time=made)
            serving.publish(slot, name="a", model="pvc://tiphys/models/none", gate=gate)
    result = tiphys.run(pipeline, options=RunOptions(store=tmp_path / "store"))
    nodes = {node["displayName"]: node for node in result.workflow["status"]["nodes"].values()}
    for slot in ("text", "task"):
        outputs = {p["name"]: p["value"] for p in nodes[f"gate-{slot}"]["outputs"]["parameters"]}
        reasons = [reason.partition(":")[0] for reason in json.loads(outputs["reasons"])]
        assert reasons == ["worse? nobody knows"] * bool(report) + ["cannot load"]
        assert nodes[f"deploy-{slot}"]["phase"] == "Skipped"


@pytest.mark.train
def test_the_good_model_is_served_and_the_bad_one_is_not(tmp_path: Path) -> None:
    """On the local engine; tests/cluster runs the same on the real controller."""
    pytest.importorskip("tensorflow")
    store = tmp_path / "store"
    export(Store(store).volume("tiphys") / "models")
    check(tiphys.run(good_and_bad("pvc://tiphys/models"), options=RunOptions(store=store)).workflow)


def test_without_the_second_slot_its_gate_is_skipped_too(tmp_path: Path) -> None:
    one = tiphys.run(gated(Gate), options=RunOptions(store=tmp_path / "store"), two=False)
    nodes = {node["displayName"]: node for node in one.workflow["status"]["nodes"].values()}
    assert one.succeeded
    assert nodes["gate-second"]["phase"] == "Skipped"
    assert nodes["deploy-second"]["phase"] == "Omitted"
