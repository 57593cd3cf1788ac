"""Run-time parameters are checked before anything starts."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tiphys import Reference, RefusedError
from tiphys.argo.parameters import ANNOTATION, as_text, check, declared
from tiphys.argo.reader import read_text
from tiphys.dsl.encoding import encode


def workflow(schemas: dict[str, Any], parameters: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "metadata": {"annotations": {ANNOTATION: json.dumps(schemas)}},
        "spec": {"arguments": {"parameters": parameters}},
    }


PIPELINE = workflow(
    {
        "epochs": {"type": "integer", "minimum": 1},
        "min-accuracy": {"type": "number", "minimum": 0, "maximum": 1},
        "rate": {"type": "number", "exclusiveMinimum": 0},
        "keep": {"type": "boolean"},
        "tag": {"type": "string", "pattern": "^[a-z]+$"},
    },
    [
        {"name": "epochs", "value": "6"},
        {"name": "min-accuracy", "value": "0.9"},
        {"name": "rate", "value": "0.001"},
        {"name": "keep", "value": "false"},
        {"name": "tag", "value": "x"},
        {"name": "serve", "value": "final", "enum": ["final", "early"]},
    ],
)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"epochs": "1"},
        {"min-accuracy": "0"},
        {"min-accuracy": "1"},
        {"rate": "1e-3"},
        {"keep": "true"},
        {"serve": "early"},
        {"tag": "abc"},
    ],
)
def test_good_values(given: dict[str, str]) -> None:
    check(PIPELINE, given)


@pytest.mark.parametrize("value", ["{{workflow.name}}", "x {{=1+1}}", "{{", "{{unknown}} y"])
def test_what_argo_would_replace_is_no_data(value: str) -> None:
    """What the real controller (4.1.2) made of each is in the docstring of the check."""
    typed = workflow({"text": {"type": "string"}}, [{"name": "text", "value": ""}])
    with pytest.raises(RefusedError) as caught:
        check(typed, {"text": value})
    assert caught.value.code == "TIP283"
    assert caught.value.cause and caught.value.fix


def test_in_yaml_of_others_only_what_argo_cannot_read_is_refused() -> None:
    plain = {"spec": {"arguments": {"parameters": [{"name": "text", "value": "{{workflow.uid}}"}]}}}
    check(plain, {})
    check(plain, {"text": "{{workflow.name}}"})
    check(plain, {"text": "}} {"})
    with pytest.raises(RefusedError, match=r"text=a \{\{ b"):
        check(plain, {"text": "a {{ b"})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"epochs": "0"}, "a whole number, at least 1"),
        ({"epochs": "two"}, "a whole number, at least 1"),
        ({"epochs": "1.5"}, "a whole number, at least 1"),
        ({"min-accuracy": "1.2"}, "a number, at least 0 and at most 1"),
        ({"min-accuracy": "-0.1"}, "a number, at least 0 and at most 1"),
        ({"min-accuracy": "nan"}, "a finite number"),
        ({"min-accuracy": "90%"}, "a number, at least 0 and at most 1"),
        ({"rate": "0"}, "a number, more than 0"),
        ({"keep": "yes"}, "true or false"),
        ({"serve": "earlier"}, "one of final, early. Did you mean 'early'?"),
        ({"tag": "A b"}, "text that matches ^[a-z]+$"),
    ],
)
def test_bad_values_are_refused_with_what_they_must_be(given: dict[str, str], expected: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check(PIPELINE, given)
    assert caught.value.code == "TIP281"
    assert expected in caught.value.message


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(RefusedError) as caught:
        check(PIPELINE, {"epoch": "3"})
    assert caught.value.code == "TIP280"
    assert "'epochs'" in caught.value.message


def test_a_parameter_without_a_value_is_refused() -> None:
    for more in ({}, {"default": "x"}):  # which the controller does not read
        lacking = {"spec": {"arguments": {"parameters": [{"name": "source", **more}]}}}
        with pytest.raises(RefusedError, match="TIP282"):
            check(lacking, {})
        check(lacking, {"source": ""})


def test_a_value_from_a_configmap_is_left_to_the_run() -> None:
    source = {"configMapKeyRef": {"name": "a", "key": "b"}}
    check({"spec": {"arguments": {"parameters": [{"name": "x", "valueFrom": source}]}}}, {})


def test_a_template_reference_may_declare_more() -> None:
    check({"spec": {"workflowTemplateRef": {"name": "t"}}}, {"anything": "1"})


def test_a_null_among_the_parameters_declares_none() -> None:
    workflow: Any = {"spec": {"arguments": {"parameters": [None, {"name": "a", "value": "1"}]}}}
    check(workflow, {})
    assert list(declared(workflow)) == ["a"]


def test_somebody_elses_annotation_is_no_error() -> None:
    other = {"metadata": {"annotations": {ANNOTATION: "not json"}}, "spec": {}}
    check(other, {})


@pytest.mark.parametrize("value", [True, "true"])
def test_booleans_of_yaml_are_their_texts(value: object) -> None:
    item = {"name": "keep", "value": value, "enum": [True, False]}
    check(workflow({"keep": {"type": "boolean"}}, [item]), {})
    check(workflow({}, [item]), {"keep": "false"})


CASES = json.loads(Path(__file__).with_name("any_string.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["text"] != "-0.0"], ids=lambda case: case["text"]
)
def test_a_value_of_yaml_is_the_text_that_argo_reads(case: dict[str, Any]) -> None:
    (document,) = read_text(f"value: {case['text']}\n")
    value = document.data["value"]
    check(workflow({}, [{"name": "x", "value": value, "enum": [case["is"]]}]), {})
    check(workflow({}, [{"name": "x", "value": case["is"], "enum": [value]}]), {})


def test_choices_of_a_pipeline_are_as_python_writes_them() -> None:
    item = {"name": "rate", "value": "1.0", "enum": ["0.5", "1.0"]}
    check(workflow({"rate": {"type": "number", "enum": [0.5, 1.0]}}, [item]), {"rate": "0.5"})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, bool),
        (3, int),
        (2**63 - 1, int),
        (1.0, float),
        (1e-7, float),
        ("a b", str),
        ([1, 2], list[int]),
        ({"b": [True], "a": "x y"}, dict[str, Any]),
        (Reference("pvc://c/x", "sha256:1"), Reference),
    ],
)
def test_a_value_given_from_python_has_the_text_of_the_same_default(value: object, kind: Any) -> None:
    assert as_text(value) == encode(value, kind)


def test_what_json_has_not_is_its_own_text() -> None:
    assert (as_text(None), as_text(PurePosixPath("/a")), as_text(object)) == ("null", "/a", str(object))
