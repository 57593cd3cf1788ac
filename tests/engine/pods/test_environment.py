"""The environment of a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.engine.harness import execute, shell, workflow


def test_a_variable_without_a_name_is_an_error_of_the_step(tmp_path: Path) -> None:
    """It was a KeyError of ours."""
    step: Any = shell("main", "true")
    step["container"]["env"] = [{}]
    result = execute(tmp_path, workflow(step))
    assert result.phase == "Error"
    assert result.message.endswith("spec.containers[1].env[0].name: Required value")
