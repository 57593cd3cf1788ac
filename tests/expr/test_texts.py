"""Texts that are not ASCII: what expr-lang 1.17.8 and sprig 3.3.0 make of them, form by form (go/texts.go)."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tiphys.expr import gojson
from tiphys.expr.evaluate import ExprError, evaluate
from tiphys.expr.sprig import SPRIG
from tiphys.expr.tags import Layers, substitute

RECORD = json.loads(gzip.decompress(Path(__file__).with_name("texts.json.gz").read_bytes()))
FORMS: dict[str, list[dict[str, Any]]] = defaultdict(list)
for _case in RECORD["cases"]:
    FORMS[_case["form"]].append(_case)


def found(form: str, text: str) -> Any:
    """The value as JSON has it, or ``error``."""
    environment = {"inputs": {"parameters": {"s": text}}, "sprig": SPRIG, "toJson": gojson.marshal}
    try:
        return json.loads(gojson.marshal(evaluate(form.replace("S", "inputs.parameters.s"), environment)))
    except ExprError:
        return "error"


@pytest.mark.parametrize("form", sorted(FORMS))
def test_is_what_go_makes_of_it(form: str) -> None:
    different = {}
    for case in FORMS[form]:
        text = RECORD["texts"][case["text"]]
        right = "error" if "error" in case else case.get("value")
        if found(form, text) != right:
            different[text] = (found(form, text), right)
    assert different == {}


def test_a_cut_character_is_shown_as_in_json() -> None:
    assert substitute("{{='é'[0:1]}}", Layers({})) == "\ufffd"
    assert substitute("{{=['é'[0:1]]}}", Layers({})) == '["\ufffd"]'
    assert substitute("{{='é'[0:1] + 'é'[1:2]}}", Layers({})) == "é"


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("sprig.trunc(-3, 'hellé')", "lé"),
        ("sprig.abbrev(5, 'éééééééé')", "é..."),
        ("indexOf('éa', 'a')", "2"),
        ("lastIndexOf('éaéa', 'a')", "5"),
        ("'héllo'[0:3]", "hé"),
    ],
)
def test_the_reports_examples(expression: str, right: str) -> None:
    assert substitute("{{=" + expression + "}}", Layers({})) == right
