"""Modules of Tiphys that a script takes along, in a Python that has none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tiphys.dsl.source.brought import brought_along


@pytest.mark.parametrize("module", ["tiphys.large", "tiphys.step.guard"])
def test_they_are_there_without_tiphys(module: str) -> None:
    script = brought_along(module) + f"print(sorted(sys.modules[{module!r}].__all__))"
    command = [sys.executable, "-I", "-S", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    imported = __import__(module, fromlist=["x"])
    assert done.stdout.strip() == str(sorted(imported.__all__))
    assert "{{" not in script, "Argo would take it for a tag"
