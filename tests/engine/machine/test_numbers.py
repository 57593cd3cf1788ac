"""Numbers that are texts are what ``strconv.Atoi`` reads (the answers below are Go 1.24's), and no list is endless."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.engine.machine.driving import drive, echo
from tiphys.engine.machine.bodies.loops import LoopError, expand
from tiphys.expr.gotext import atoi
from tiphys.expr.tags import Layers
from tiphys.lint import lint

NO_NUMBERS = [
    "1_0",
    " 5",
    "5 ",
    "²",
    "٣",
    "",
    "1e3",
    "0x10",
    "+",
    "9" * 30,
    "9" * 6000,
    "9223372036854775808",
]
NUMBERS = {"+5": 5, "-0": 0, "007": 7, "9223372036854775807": 2**63 - 1}


@pytest.mark.parametrize("text", NO_NUMBERS, ids=repr)
def test_what_is_no_number(text: str) -> None:
    assert atoi(text) is None
    with pytest.raises(LoopError, match=r"strconv\.Atoi: parsing"):
        expand({"name": "a", "template": "t", "withSequence": {"count": text}}, Layers({}))


@pytest.mark.parametrize("text", NUMBERS)
def test_what_is_one(text: str) -> None:
    assert atoi(text) == NUMBERS[text]


@pytest.mark.parametrize(
    "sequence",
    [
        {"count": "1000000000000"},
        {"start": "-9223372036854775808", "end": "9223372036854775807"},
        {"end": -(10**9)},
    ],
)
def test_a_sequence_without_measure_is_refused(sequence: dict[str, str]) -> None:
    with pytest.raises(LoopError, match="memory budget exceeded"):
        expand({"name": "a", "template": "t", "withSequence": sequence}, Layers({}))


@pytest.mark.parametrize("limit", ["1_0", "²", " 1"])
def test_a_limit_of_retries_that_is_no_number(limit: str) -> None:
    made = drive(
        f"""
        entrypoint: main
        templates:
          - name: main
            retryStrategy: {{limit: "{limit}"}}
            container: {{image: a, command: [b]}}
        """,
        lambda command: (1.0, replace(echo(command)[1], phase="Failed", message="no")),
    )
    assert f"value '{limit}' cannot be resolved to an int" in str(made.workflow()["status"])


@pytest.mark.parametrize("deadline", ["1_0", "²", " 1"])
def test_a_deadline_that_is_no_number(deadline: str) -> None:
    made = drive(
        f"""
        entrypoint: main
        templates:
          - name: main
            activeDeadlineSeconds: "{deadline}"
            container: {{image: a, command: [b]}}
        """
    )
    assert f'strconv.Atoi: parsing "{deadline}": invalid syntax' in str(made.workflow()["status"])


@pytest.mark.parametrize("value", ["²", "٣"])
def test_lint_of_conditions_and_limits_with_such_digits(value: str) -> None:
    lint(
        f"""
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {{name: x}}
spec:
  entrypoint: m
  templates:
  - name: m
    synchronization: {{semaphores: [{{configMapKeyRef: {{name: c, key: k}}}}]}}
    resource:
      action: create
      successCondition: status.readyReplicas == {value}
      manifest: |
        apiVersion: apps/v1
        kind: Deployment
        metadata: {{name: d}}
        spec: {{replicas: 2}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: c}}
data: {{k: "{value}"}}
"""
    )
