"""What a gate asks travels as JSON, from the author's file to the step."""

from __future__ import annotations

from tiphys.dsl.encoding import encode
from tiphys.serving.gate.rules import GateRules, Judgement
from tiphys.step.codec import decode, outputs_of


def test_rules_come_out_as_they_went_in() -> None:
    for rules in (
        GateRules(),
        GateRules(p99_seconds=0.02, memory_bytes=2**30, inputs={"x": "int64[?]"}, per_class=0.0),
    ):
        text = encode(rules, GateRules)
        assert text is not None
        assert decode(text, GateRules) == rules


def test_the_verdict_is_four_outputs() -> None:
    assert outputs_of(Judgement(False, ["too big"], {"memory_bytes": 5}, "m refused: too big")) == {
        "passed": "false",
        "reasons": '["too big"]',
        "measurements": '{"memory_bytes":5}',
        "summary": "m refused: too big",
    }
