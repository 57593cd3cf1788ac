"""Labels, read back by the rules of the format (https://prometheus.io/docs/instrumenting/exposition_formats)."""

from __future__ import annotations

from tiphys.prometheus import escaped, labelled


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
