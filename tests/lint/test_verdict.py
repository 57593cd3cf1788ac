"""What a workflow with an invalid spec ends with: the real controller's words, recorded in fixtures/invalid.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tiphys import run
from tiphys.argo.reader import scan_text
from tiphys.engine import RunOptions
from tiphys.lint import Verdict, judge

CASES = json.loads((Path(__file__).parent / "fixtures" / "invalid.json").read_text())
GIVEN_AT_RUN_TIME = {
    "workflow-parameter",
    "workflow-parameter-default",
}  # lint cannot know what the run will be given


def workflow(spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "case"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["name"] not in GIVEN_AT_RUN_TIME], ids=lambda case: case["name"]
)
def test_the_words_are_the_controllers(case: dict[str, Any]) -> None:
    documents = list(scan_text("---\n" + json.dumps(workflow(case["spec"]), indent=1), file="case.yaml"))
    verdict = judge(documents, documents[0])
    assert verdict.invalid == case["invalid"]
    assert (verdict.reason is not None) == bool(case["invalid"])
    assert not verdict.undecodable


@pytest.mark.parametrize("case", [case for case in CASES if case["invalid"]], ids=lambda case: case["name"])
def test_a_run_ends_with_them_before_anything_starts(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(workflow(case["spec"])))
    result = run(str(file), options=RunOptions(store=tmp_path / "store", images={"*": "host"}))
    assert (result.phase, result.message) == ("Failed", f"invalid spec: {case['invalid']}")
    assert not result.workflow["status"].get("nodes")


def calls_made(tasks: int) -> int:
    """How many Python functions judging a DAG of that many tasks, each waiting for the one before, calls."""
    dag = [
        {"name": f"t{at}", "template": "leaf", **({"depends": f"t{at - 1}"} if at else {})}
        for at in range(tasks)
    ]
    templates = [
        {"name": "main", "dag": {"tasks": dag}},
        {"name": "leaf", "container": {"image": "busybox"}},
    ]
    text = json.dumps(workflow({"entrypoint": "main", "templates": templates}))
    documents = list(scan_text(text, file="case.json"))
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        assert judge(documents, documents[0]).invalid == ""
    finally:
        sys.setprofile(None)
    return count


def test_the_work_grows_with_the_tasks_not_with_their_square() -> None:
    calls_made(2)  # what is loaded once
    assert calls_made(800) < 5 * calls_made(200)


def _verdict(text: str) -> Verdict:
    documents = list(scan_text(text, file="case.yaml"))
    return judge(documents, documents[0])


@pytest.mark.parametrize(
    ("place", "lost", "told"),
    [
        ("spec: {synchronization: {mutex: {name: m}}, ", ["L110"], ["L110"]),  # of Argo 3
        ("spec: {synchronization: {semaphore: {configMapKeyRef: {name: m, key: k}}}, ", ["L110"], ["L110"]),
        ("metadata: {name: x, label: {a: b}}\nspec: {", [], ["L110"]),
        ("spec: {serviceAccountName: 12, ", [], ["L113"]),
        ("spec: {", [], []),
    ],
)
def test_what_would_have_no_effect(place: str, lost: list[str], told: list[str]) -> None:
    head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n"
    if not place.startswith("metadata"):
        head += "metadata: {name: x}\n"
    leaf = "entrypoint: m, templates: [{name: m, container: {image: 'alpine:3.23'}}]}\n"
    verdict = _verdict(head + place + leaf)
    assert [item.code for item in verdict.lost] == lost
    assert [item.code for item in verdict.ignored] == told


def test_what_argo_drops_in_silence_is_told() -> None:
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: x}\nspec: {entrypoint: m, templates: "
        "[{name: m, steps: [[{name: a, inline: {synchronization: {mutex: {name: m}}, container: "
        "{image: 'alpine:3.23'}}}]]}]}\n"
    )
    verdict = _verdict(text)
    assert (verdict.lost, [item.code for item in verdict.ignored], verdict.invalid) == ((), ["L111"], "")


def test_a_field_in_another_case_is_the_field_where_argo_decodes_so() -> None:
    """Inside a step Go's plain decoder reads, which takes ``Steps`` for ``steps``."""
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: x}\nspec: {entrypoint: m, templates: "
        "[{name: m, steps: [[{name: a, inline: {FIELD: [[{name: b, "
        "templateRef: {name: nowhere, template: t}}]]}}]]}]}\n"
    )
    written = _verdict(text.replace("FIELD", "steps")).invalid
    assert written.endswith("template reference nowhere.t not found")
    assert _verdict(text.replace("FIELD", "Steps")).invalid == written
