"""The text of a manifest or a patch is read as Go's YAML reads it, for kubectl and for the controller alike.

Go's YAML makes a text of a date ("for backwards compatibility") and knows no numbers of base 60 (its README); of a key
that is set twice a reader that is not strict takes the last.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.harness import execute, log, node, shell, value, workflow

CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: c
data:
  day: 2024-01-01
  at: 12:30:45
  twice: a
  twice: b
"""
PATHS = {"day": "{.data.day}", "at": "{.data.at}", "twice": "{.data.twice}"}


def resource(text: str, action: str) -> dict[str, object]:
    outputs = [{"name": name, "valueFrom": {"jsonPath": path}} for name, path in PATHS.items()]
    return {
        "name": "main",
        "resource": {"action": action, "manifest": text},
        "outputs": {"parameters": outputs},
    }


@pytest.mark.parametrize("action", ["create", "apply"])
def test_scalars_of_a_manifest(action: str, tmp_path: Path) -> None:
    result = execute(tmp_path, workflow(resource(CONFIG, action)), invalid="")
    assert result.succeeded, result.message
    assert [value(result, result.name, name) for name in PATHS] == ["2024-01-01", "12:30:45", "b"]


def test_a_manifest_that_is_no_yaml_fails_its_step(tmp_path: Path) -> None:
    text = "kind: ConfigMap\nmetadata: {name: c\n"
    result = execute(tmp_path, workflow(resource(text, "create")), invalid="")
    assert node(result, result.name)["phase"] == "Failed"


def test_scalars_of_a_pods_patch(tmp_path: Path) -> None:
    patch = "containers:\n- name: main\n  env:\n  - {name: DAY, value: 2024-01-01}\n"
    result = execute(tmp_path, workflow(shell("main", "echo $DAY", podSpecPatch=patch)))
    assert log(result, result.name) == "2024-01-01\n"
