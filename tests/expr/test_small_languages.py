"""govaluate, depends, Go durations, printf and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiphys.expr.dependencies import RESULTS
from tiphys.expr.depends import parse_depends
from tiphys.expr.durations import (
    format_go,
    in_hours,
    is_go,
    is_loose,
    parse_go,
    parse_human,
    parse_loose,
)
from tiphys.expr.evaluate import ExprError
from tiphys.expr.gofmt import sprintf, v
from tiphys.expr.gotime import format_layout, parse_layout, strftime
from tiphys.expr.govaluate import WhenError, evaluate_when


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("heads == heads", True),
        ("heads == tails", False),
        ("'two words' == 'two words'", True),
        ("1 < 2 && 2.0 == 2", True),
        ("x in (a, x)", True),
        ("x in (a, b)", False),
        ("!(1 == 1) || true", True),
        ("heads =~ 'h.*s'", True),
        ("heads !~ tai", True),
        ("5 >= 5", True),
        ("3 + 4 == 7", True),
        ("2 * 3 > 5 ? true : false", True),
        ("", True),
        ("true", True),
    ],
)
def test_when(text: str, expected: bool) -> None:
    assert evaluate_when(text) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # worded by the real controller
        (
            "'{\"a\": [1, 2]}' != d",
            "Invalid 'when' expression ''{\"a\": [1, 2]}' != d': "
            "Cannot transition token types from STRING [{] to VARIABLE [a]",
        ),
        (
            "dx! == dx",
            "Invalid 'when' expression 'dx! == dx': Invalid token: '!' "
            '(hint: try wrapping the affected expression in quotes ("))',
        ),
        (
            "p q == dx",
            "Invalid 'when' expression 'p q == dx': Cannot transition token types from VARIABLE [p] to VARIABLE [q]",
        ),
        ("heads", "Expected boolean evaluation for 'heads'. Got heads"),
    ],
)
def test_when_errors(text: str, message: str) -> None:
    with pytest.raises(WhenError) as caught:
        evaluate_when(text)
    assert str(caught.value) == message


def _results(**phases: str) -> dict[str, dict[str, bool]]:
    names = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")
    return {task.replace("_", "-"): {name: name == phase for name in names} for task, phase in phases.items()}


@pytest.mark.parametrize(
    ("text", "phases", "expected"),
    [
        ("a", {"a": "Skipped"}, True),
        ("a", {"a": "Omitted"}, False),
        ("a && b_c", {"a": "Succeeded", "b_c": "Succeeded"}, True),
        ("a.Failed || b-c.Succeeded", {"a": "Succeeded", "b_c": "Succeeded"}, True),
        ("!(a.Failed) && !b-c", {"a": "Succeeded", "b_c": "Failed"}, True),
        ("a.AnySucceeded", {"a": "AnySucceeded"}, True),
    ],
)
def test_depends(text: str, phases: dict[str, str], expected: bool) -> None:
    depends = parse_depends(text.replace("b_c", "b-c"), lambda name: (False, False))
    assert depends.holds(_results(**phases)) is expected


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["", *RESULTS])), min_size=1, max_size=4),
    st.fixed_dictionaries({task: st.sampled_from(RESULTS) for task in "abc"}),
)
def test_a_plain_conjunction_is_what_its_expression_is(
    words: list[tuple[str, str]], phases: dict[str, str]
) -> None:
    """Without a parenthesis no expression is compiled."""
    text = " && ".join(f"{task}.{result}" if result else task for task, result in words)
    plain, compiled = (parse_depends(each, lambda name: (name == "b", True)) for each in (text, f"({text})"))
    assert (plain.tasks, plain.groups) == (compiled.tasks, compiled.groups)
    assert plain.holds(_results(**phases)) is compiled.holds(_results(**phases))


def test_depends_knows_continue_on_and_refuses_other_results() -> None:
    assert parse_depends("a", lambda name: (False, True)).holds(_results(a="Failed"))
    with pytest.raises(ExprError, match="task result 'Broken' for task 'a' is invalid"):
        parse_depends("a.Broken", lambda name: (False, False))


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h30m", 5400), ("250ms", 0.25), ("1.5s", 1.5), ("-2m", -120), ("0", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_go(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("14d", 'time: unknown unit "d" in duration "14d"'),
        ("3", 'time: missing unit in duration "3"'),
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
    ],
)
def test_bad_durations_in_the_words_of_go(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_go(text)
    assert str(caught.value) == message


def test_bare_numbers_are_seconds_where_argo_says_so() -> None:
    assert parse_loose("90") == 90


def test_what_each_reader_of_durations_takes() -> None:
    assert [is_go(text) for text in ("1h30m", "90", "14d", "")] == [True, False, False, False]
    assert [is_loose(text) for text in ("1h30m", "90", "14d", " 90", "9_0")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "seconds", "hours"),
    [
        ("14d", 1209600, "336h"),
        ("2 weeks", 1209600, "336h"),
        ("1d12h", 129600, "36h"),
        ("1.5h", 5400, "1h30m"),
    ],
)
def test_what_people_write(text: str, seconds: float, hours: str) -> None:
    assert parse_human(text) == seconds
    assert in_hours(text) == hours
    assert parse_go(hours) == seconds


@pytest.mark.parametrize("text", ["", "14", "d", "3 fortnights", "1h30", "-1d", "5ms"])
def test_what_nobody_means_as_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_human(text)
    assert in_hours(text) == ""


@given(st.integers(0, 10**15))
def test_durations_round_trip(nanoseconds: int) -> None:
    assert round(parse_go(format_go(nanoseconds / 1e9)) * 1e9) == pytest.approx(nanoseconds, abs=2)


@pytest.mark.parametrize(
    ("template", "number", "expected"),
    [
        ("testuser%02X", 10, "testuser0A"),
        ("%d", 7, "7"),
        ("%03d%%", 7, "007%"),
        ("%x", 255, "ff"),
        ("%b", 5, "101"),
        ("n", 1, "n%!(EXTRA int=1)"),
    ],
)
def test_sequence_formats(template: str, number: int, expected: str) -> None:
    assert sprintf(template, number) == expected


def test_go_prints() -> None:
    assert v({"b": 1, "a": [1, "x", None]}) == "map[a:[1 x <nil>] b:1]"
    assert (v(1e21), v(1.5), v(3.0), v(1e-7)) == ("1e+21", "1.5", "3", "1e-07")


def test_times() -> None:
    moment = parse_layout("2024-02-03T04:05:06Z")
    assert format_layout(moment, "Mon Jan _2 15:04:05 2006") == "Sat Feb  3 04:05:06 2024"
    assert format_layout(moment, "2006-01-02 03:04PM") == "2024-02-03 04:05AM"
    assert [strftime(0, key) for key in "YmdHMS"] == ["1970", "01", "01", "00", "00", "00"]
