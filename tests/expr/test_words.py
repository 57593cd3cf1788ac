"""Words of expr-lang as names of tasks and inside expressions: what Go made of them is in words.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.machine.driving import drive
from tiphys.expr.dependencies import RESERVED, RESULTS
from tiphys.expr.depends import Depends, parse_depends
from tiphys.expr.evaluate import ExprError, evaluate

CASES = json.loads(Path(__file__).with_name("words.json").read_text())["cases"]
TASKS = [case for case in CASES if "task" in case]
EXPRESSIONS = [case for case in CASES if "task" not in case]
RESULT = {name: name == "Succeeded" for name in RESULTS}
ENVIRONMENT: dict[str, Any] = {
    "a": {"in": 1, "not": 2, "true": 3, "let": 4, "if": 5, "nil": 6}, "x": 1, "l": [1, 2],
}  # fmt: skip


@pytest.mark.parametrize("case", TASKS, ids=[case["expression"] for case in TASKS])
def test_a_task_of_that_name_in_depends(case: dict[str, Any]) -> None:
    logic = Depends((case["task"], "b"), frozenset(), case["expression"], None)
    results = {case["task"]: RESULT, "b": RESULT}
    if "error" not in case:
        assert logic.holds(results) == case["value"]
        return
    with pytest.raises(ExprError) as caught:
        logic.holds(results)
    assert str(caught.value) == f"unable to evaluate expression '{case['expression']}': {case['error']}"


def test_the_reserved_names_are_those_that_go_refused() -> None:
    assert {case["task"] for case in TASKS if "error" in case} == RESERVED


@pytest.mark.parametrize("case", EXPRESSIONS, ids=[case["expression"] for case in EXPRESSIONS])
def test_words_in_expressions(case: dict[str, Any]) -> None:
    if "error" not in case:
        assert evaluate(case["expression"], ENVIRONMENT) == case["value"]
        return
    with pytest.raises(ExprError) as caught:
        evaluate(case["expression"], ENVIRONMENT)
    assert str(caught.value) == case["error"]


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("way", ["depends: NAME.Succeeded", "depends: NAME", "dependencies: [NAME]"])
def test_what_depends_on_such_a_task_ends_in_error(name: str, way: str) -> None:
    made = drive(
        f"""
        entrypoint: main
        templates:
          - name: main
            dag:
              tasks:
                - {{name: "{name}", template: ok}}
                - {{name: after, template: ok, {way.replace("NAME", f'"{name}"' if "[" in way else name)}}}
                - {{name: last, template: ok, depends: after}}
          - {{name: ok, container: {{image: i}}}}
        """.replace(f"depends: {name}}}", f'depends: "{name}"}}')
    )
    assert made.phase == "Error"
    nodes = {node["displayName"]: node for node in made.nodes.values()}
    assert nodes[name]["phase"] == "Succeeded"
    assert nodes["after"]["phase"] == "Error" and nodes["after"]["type"] == "Skipped"
    assert nodes["after"]["message"].startswith(
        f"unable to evaluate expression '{'' if '.' in way else '('}{name}.Succeeded"
    )
    assert nodes["last"]["phase"] == "Omitted"


def test_dashes_are_underscores_in_what_is_evaluated() -> None:
    logic = parse_depends("a-1.Failed || b", lambda _: (False, False))
    assert logic.logic == "a_1.Failed || (b.Succeeded || b.Skipped || b.Daemoned)"
    assert logic.tasks == ("a-1", "b")
    assert logic.holds({"a-1": RESULT, "b": RESULT})
