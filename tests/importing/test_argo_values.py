"""Texts with tags as values of Python."""

from __future__ import annotations

import pytest

from tiphys.importing.argo_values import TagScope, condition_of

SCOPE = TagScope(
    tasks={"a-b": "a_b"},
    outputs={"a-b": {"*result", "rate", "my-out", "named"}},
    parameters={"count": "count"},
    inputs={"text": "text"},
    item="each",
)


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("plain", '"plain"'),
        ("{{tasks.a-b.outputs.result}}", "a_b.result"),
        ("{{tasks.a-b.outputs.parameters.my-out}}", "a_b.my_out"),
        ("{{tasks.a-b.outputs.parameters.named}}", 'a_b.outputs["named"]'),
        ("{{item.os}}", 'each["os"]'),
        ("{{workflow.status}}", "workflow_status"),
        ("{{workflow.labels.x}}", 'raw("{{workflow.labels.x}}")'),
        ("{{tasks.gone.outputs.result}}", 'raw("{{tasks.gone.outputs.result}}")'),
        ("n {{ workflow.parameters.count }}", 'compose("n {count}", count=count)'),
        ("{x} {{workflow.parameters.count}}", 'raw("{x} {{workflow.parameters.count}}")'),
        ("{{=item}}!", 'raw("{{=item}}!")'),
    ],
)
def test_a_text_is_a_value_where_one_stands_for_it(text: str, python: str) -> None:
    assert SCOPE.text(text).python == python


def test_texts_that_are_compared_are_conditions_and_numbers_are_not() -> None:
    assert condition_of("{{x.y}} == heads && 'a b' != {{z}}") == [("x.y", "==", "heads"), ("z", "!=", "a b")]
    for text in ("{{x}} == 5", "{{x}} > 5", "{{x}} == a || {{x}} == b", "({{x}} == a)", "{{x}} == true"):
        assert condition_of(text) is None
