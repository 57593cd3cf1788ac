"""Conditions of resource templates as rules read them."""

from __future__ import annotations

from tiphys.lint.conditions import fault, requirements


def test_tags_stand_for_a_number() -> None:
    assert fault("status.ready == {{inputs.parameters.n}},status.ready > {{=asInt(x)}}") == ""
    (found,) = requirements("status.ready > {{inputs.parameters.n}}")
    assert (found.key, found.operator, found.values) == ("status.ready", "gt", ("1",))


def test_what_cannot_be_read_has_no_requirements() -> None:
    assert fault("a b") == "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    assert requirements("a b") == []
