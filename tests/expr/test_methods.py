"""Methods of Go's values (times, durations, months, locations, versions) as expr-lang answers (go/methods.go)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tiphys.expr import gojson
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.sprig import SPRIG
from tiphys.expr.tags import Layers, substitute

CASES = json.loads(Path(__file__).with_name("methods.json").read_text())["cases"]
ENVIRONMENT: dict[str, Any] = {"sprig": SPRIG, "toJson": gojson.marshal}


@pytest.mark.parametrize("case", CASES, ids=[case["expression"] for case in CASES])
def test_is_what_go_answers(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises((ExprError, TypeError)):  # the latter: JSON cannot hold it
            gojson.marshal(evaluate(case["expression"], ENVIRONMENT))
    else:
        assert gojson.marshal(evaluate(case["expression"], ENVIRONMENT)) == case["json"]


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("sprig.semver('v1.10.2').Minor()", "10"),
        ("sprig.semver('v1.10.2').IncMinor().String()", "1.11.0"),
        ("sprig.semver('v1.10.2').IncMinor()", "1.11.0"),
        ("sprig.now().UTC().Location().String()", "UTC"),
        ("date('2024-03-05').Month()", "3"),
        ("date('2024-03-05')", "2024-03-05T00:00:00Z"),
    ],
)
def test_in_a_tag(expression: str, right: str) -> None:
    assert substitute("{{=" + expression + "}}", Layers({})) == right
