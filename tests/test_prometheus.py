"""Labels, read back by the rules of the format (https://prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from tiphys.prometheus import Histogram, escaped, labelled


def read_back(text: str) -> str:
    return text.replace("\\\\", "\0").replace('\\"', '"').replace("\\n", "\n").replace("\0", "\\")


def test_any_value_is_read_back() -> None:
    for text in ('a"b', "a\\nb", "a\nb", "\\", ""):
        told = escaped(text)
        assert "\n" not in told
        assert read_back(told) == text


def test_labels() -> None:
    assert labelled([]) == ""
    assert labelled([("a", "1"), ("b", 'x"y')]) == '{a="1",b="x\\"y"}'


def test_a_histogram_counts_what_is_not_above_each_bound() -> None:
    """As the format has it: buckets are cumulative, the last one is the count."""
    found = Histogram([0.5, 2.0], digits=1)
    for value in (0.5, 0.6, 2.0, 7.0):
        found.add(value)
    assert found.lines("took", [("api", 'a"b')]) == [
        'took_bucket{api="a\\"b",le="0.5"} 1',
        'took_bucket{api="a\\"b",le="2"} 3',
        'took_bucket{api="a\\"b",le="+Inf"} 4',
        'took_sum{api="a\\"b"} 10.1',
        'took_count{api="a\\"b"} 4',
    ]
    assert found.lines("took")[0] == 'took_bucket{le="0.5"} 1'
