"""The emitter: what it writes is read back as the same data, by PyYAML and by the Go readers behind Argo."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tools import kubectl
from tiphys.compiler.emit import emit, emit_all
from tiphys.errors import DefinitionError

AMBIGUOUS = [
    "", " ", "~", "null", "Null", "NULL", "true", "True", "yes", "Yes", "no", "NO", "on", "Off", "y", "Y", "n", "N",
    "1", "-1", "+1", "1.0", "1.", ".5", "1e3", "1E+3", "012", "0o14", "0x10", "0b1", "1_000", "12:30", "12:30:45",
    "2020-01-01", "2001-12-14t21:59:43.10-05:00", ".inf", "-.inf", ".nan", "NaN", "inf", "=", "<<", "-", "- a", "--",
    "---", "...", "?", "? a", ":", "a:", "a: b", "a :b", "#", "a #b", "a#b", "&a", "*a", "!a", "!!str", "|", ">", "|-",
    "'", '"', "''", "it's", 'say "x"', "\\", "\\n", "%", "%YAML", "@a", "`a", "{", "}", "[", "]", "{}", "[]", "{a: b}",
    ",", "a, b", "a,b", "{{x}}", "{{=x}}", "jq '.a | {{'", " a", "a ", "a  b", "\t", "a\t", "\ta", "a\tb", "\n", "\n\n",
    "a\n", "a\n\n", "a\nb", "a\nb\n", " a\nb", "a\n b", "a\n\n\nb\n\n", "a \nb", "a\n\t",
    "a\n  \nb", "\na", "a\n---\nb",
    "---\na: b", "# x\ny", "a\r\nb", "\r", "\x85", "a\x85b", "\u2028", "a\u2029b", "\ufeff",
    "\ufeffa", "\x00", "\x1b[0m",
    "\x7f", "\x80", "\xa0", "é", "日本", "🙂", "a\u200bb", "\ufffe", "\U0010ffff", "e\u0301", "x" * 3000, "a b " * 500,
    "none", "None", "nan", "Infinity", "_", "1st", "a-b", "a.b", "a/b", "/a", "//", "a=b", "a(b)", "k8s.io/x:y",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(AMBIGUOUS)
    | st.text(alphabet="\n\t :#-'\"{}[]|>&*!%@`,ay1.\\")
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(AMBIGUOUS), inner, max_size=4)
    ),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


@given(documents)
@example({"a": {"b": "x\n"}, "c": [["x\ny", {}], []]})
@example({"x" * 2000: "long key", "y\nz": {"n": 1}})
@settings(deadline=None, max_examples=300)
def test_what_is_written_is_read_back(document: Any) -> None:
    assert same(yaml.load(emit(document), Loader=yaml.CSafeLoader), document)
    assert same(yaml.safe_load(emit(document)), document)


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_every_ambiguous_string_stays_a_string(text: str) -> None:
    document = {"a": text, "b": [text, {"c": text}], text or "k": 1}
    assert yaml.safe_load(emit(document)) == document
    assert yaml.safe_load(emit(text)) == text


@given(st.text())
@settings(deadline=None)
def test_a_document_never_holds_a_separator(text: str) -> None:
    """Argo splits a file at each line that starts with ``---``, whatever it stands in."""
    assert "\n---" not in emit({"a": text, "b": [text]})


def test_several_documents() -> None:
    text = emit_all([{"a": "---"}, {"b": "x\n---\ny"}])
    assert list(yaml.safe_load_all(text)) == [{"a": "---"}, {"b": "x\n---\ny"}]
    assert text.split("\n---\n")[0] == 'a: "---"'


@pytest.mark.parametrize(
    "text, written",
    [
        ("one\ntwo\n", "a: |\n  one\n  two\n"),
        ("one\n\ntwo", "a: |-\n  one\n\n  two\n"),
        ("one\n\n", "a: |+\n  one\n\n"),
        (" one\ntwo", 'a: " one\\ntwo"\n'),
        ("Train three models, serve two", "a: Train three models, serve two\n"),
        ("{{workflow.name}}", 'a: "{{workflow.name}}"\n'),
        ('{"a":"b"}', 'a: \'{"a":"b"}\'\n'),
        ("on", 'a: "on"\n'),
        ("1e3", 'a: "1e3"\n'),
    ],
)
def test_it_is_readable(text: str, written: str) -> None:
    assert emit({"a": text}) == written


def test_it_does_not_fold_long_lines() -> None:
    assert emit({"a": "word " * 200 + "end"}).count("\n") == 1


def test_the_bytes_are_the_same_every_time() -> None:
    document = {"b": 1, "a": {"z": [1, "x"], "w": None}}
    assert (
        emit(document)
        == emit(json.loads(json.dumps(document)))
        == "b: 1\na:\n  z:\n  - 1\n  - x\n  w: null\n"
    )


def test_what_argo_types_as_a_string_is_written_as_one() -> None:
    workflow = {
        "metadata": {"labels": {"n": 1}, "annotations": {"b": True}},
        "spec": {
            "arguments": {"parameters": [{"name": 3, "value": 1, "enum": [1, 2.5], "default": 1e6}]},
            "parallelism": 3,
            "nodeSelector": {"gpu": True},
            "templates": [
                {
                    "name": "t",
                    "container": {
                        "args": [1, True],
                        "env": [{"name": "N", "value": 0.1}],
                        "ports": [{"containerPort": 80}],
                    },
                    "steps": [[{"withItems": [1, True, {"value": 1}]}]],
                    "retryStrategy": {"limit": 2},
                }
            ],
        },
    }
    read = yaml.safe_load(emit(workflow, typed=True))
    assert read["metadata"] == {"labels": {"n": "1"}, "annotations": {"b": "true"}}
    # 1e6 is what Argo's AnyString makes of the number: no exponent
    assert read["spec"]["arguments"]["parameters"] == [
        {"name": "3", "value": "1", "enum": ["1", "2.5"], "default": "1000000"}
    ]
    assert read["spec"]["parallelism"] == 3
    assert read["spec"]["nodeSelector"] == {"gpu": "true"}
    template = read["spec"]["templates"][0]
    assert template["container"]["args"] == ["1", "true"]
    assert template["container"]["env"] == [{"name": "N", "value": "0.1"}]
    assert template["container"]["ports"] == [{"containerPort": 80}]
    assert template["steps"] == [[{"withItems": [1, True, {"value": 1}]}]]
    assert template["retryStrategy"] == {"limit": 2}


def test_data_of_a_config_map_is_text() -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"gang": 1}}
    assert yaml.safe_load(emit(document, typed=True))["data"] == {"gang": "1"}


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "\ud800", {"a": object()}, {"a": b"x"}, {1, 2}]
)
def test_what_yaml_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        emit(value)
    assert caught.value.code == "TIP119"
    assert caught.value.fix


@given(st.lists(st.text() | st.sampled_from(AMBIGUOUS), min_size=1, max_size=40))
@settings(deadline=None, max_examples=10)
def test_kubernetes_reads_the_same_strings(texts: list[str]) -> None:
    """sigs.k8s.io/yaml, which kubectl and Argo share, reads a ConfigMap without a cluster."""
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "x"},
        "data": {f"k{i}": text for i, text in enumerate(texts)},
    }
    output = kubectl("annotate", "--local", "-f", "-", "a=b", "-o", "json", stdin=emit(document))
    assert json.loads(output)["data"] == document["data"]


def test_kubernetes_reads_all_ambiguous_strings() -> None:
    data = {f"k{i}": text for i, text in enumerate(AMBIGUOUS)}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
    output = kubectl("annotate", "--local", "-f", "-", "a=b", "-o", "json", stdin=emit(document))
    assert json.loads(output)["data"] == data
