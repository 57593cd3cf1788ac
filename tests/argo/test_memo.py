"""How long an earlier result is taken (argo-workflows, workflow/controller/cache: creationTimestamp against maxAge)."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tiphys.argo.memo import KEY_PARTS, parts_of, too_old


@pytest.mark.parametrize(
    ("created", "age", "expected"),
    [
        (1000.0, "", False),
        (None, "", False),
        (None, "1h", True),  # Go's zero time is very long ago
        (1000.0, "1h", False),
        (1000.0, "1000s", False),
        (1000.0, "999s", True),
        (1000.0, "16m39s", True),
    ],
)
def test_age(created: float | None, age: str, expected: bool) -> None:
    assert too_old(created, age, 2000.0) is expected


@pytest.mark.parametrize("age", ["14d", "x", "1"])
def test_an_age_is_a_go_duration(age: str) -> None:
    with pytest.raises(ValueError):
        too_old(1.0, age, 2.0)


def template(said: object = None, **values: str) -> Any:
    found: dict[str, Any] = {"inputs": {"parameters": [{"name": k, "value": v} for k, v in values.items()]}}
    if said is not None:
        found["annotations"] = {KEY_PARTS: said if isinstance(said, str) else json.dumps(said)}
    return found


def test_the_parts_that_a_template_says() -> None:
    said = {"code": "c", "env.A": "1", "inputs": ["x"], "references": ["data"]}
    reference = json.dumps({"uri": "pvc://a/b", "digest": "sha256:1"})
    assert parts_of(template(said, x="7", data=reference, ignored="z")) == {
        "code": "c",
        "env.A": "1",
        "inputs.x": "7",
        "inputs.data": "sha256:1",
    }
    assert parts_of(template(said, x="7", data="pvc://a/b"))["inputs.data"] == "pvc://a/b"


@pytest.mark.parametrize("said", [None, "no json", "[1]"])
def test_of_a_foreign_template_all_inputs(said: object) -> None:
    assert parts_of(template(said, a="1", b="2")) == {"inputs.a": "1", "inputs.b": "2"}


def test_long_values_are_told_apart_by_their_digest() -> None:
    long = "x" * 10_000
    short = parts_of(template(a=long))["inputs.a"]
    assert len(short) < 1000 and hashlib.sha256(long.encode()).hexdigest() in short
