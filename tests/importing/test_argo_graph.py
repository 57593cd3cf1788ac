"""DAGs and steps as plain tasks: what waits for what, new names, and what has no word."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lint.places import lint_cases
from tiphys.argo.reader import read_text
from tiphys.importing.argo_graph import PLAIN, graph_of, text_of_value
from tiphys.importing.told import CannotSay

POD: Any = {"name": "p", "container": {"image": "x", "command": ["y"]}}


def graph(text: str) -> Any:
    return graph_of(read_text(text)[0].data, {"p": POD})


def test_steps_wait_for_all_of_the_group_before() -> None:
    made = graph("""
steps:
- [{name: A, template: p}, {name: b, template: p, continueOn: {failed: true}}]
- - {name: c, template: p, when: "{{steps.A.outputs.result}} == x"}
""")
    assert made.steps and made.renamed == {"A": "a"}
    assert made.tasks["c"].waits == {"a": PLAIN, "b": PLAIN | {"Failed"}}
    assert made.tasks["c"].when == "{{tasks.a.outputs.result}} == x"


def test_what_others_imply_is_no_edge() -> None:
    made = graph("""
dag:
  tasks:
  - {name: a, template: p}
  - {name: b, template: p, dependencies: [a]}
  - {name: c, template: p, depends: a && b}
  - {name: d, template: p, depends: a.Failed && b.Omitted}
""")
    assert made.waits()["c"] == {"b": {"Succeeded"}}
    assert made.waits()["d"] == {"a": {"Failed"}, "b": {"Omitted"}}


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("{name: b, template: p, depends: a || c}", "more than results"),
        ("{name: b, template: p, depends: '!a'}", "more than results"),
        ("{name: b, template: p, withSequence: {count: 3}}", "withSequence"),
        ("{name: b, template: gone}", "not here"),
        ("{name: b, templateRef: {name: x, template: y}}", "templateRef"),
        ("{name: b, template: p, arguments: {artifacts: [{name: x}]}}", "artifacts"),
        ("{name: b, template: p, continueOn: {failed: true}}", "may fail"),
    ],
)
def test_what_has_no_word_says_why(task: str, why: str) -> None:
    with pytest.raises(CannotSay, match=why):
        graph(f"\ndag:\n  tasks:\n  - {{name: a, template: p}}\n  - {{name: c, template: p}}\n  - {task}\n")


def test_the_reader_reads_or_refuses_all_of_argos_graphs() -> None:
    read = 0
    for case in lint_cases():
        if case["oracle"]["rc"] or not case["yaml"].strip():
            continue
        for document in read_text("\n" + case["yaml"]):
            spec = document.data.get("spec") or {}
            rows = {each["name"]: each for each in spec.get("templates") or ()}
            for template in rows.values():
                if "dag" in template or "steps" in template:
                    try:
                        made = graph_of(template, rows)
                    except CannotSay as reason:
                        assert str(reason)
                    else:
                        read += all(set(each.waits) <= set(made.tasks) for each in made.tasks.values())
    assert read > 200


def test_a_number_is_the_text_that_argo_has() -> None:
    assert [text_of_value(each) for each in (True, 3.0, 0.5, "x")] == ["true", "3", "0.5", "x"]
