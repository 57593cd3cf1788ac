"""Prometheus metrics: numbers as Go writes them (recorded), series, buckets, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.machine.driving import metric
from tests.expr.answers import agreed, shown
from tiphys.engine.machine.counters import Counters, MetricError, parse_float

Json = Any


def lines(registry: Counters) -> list[str]:
    return registry.text().splitlines()


# Go reads hexadecimal numbers and digits in groups only by base 0; a value that is too large is told otherwise
NUMBERS = [case for case in agreed("numbers") if case["text"] not in ("0x10", "1e400", "1_0")]


@pytest.mark.parametrize("case", NUMBERS, ids=shown)
def test_numbers_are_read_and_written_as_by_go(case: Json) -> None:
    if "error" in case:
        with pytest.raises(MetricError) as caught:
            parse_float(case["text"])
        assert str(caught.value) == case["error"]
        return
    registry = Counters()
    registry.observe(metric("gauge", "g", case["text"]))
    assert lines(registry)[2:] == [f"argo_workflows_g {case['value'][2]}"]


def test_default_buckets_and_the_whole_text() -> None:
    registry = Counters()
    registry.observe(metric("histogram", "h0", "0.3", help='a\\b "q" \n z'))
    text = lines(registry)
    assert text[:4] == [
        '# HELP argo_workflows_h0 a\\\\b "q" \\n z',
        "# TYPE argo_workflows_h0 histogram",
        'argo_workflows_h0_bucket{le="0"} 0',
        'argo_workflows_h0_bucket{le="5"} 1',
    ]
    assert len(text) == 2 + 16 + 2


def test_what_was_asked_for_is_marked_and_an_empty_registry_is_false() -> None:
    registry = Counters()
    assert not registry and not registry.changed and registry.text() == ""
    registry.observe(metric("counter", "c", "1"))
    assert registry and registry.changed


def test_a_value_lies_in_every_bucket_that_is_not_below_it() -> None:
    # Prometheus: a bucket counts what is less than or equal to its bound
    registry = Counters()
    for value in ("1", "2", "2.5", "99"):
        registry.observe(metric("histogram", "h", value, buckets=[1, 2, 3]))
    assert [line.partition("h_")[2] for line in lines(registry)[2:]] == [
        'bucket{le="1"} 1',
        'bucket{le="2"} 2',
        'bucket{le="3"} 3',
        'bucket{le="+Inf"} 4',
        "sum 104.5",
        "count 4",
    ]


def test_a_realtime_gauge_is_asked_each_time() -> None:
    registry, seconds = Counters(), iter([1.5, 2.5])
    registry.observe(metric("gauge", "g", "{{duration}}"), lambda: next(seconds))
    assert [lines(registry)[2], lines(registry)[2]] == ["argo_workflows_g 1.5", "argo_workflows_g 2.5"]
