"""How a pipeline shows itself."""

from __future__ import annotations

from tiphys import Pipeline, component
from tiphys.dsl.pipeline import Pipeline as Made


@component
def double(number: int) -> int:
    """Twice."""
    return 2 * number


def made() -> Made:
    with Pipeline("twice") as pipeline:
        start = pipeline.param("start", 3, description="<b>")
        double(number=double(number=start).named("first")).named("second")
    return pipeline


def test_in_a_line() -> None:
    assert repr(made()) == "Pipeline('twice', 2 tasks, parameters: start)"
    assert repr(Pipeline("empty")) == "Pipeline('empty', 0 tasks)"


def test_in_a_notebook() -> None:
    html = made()._repr_html_()
    assert "<td" in html and "first" in html and "second" in html and "start" in html
    assert "&lt;b&gt;" in html and "<script" not in html


def test_one_that_cannot_be_compiled_says_why() -> None:
    assert "TIP1" in Pipeline("empty")._repr_html_()
