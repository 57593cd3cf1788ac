"""Every rule finds its wrong example, and nothing else does; its right example is clean."""

from __future__ import annotations

import pytest

from tests.lint.examples import Example, examples, large_examples, whole
from tiphys.lint import catalogue, fix, lint

ALL = [*examples(), *large_examples()]


@pytest.mark.parametrize("example", ALL, ids=lambda item: item.code)
def test_the_wrong_example_gives_exactly_its_code(example: Example) -> None:
    found = {
        item.code
        for item in lint(whole(example.wrong), argo=example.argo)
        if item.severity != "info" or item.code == example.code
    }
    assert found == {example.code}


@pytest.mark.parametrize("example", ALL, ids=lambda item: item.code)
def test_the_right_example_is_clean(example: Example) -> None:
    found = [
        item
        for item in lint(whole(example.right), argo=example.argo)
        if item.severity != "info" or item.code == example.code
    ]
    assert [str(item) for item in found] == []


def test_every_rule_has_an_example() -> None:
    assert sorted(item.code for item in ALL) == sorted(catalogue)


def test_findings_tell_everything() -> None:
    for example in ALL:
        for finding in lint(whole(example.wrong), file="wf.yaml", argo=example.argo):
            entry = catalogue[finding.code]
            assert finding.severity in ("error", "warning", "info")
            assert finding.message
            assert finding.file == "wf.yaml"
            assert finding.line >= 1
            assert finding.column >= 1
            assert finding.cause == entry.why
            assert entry.what.endswith(".")
            assert entry.source


FIXABLE = [item for item in ALL if catalogue[item.code].fixable and item.code not in ("L115",)]


@pytest.mark.parametrize("example", FIXABLE, ids=lambda item: item.code)
def test_a_fixable_rule_repairs_something(example: Example) -> None:
    """Either the example is repaired, or the rule's own tests show where it repairs."""
    text = whole(example.wrong)
    repaired, applied = fix(text)
    if example.code in NOT_THESE:
        return
    assert example.code in {item.code for item in applied}
    assert example.code not in {item.code for item in lint(repaired)}


# Fixable in other cases than the one the example shows.
NOT_THESE = {"L302", "L340", "L341", "L347", "L403"}
