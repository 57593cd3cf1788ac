"""What a workflow with an invalid spec ends with: the real controller's words, recorded in fixtures/invalid.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys import run
from tiphys.engine import RunOptions
from tiphys.lint import judge
from tiphys.reader import scan_text

CASES = json.loads((Path(__file__).parent / "fixtures" / "invalid.json").read_text())
GIVEN_AT_RUN_TIME = {"workflow-parameter"}  # lint cannot know what the run will be given


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
