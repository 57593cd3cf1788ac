"""Reasons, from reports, ages, signatures and answers that are made up."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tiphys.serving.gate.compare import against_served, of_age, of_answers, of_signature
from tiphys.serving.gate.rules import GateRules

NOW = datetime.datetime(2026, 11, 28, 12, tzinfo=datetime.UTC)
BOTH = GateRules(no_worse_by=0.01, per_class=0.03)


def report(accuracy: float, **classes: float) -> dict[str, object]:
    return {"test_accuracy": accuracy, "class_accuracy": classes, "synthetic": False}


SERVED = report(0.9, Bag=0.95, Shirt=0.7)


@pytest.mark.parametrize(
    ("candidate", "reasons"),
    [
        (report(0.9, Bag=0.95, Shirt=0.7), []),
        (report(0.89, Bag=0.92, Shirt=0.67), []),  # exactly as much as may be
        (report(0.95, Bag=0.99, Shirt=0.8, Coat=0.1), []),  # a class that nothing served knows
        (report(0.88, Bag=0.95, Shirt=0.7), ["worse overall: 0.8800, what is served has 0.9000"]),
        (report(0.92, Bag=0.99, Shirt=0.6), ["worse in 'Shirt': 0.6000, what is served has 0.7000"]),
        (report(0.92, Bag=0.99), ["worse in 'Shirt': no accuracy"]),
        (report(10**400, Bag=0.95, Shirt=0.7), ["worse overall: no accuracy"]),
        (report(float("nan"), Bag=0.95, Shirt=0.7), ["worse overall: no accuracy"]),
        ({}, ["worse? nobody knows: there is no report of this model"]),
        (
            {**SERVED, "synthetic": True},
            ["worse? nobody knows: one of the two was measured on generated data"],
        ),
        ({"test_accuracy": 0.9}, ["worse in a class? nobody knows"]),
    ],
)
def test_against_what_is_served(candidate: dict[str, object], reasons: list[str]) -> None:
    found = list(against_served(candidate, SERVED, BOTH))
    assert len(found) == len(reasons)
    assert all(a.startswith(b) for a, b in zip(found, reasons, strict=True)), found


def test_a_first_release_is_compared_with_nothing() -> None:
    assert list(against_served(report(0.1), {}, BOTH)) == []
    assert list(against_served({}, SERVED, GateRules())) == []


@pytest.mark.parametrize(
    ("made", "old"),
    [
        ("2026-11-28T11:00:00+00:00", False),
        ("2026-11-14T12:00:01+00:00", False),
        ("2026-11-14T11:59:59+00:00", True),
        ("2026-11-14T13:00:00+02:00", True),
        ("2026-11-14T12:30:00", False),  # UTC
        ("2026-11-14", False),  # until its end
        ("2026-11-13", True),
        ("yesterday", True),
        ("", True),
    ],
)
def test_the_age_of_data(made: str, old: bool) -> None:
    assert bool(list(of_age(made, NOW, 14 * 86400))) is old
    assert list(of_age(made, NOW, 0)) == []


def metadata(name: str, dtype: str, *dims: int) -> Any:
    shape = {"dim": [{"size": str(size), "name": ""} for size in dims], "unknown_rank": False}
    sides = {
        "inputs": {name: {"dtype": dtype, "tensor_shape": shape, "name": "x:0"}},
        "outputs": {
            "p": {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [], "unknown_rank": True}, "name": "y:0"}
        },
    }
    return {"metadata": {"signature_def": {"signature_def": {"serving_default": sides}}}}


def test_a_signature() -> None:
    images = metadata("images", "DT_UINT8", -1, 28, 28)
    assert list(of_signature(images, {"images": "uint8[?, 28, 28]"}, {"p": "float32"})) == []
    assert list(of_signature(images, {"images": "uint8[None,28,28]"}, {})) == []
    assert list(of_signature(images, {}, {})) == []
    (reason,) = of_signature(images, {"pixels": "uint8[?,28,28]"}, {})
    assert reason == (
        "another signature: its inputs are images: uint8[?,28,28], expected pixels: uint8[?,28,28]"
    )
    assert len(list(of_signature(images, {"images": "float32[?,28,28]"}, {"p": "float32[?,10]"}))) == 2
    assert list(of_signature({}, {"x": "int64"}, {})) == [
        "another signature: its inputs are none, expected x: int64"
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"y": [[0.1, 0.9], [0.5, 0.5]]}, ""),
        ({"y": [[0.1, 0.9], [0.5, 0.5004]]}, ""),
        (
            {"y": [[0.1, 0.9], [0.4, 0.6]]},
            "golden: 1 of 2 answers are not those of the training; 'y' of input 1",
        ),
        ({"y": [[0.1, 0.9], [0.5, "NaN"]]}, "'y' of input 1 is another value"),
        ({"y": [[0.1, 0.9], [0.5]]}, "'y' of input 1 is another value"),
        ({"y": [[0.1, 0.9]]}, "golden: it gives no 'y' for each input"),
        ({"z": 1}, "golden: it gives no 'y' for each input"),
    ],
)
def test_golden_answers(given: Any, reason: str) -> None:
    reasons, _ = of_answers({"y": [[0.1, 0.9], [0.5, 0.5]]}, given, 1e-3)
    assert bool(reasons) is bool(reason)
    assert all(reason in each for each in reasons), reasons


def test_answers_that_are_text() -> None:
    assert of_answers({"y": ["cat", "dog"]}, {"y": ["cat", "dog"]}, 0.0) == ([], 0.0)
    assert of_answers({"y": ["cat", "dog"]}, {"y": ["cat", "cow"]}, 0.0)[0]
