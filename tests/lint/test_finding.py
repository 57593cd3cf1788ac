"""One finding, shown."""

from __future__ import annotations

from tiphys.lint.finding import Finding


def test_in_a_notebook_it_says_what_where_and_what_to_do() -> None:
    found = Finding(
        "L201",
        "error",
        "<b>what</b>",
        fix="do this",
        file="a.yaml",
        path="spec.x",
        line=3,
        object="Workflow/a",
        python_file="a.py",
        python_line=7,
    )
    html = found._repr_html_()
    for part in ("L201", "error", "&lt;b&gt;what", "do this", "a.yaml:3:1", "spec.x", "a.py:7", "Workflow/a"):
        assert part in html, part
    assert "cause" not in html and "<b>what" not in html
    assert str(found) == "a.yaml:3:1: error L201 <b>what</b>"


def test_where_it_is_in_the_document_is_said_once() -> None:
    plain = Finding("L201", "error", "what", line=3)
    placed = Finding("L201", "error", "what", line=3, steps=("spec", 0), document=2)
    assert plain == placed and len({plain, placed}) == 1 and repr(plain) == repr(placed)
    assert plain != Finding("L201", "error", "what", line=4)
    assert plain != tuple(plain) and "line=3" in repr(plain) and "steps" not in repr(plain)
