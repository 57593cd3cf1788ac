"""Containers and approvals in words, and the reasons why others are not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.importing.flows import flow, imported, templates
from tiphys.argo.reader import read_text
from tiphys.importing.argo_leaf import leaf
from tiphys.importing.told import CannotSay

CALL = "    steps:\n    - - {name: s, template: x}\n"


def test_a_container_keeps_its_command_resources_attempts_and_lock() -> None:
    more = """
  - name: x
    timeout: 5m
    retryStrategy: {limit: 3}
    synchronization: {mutexes: [{name: door}]}
    container:
      image: alpine:3.20
      command: [sh, -c]
      args: ["echo $(date) $HOME"]
      env: [{name: A, value: b}]
      resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 2Gi}}
"""
    made, compiled = imported(flow(CALL, more))
    found = templates(compiled)["x"]
    assert "x = container(" in made.source
    assert found["container"]["command"] == [
        "sh",
        "-c",
        "echo $$(date) $HOME",
    ]  # the kubelet makes `$(` of it
    assert found["container"]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert found["container"]["env"] == [{"name": "A", "value": "b"}]
    assert found["retryStrategy"]["limit"] == "3" and found["timeout"] == "5m"
    assert found["synchronization"]["mutexes"] == [{"name": "door"}]


def test_an_approval_is_one() -> None:
    made, compiled = imported(flow(CALL, "\n  - {name: x, suspend: {duration: 10s}}\n"))
    assert 'approve(name="x", after="10s")' in made.source
    assert templates(compiled)["x"]["suspend"] == {"duration": "10s"}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("container: {image: x}", "the image's own"),
        ("container: {image: x, command: [a], volumeMounts: [{name: v, mountPath: /v}]}", "volumeMounts"),
        ("container: {image: x, command: [sh, -c, 'echo {{inputs.parameters.y}}']}", "inside of other text"),
        ("script: {image: x, command: [python], source: 'print(1)'}", "script"),
        ("{nodeSelector: {a: b}, container: {image: x, command: [a]}}", "nodeSelector"),
        (
            "{retryStrategy: {limit: 2, backoff: {duration: 1s}}, container: {image: x, command: [a]}}",
            "retryStrategy",
        ),
    ],
)
def test_what_has_no_word_says_why(template: str, why: str) -> None:
    text = template if template.startswith("{") else "{" + template + "}"
    data: Any = read_text("\nx: " + text + "\n")[0].data["x"]
    with pytest.raises(CannotSay, match=why):
        leaf({"name": "x", **data}, "x", "'template': 'x'")
