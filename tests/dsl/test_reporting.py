"""What is compiled of a step that reports, as Argo and our own linter read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiphys
from tests.tools import argo_lint
from tiphys import Cache, Fake, Pipeline, Retry, Volume, component, report, with_fakes
from tiphys.dsl.reporting import reports
from tiphys.engine import RunOptions
from tiphys.records.fold import fold
from tiphys.records.points import points
from tiphys.step import report as reporting
from tiphys.store import Store


def by_name(epochs: int) -> int:
    report(epoch=1, of=epochs)
    return epochs


def by_module(epochs: int) -> int:
    tiphys.report(epoch=1, of=epochs)
    return epochs


def by_its_own_import(epochs: int) -> int:
    from tiphys import report as tell

    tell(epoch=1, of=epochs)
    return epochs


def by_the_room(epochs: int) -> int:
    reporting.report(epoch=1, of=epochs)
    return epochs


def by_a_helper(epochs: int) -> list[int]:
    return [by_name(each) for each in range(epochs)]


def in_a_callback(epochs: int) -> Callable[[], None]:
    return lambda: report(epoch=epochs)


def not_at_all(epochs: int) -> int:
    reports = json.dumps(epochs)
    return len(reports)


@pytest.mark.parametrize(
    "function", [by_name, by_module, by_its_own_import, by_the_room, by_a_helper, in_a_callback]
)
def test_who_reports_is_seen(function: Callable[..., object]) -> None:
    assert reports(function)


def test_who_does_not_is_seen() -> None:
    assert not reports(not_at_all)


@component(cache=Cache.by_content())
def learn(epochs: int) -> float:
    for epoch in range(1, epochs + 1):
        tiphys.report(epoch=epoch, of=epochs, accuracy=epoch / 10)
    return 0.5


@component
def plain(x: float) -> float:
    return x


def pipeline() -> Pipeline:
    with Pipeline("told", volumes=[Volume("tiphys")]) as made:
        plain(learn(epochs=4))
    return made


def test_only_a_step_that_reports_has_a_file_and_a_summary(tmp_path: Path) -> None:
    text = tiphys.to_yaml(pipeline())
    templates = {each["name"]: each for each in yaml.safe_load(text)["spec"]["templates"]}
    env = {each["name"]: each["value"] for each in templates["learn"]["script"]["env"]}
    assert env["TIPHYS_REPORT"] == "/mnt/tiphys/records/{{workflow.name}}/{{pod.name}}.jsonl"
    assert templates["learn"]["outputs"]["parameters"][-1] == {
        "name": "tiphys-summary",
        "valueFrom": {"path": env["TIPHYS_SUMMARY"], "default": "{}"},
    }
    assert "TIPHYS_REPORT" not in json.dumps(templates["plain"])
    assert tiphys.lint(pipeline()) == []
    assert argo_lint(text, tmp_path) == ""


def test_a_fake_of_it_and_a_cache_around_it_know_nothing_of_the_summary(tmp_path: Path) -> None:
    faked = with_fakes(pipeline(), {"learn": Fake(result=0.25)})
    assert "tiphys-summary" not in json.dumps(faked)
    retried = learn.using(retry=Retry(limit=2))
    with Pipeline("told", volumes=[Volume("tiphys")]) as made:
        plain(retried(epochs=4))
    templates = {each["name"]: each for each in yaml.safe_load(tiphys.to_yaml(made))["spec"]["templates"]}
    assert [each["name"] for each in templates["learn"]["outputs"]["parameters"]] == ["result"]
    assert argo_lint(tiphys.to_yaml(made), tmp_path) == ""


def test_what_it_told_is_in_the_volume_and_in_the_status(tmp_path: Path) -> None:
    result: Any = tiphys.run(pipeline(), options=RunOptions(store=tmp_path))
    workflow = result.workflow
    assert workflow["status"]["phase"] == "Succeeded"
    learned = next(each for each in workflow["status"]["nodes"].values() if each["displayName"] == "learn")
    values = {each["name"]: each["value"] for each in learned["outputs"]["parameters"]}
    assert json.loads(values["tiphys-summary"]) == {"accuracy": 0.4}
    assert len(list((tmp_path / "volumes" / "tiphys" / "records" / result.name).iterdir())) == 1
    step = next(
        each for each in fold(workflow, points(Store(tmp_path), workflow)).steps if each.name == "learn"
    )
    assert [each.value for each in step.points if each.key == "accuracy"] == [0.1, 0.2, 0.3, 0.4]
    assert step.metrics["accuracy"] == 0.4
