"""Wrong and right specs, beside what ``argo lint`` said of them."""

from __future__ import annotations

import json

import pytest

from tests.lint.rules.record import RECORDED, workflows
from tiphys.lint import lint

SAID = json.loads(RECORDED.read_text(encoding="utf-8"))
SPECS = dict(workflows())


def test_every_spec_is_recorded() -> None:
    assert list(SAID) == list(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_the_verdict_is_argos(name: str) -> None:
    found = [item for item in lint(json.dumps(SPECS[name])) if item.severity == "error" and item.argo]
    assert bool(found) == bool(SAID[name]), [str(item) for item in found]
