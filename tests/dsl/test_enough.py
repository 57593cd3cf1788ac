"""A selection that goes on without those who cannot change it: what is compiled, and what it does on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.dsl.straggling import backups, flow
from tests.engine.harness import node, value
from tests.tools import argo_lint
from tiphys import DefinitionError, Pipeline, TFJob, Volume, component, enough, for_each
from tiphys.engine import RunOptions, RunResult

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
FAST = {"curve": [0.6, 0.7, 0.75], "pause": 0.05}


@component
def judge(name: str) -> Any:
    return {"accuracy": 0.5}


def go(tmp_path: Path, script: dict[str, Any], **options: Any) -> RunResult:
    chosen = RunOptions(store=tmp_path / "store", project=ROOT, handle_signals=False, grace=1.0)
    return tiphys.run(flow(**options), options=chosen, script=json.dumps(script))


def selection(result: RunResult) -> dict[str, Any]:
    return dict(json.loads(value(result, "select", "selection")))


def why(result: RunResult) -> dict[str, str]:
    return {each["name"]: each["why"] for each in selection(result)["dropped"]}


def jobs(result: RunResult, of: str) -> str:
    nodes = result.workflow["status"]["nodes"].values()
    return next(each["phase"] for each in nodes if each["name"].endswith(f".{of}.train"))


def test_one_that_cannot_enter_is_stopped_and_its_backup_stays(tmp_path: Path) -> None:
    """Preempted again and again after its second epoch, and too far behind to matter."""
    slow = {"curve": [0.2, 0.22, 0.24, 0.26], "at": 2, "killed": -1}
    script = {"a": {**FAST, "judged": 0.8}, "b": {**FAST, "judged": 0.9}, "c": slow}
    result = go(tmp_path, script)
    assert result.succeeded
    assert selection(result)["chosen"] == ["b", "a"]
    assert why(result) == {"c": "behind"}
    assert "epoch 2 of 4" in selection(result)["dropped"][0]["reason"]
    assert "dropped: accuracy 0.2200" in value(result, "select", "ranking")
    assert (jobs(result, "a"), jobs(result, "c")) == ("Succeeded", "Failed")
    assert backups(tmp_path / "store")["c"] == 2


def test_the_best_is_waited_for_although_it_is_preempted(tmp_path: Path) -> None:
    late = {"curve": [0.5, 0.7, 0.9, 0.95], "at": 1, "killed": 2, "rest": 0.1}
    result = go(tmp_path, {"a": {**FAST, "judged": 0.8}, "b": {**FAST, "judged": 0.7}, "c": late})
    assert result.succeeded
    assert selection(result)["chosen"] == ["c", "a"]
    assert why(result) == {}


def test_one_that_failed_for_good_is_no_failure_of_the_workflow(tmp_path: Path) -> None:
    result = go(tmp_path, {"a": FAST, "b": FAST, "c": {"curve": [0.1, 0.2], "fails": 1}})
    assert result.succeeded
    assert why(result) == {"c": "failed"}
    assert selection(result)["dropped"][0]["reason"] == "it ended as Failed after epoch 1 of 2"


def test_too_few_names_each_failure(tmp_path: Path) -> None:
    broken = {"curve": [0.1, 0.2], "fails": 1}
    result = go(tmp_path, {"a": {**FAST, "judged": 0.8}, "b": broken, "c": broken})
    assert not result.succeeded
    folder = result.folder / "logs"
    text = "".join(path.read_text() for path in folder.glob("*.log"))
    assert "TIP730: 1 of the 2 models" in text or "TIP730: 0 of the 2 models" in text
    assert "b: it ended as Failed after epoch 1 of 2, c: it ended as Failed after epoch 1 of 2" in text


def test_without_patience_one_before_its_first_epoch_is_dropped_at_once(tmp_path: Path) -> None:
    result = go(tmp_path, {"a": FAST, "b": FAST, "c": {"curve": [0.9], "at": 0, "killed": -1}}, patience=0)
    assert result.succeeded
    assert why(result) == {"c": "patience"}


def test_a_later_run_takes_up_what_was_dropped(tmp_path: Path) -> None:
    """Dropped after its second epoch for want of patience: nothing of it is in the cache, and its backup is there."""
    late = {"curve": [0.6, 0.7, 0.8, 0.9], "at": 2, "killed": 1, "rest": 60}
    script = {"a": {**FAST, "pause": 0.2}, "b": {**FAST, "pause": 0.2}, "c": late}
    first = go(tmp_path, script, patience=0)
    assert first.succeeded
    assert why(first) == {"c": "patience"}
    assert backups(tmp_path / "store")["c"] == 2
    second = go(tmp_path, script)
    assert selection(second)["chosen"][0] == "c"
    folder = tmp_path / "store/volumes/tiphys/records" / second.name
    told = [
        json.loads(line)["epoch"]
        for file in folder.glob("c-*")
        for line in file.read_text().split("\n")
        if line
    ]
    assert told == [3, 4]


@pytest.mark.parametrize(
    ("kind", "resource"), [("TFJob", "tfjobs.kubeflow.org"), ("JobSet", "jobsets.jobset.x-k8s.io")]
)
@pytest.mark.filterwarnings("ignore::tiphys.TiphysWarning")
def test_only_the_job_of_the_one_is_removed(kind: Any, resource: str) -> None:
    from tests.dsl.library import train as trained

    job = "{{workflow.name}}-{{inputs.parameters.name}}"
    drop = TFJob(trained, workers=1, instance="model", kind=kind).drop
    assert list(drop.flags) == [resource, job, f"{job}-r1", f"{job}-r2"]


def test_one_that_waits_for_its_turn_is_not_waited_for(tmp_path: Path) -> None:
    """The gangs train one after the other; the first two are enough, whichever they are."""
    each = {**FAST, "third": 60}
    result = go(tmp_path, {"a": each, "b": each, "c": each}, capacity=1, patience=0)
    assert result.succeeded
    assert list(why(result).values()) == ["patience"]
    assert "before its first epoch" in selection(result)["dropped"][0]["reason"]


def test_all_from_the_cache(tmp_path: Path) -> None:
    script = {"a": FAST, "b": FAST, "c": {**FAST, "judged": 0.9}}
    assert go(tmp_path, script).succeeded
    again = go(tmp_path, script)
    assert again.succeeded
    assert selection(again)["chosen"] == ["c", "a"]
    assert node(again, "hand-in-a")["phase"] == "Succeeded"


def test_argo_takes_it(tmp_path: Path) -> None:
    assert argo_lint(tiphys.to_yaml(flow()), tmp_path) == ""
    assert [each for each in tiphys.lint(flow()) if each.severity != "info"] == []


def test_values_that_the_workflow_knows(tmp_path: Path) -> None:
    with Pipeline("p", volumes=[Volume("tiphys")]) as pipeline:
        serve = pipeline.param("serve", "final", choices=("final", "early"))
        top = pipeline.param("top", 1)
        seconds = pipeline.param("patience", 600)
        candidates = [judge(name=name).result for name in "ab"]
        enough(candidates, top=top, patience=seconds, ended=serve == "early", by="accuracy")
    text = tiphys.to_yaml(pipeline)
    assert argo_lint(text, tmp_path) == ""
    assert "{{=workflow.parameters.serve == 'early'}}" in text
    chosen = RunOptions(store=tmp_path / "store", handle_signals=False)
    result = tiphys.run(pipeline, options=chosen, serve="early")
    assert result.succeeded
    assert json.loads(value(result, "enough", "reports")) == [{"accuracy": 0.5}, {"accuracy": 0.5}]


def test_the_leaves_are_what_follows_each_candidate() -> None:
    """A candidate's failure is the workflow's only when a leaf of the graph inherits it."""
    main = next(each for each in flow().to_dict()["spec"]["templates"] if each["name"] == "main")
    tasks = {each["name"]: each for each in main["dag"]["tasks"]}
    text = " ".join(each.get("depends", "") for each in tasks.values())
    assert "depends" not in tasks["enough"]
    assert tasks["select"]["depends"] == "enough"
    for name in "abc":
        ends = (
            "("
            + " || ".join(f"{name}.{r}" for r in ("Succeeded", "Failed", "Errored", "Skipped", "Omitted"))
            + ")"
        )
        assert tasks[f"hand-in-{name}"]["depends"] == ends
        assert text.count(f"{name}.Failed") == 1
        # an expression that names outputs of a failed task is never resolved by the real controller
        given = {each["name"]: each["value"] for each in tasks[f"hand-in-{name}"]["arguments"]["parameters"]}
        assert given["task"] == f"{{{{=toJson(tasks.{name})}}}}"


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("TIP109", {"candidates": []}),
        ("TIP109", {"top": 3}),
        ("TIP109", {"min_accuracy": 90}),
        ("TIP109", {"margin": -1}),
        ("TIP109", {"twice": True}),
        ("TIP115", {"patience": "soon"}),
        ("TIP101", {"folder": "runs"}),
        ("TIP105", {"candidates": ["cnn"]}),
        ("TIP105", {"loop": True}),
    ],
    ids=str,
)
def test_refused(code: str, options: dict[str, Any]) -> None:
    with Pipeline("p", volumes=[Volume("tiphys")]), pytest.raises(DefinitionError) as caught:
        first = judge(name=for_each(["a", "b"]) if options.pop("loop", False) else "a").result
        candidates = [first, first if options.pop("twice", False) else judge(name="b").result]
        enough(options.pop("candidates", candidates), **options)
    assert caught.value.code == code
    assert "test_enough.py" in caught.value.where


def test_trainings_that_are_not_told_apart() -> None:
    from tests.dsl.library import train as trained

    with Pipeline("p", volumes=[Volume("tiphys")]), pytest.raises(DefinitionError) as caught:
        enough([judge(name="a").result], training=TFJob(trained, workers=1))
    assert caught.value.code == "TIP105"
