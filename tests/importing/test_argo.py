"""Argo's own cases: what is imported runs as Python, compiles, and is no worse than its source for the linter."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tiphys
from tests.importing.flows import flow, imported, outcome, tasks
from tests.lint.places import lint_cases
from tiphys.argo.reader import read_text
from tiphys.errors import RefusedError, TiphysError
from tiphys.importing import import_argo
from tiphys.importing.check import made_by

pytestmark = pytest.mark.long

LOOP = """    dag:
      tasks:
      - name: B
        depends: a && (b.Failed || b.Succeeded)
        template: say
        arguments: {parameters: [{name: text, value: "{{item}}"}]}
        withItems: [x, "7"]
      - {name: a, template: say, arguments: {parameters: [{name: text, value: "n is {{workflow.parameters.count}}"}]}}
      - name: b
        template: say
        when: "{{workflow.parameters.mood}} == good"
        arguments: {parameters: [{name: text, value: b}]}
"""
SPEC = """  ttlStrategy: {secondsAfterCompletion: 60}
  arguments:
    parameters:
    - {name: count, value: 3}
    - {name: mood, value: good, enum: [good, bad]}
"""


def test_a_graph_is_said_in_words_and_means_the_same(tmp_path: Path) -> None:
    text = flow(LOOP, spec=SPEC)
    made, compiled = imported(text)
    assert "argo_template" not in made.source and "for_each(" in made.source
    assert compiled["spec"]["ttlStrategy"] == {"secondsAfterCompletion": 60}
    assert "securityContext" not in compiled["spec"]
    assert tasks(compiled)["b-2"]["withItems"] == ["x", "7"]
    told = {each.what: each for each in made.told}
    assert told["the task 'B' of 'main'"].line == text.split("\n").index("  - name: main") + 1
    assert outcome(text, tmp_path / "a") == outcome(compiled, tmp_path / "b")


def accepted() -> list[dict[str, Any]]:
    """Cases that the real ``argo lint`` accepts by themselves, one document each."""
    found = [case for case in lint_cases() if case["oracle"]["rc"] == 0 and not case["context"]]
    return [case for case in found if len(read_text("\n" + case["yaml"])) == 1]


def errors(workflow: Any) -> Counter[str]:
    return Counter(each.code for each in tiphys.lint(workflow) if each.severity == "error")


def test_each_case_that_argo_accepts_is_imported_or_refused_with_a_code() -> None:
    kinds: Counter[str] = Counter()
    worse = []
    for number, case in enumerate(accepted()):
        text = "\n" + case["yaml"]
        try:
            made = import_argo(text)
        except TiphysError as error:
            kinds[error.code] += 1
            continue
        kinds["kept" if "    pass\n" in made.source else "words"] += 1
        if number % 4:
            continue
        name = "pipeline" if re.search(r"^kind: Workflow\s*$", text, re.MULTILINE) else "build"
        if more := errors(made_by(made.source, name)) - errors(read_text(text)[0].data):
            worse.append((case["id"], more))
    assert not worse
    assert kinds["words"] > 3 * kinds["kept"] / 2 and kinds["TIP247"] < 20
    assert set(kinds) == {"words", "kept", "TIP247"}


def test_several_documents_are_several_pipelines_and_others_are_told() -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n"
    made = import_argo(flow(LOOP, spec=SPEC) + "\n---\n" + config + "---" + flow(LOOP, spec=SPEC))
    assert tiphys.Pipeline.__name__ in made.source
    for name in ("pipeline_1", "pipeline_2"):
        assert tasks(dict(made_by(made.source, name))).keys() == {"a", "b", "b-2"}
    assert [each.kind for each in made.told if "settings" in each.what] == ["dropped"]
    assert not made.whole


@pytest.mark.parametrize(
    "text",
    ["kind: ConfigMap\napiVersion: v1\n", "\nkind: Workflow\nspec: {workflowTemplateRef: {name: x}}\n"],
)
def test_what_has_no_templates_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        import_argo("\n" + text)
    assert caught.value.code == "TIP247" and caught.value.fix


def test_argos_own_examples_end_the_same(tmp_path: Path) -> None:
    names = (
        "loops",
        "steps.yaml",
        "dag-diamond",
        "exit-handler",
        "output-parameter",
        "conditionals.yaml",
        "dag-con",
    )
    run = 0
    for case in accepted():
        if not case["name"].startswith("examples/") or not any(name in case["name"] for name in names):
            continue
        text = "\n" + case["yaml"]
        if "random" in text or "http" in text or "sleep" in text or run == 5:
            continue
        made, compiled = imported(text)
        if "    pass\n" in made.source:
            continue
        run += 1
        assert outcome(text, tmp_path / f"{run}a") == outcome(compiled, tmp_path / f"{run}b"), case["name"]
    assert run >= 3
