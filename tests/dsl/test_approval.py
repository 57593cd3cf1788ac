"""An approval: a suspend template whose answer is an output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tiphys
from tiphys import DefinitionError, Pipeline, approve, component
from tiphys.engine import RunOptions


@component
def deploy(answer: str) -> str:
    return f"deployed: {answer}"


def phases(tmp_path: Path, pipeline: Pipeline) -> dict[str, str]:
    options = RunOptions(store=tmp_path / "store", images={"*": "host"}, handle_signals=False)
    result = tiphys.run(pipeline, options=options)
    assert result.succeeded, result.message
    return {n["displayName"]: n["phase"] for n in result.workflow["status"]["nodes"].values()}


@pytest.mark.parametrize(("default", "phase"), [("yes", "Succeeded"), ("no", "Skipped")])
def test_nobody_answers(tmp_path: Path, default: str, phase: str) -> None:
    with Pipeline("approved") as pipeline:
        asked = approve("Deploy?", answers=("yes", "no"), after="1s", default=default)
        deploy(answer=asked).when(asked.answer == "yes")
    assert not [f for f in tiphys.lint(pipeline) if f.severity in ("error", "warning")]
    assert phases(tmp_path, pipeline)["deploy"] == phase


def test_what_argo_is_told() -> None:
    with Pipeline("approved") as pipeline:
        first = approve("Deploy?", answers=("yes", "no"))
        approve(name="second").after(first)
    one, two = pipeline.to_dict()["spec"]["templates"][1:]
    assert one["suspend"] == {} and two == {"name": "second", "suspend": {}}
    assert one["inputs"]["parameters"] == [
        {"name": "answer", "enum": ["yes", "no"], "default": "yes", "description": "Deploy?"}
    ]
    assert one["outputs"]["parameters"] == [{"name": "answer", "valueFrom": {"supplied": {}}}]


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "one text": (lambda: approve(answers=("yes", "yes")), "TIP105"),
    "default": (lambda: approve(answers=("yes", "no"), after="1h", default="maybe"), "TIP105"),
    "no default": (lambda: approve(answers=("yes", "no"), after="1h"), "TIP104"),
    "a default without answers": (lambda: approve(default="yes"), "TIP105"),
    "duration": (lambda: approve(after="soon"), "TIP115"),
    "name": (lambda: approve(name="Deploy it"), "TIP101"),
    "a value in its text": (lambda: approve(f"Deploy {deploy(answer='a')}?"), "TIP119"),
    "unknown answer": (lambda: deploy(answer=approve(answers=("a", "b")).nswer), "TIP106"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_at_its_line(case: str) -> None:
    act, code = WRONG[case]
    with Pipeline("wrong"), pytest.raises(DefinitionError) as caught:
        act()
    assert caught.value.code == code and "test_approval.py" in caught.value.where and caught.value.fix
