"""Display names: held against Go's own reading of the rule, and against what a run here says."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiphys
from tiphys.argo.display import DISPLAY_NAME, legal_display_name
from tiphys.argo.types import Template, Workflow
from tiphys.engine import RunOptions
from tiphys.lint import lint


def workflow(name: str) -> Workflow:
    leaf: Template = {
        "name": "leaf",
        "annotations": {DISPLAY_NAME: name},
        "inputs": {"parameters": [{"name": "x", "default": "b-2"}]},
        "script": {"image": "tiphys/step:0.1.0", "command": ["python"], "source": "print(1)"},
    }
    main: Template = {"name": "main", "steps": [[{"name": "a", "template": "leaf"}]]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "a-"},
        "spec": {"entrypoint": "main", "templates": [main, leaf]},
    }


@pytest.mark.parametrize(
    ("name", "legal"),
    [
        ("A-heavy-step", True),
        ("v1.2", True),
        ("x" * 63, True),
        ("a heavy step", False),
        ("x" * 64, False),
        ("a", False),  # two at least
        ("-a", False),
        ("a.", False),
        ("größe", False),
        ("a_b", False),
        ("a\n", False),
        ("a-{{inputs.parameters.x}}", True),
        ("a {{inputs.parameters.x}}", False),
    ],
)
def test_the_linter_says_what_the_run_says(tmp_path: Path, name: str, legal: bool) -> None:
    given = workflow(name)
    assert ("L377" not in {each.code for each in lint(given)}) == legal
    run = tiphys.run(given, options=RunOptions(store=tmp_path))
    phases = {node["displayName"]: node["phase"] for node in run.workflow["status"]["nodes"].values()}
    assert run.succeeded == legal
    assert (name.replace("{{inputs.parameters.x}}", "b-2") if legal else "a") in phases
    if "{{" not in name:
        assert legal_display_name(name) == legal
