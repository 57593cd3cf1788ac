"""Packages that import what is asked of them, beside Python's own words for what no module has."""

import importlib
import math
import subprocess
import sys

import pytest

from tiphys.lazy import asked_for

PACKAGES = ("dsl", "engine", "engine.runtime", "lint", "runs", "serving", "serving.balancer")


@pytest.mark.parametrize("package", [f"tiphys.{name}" for name in PACKAGES])
def test_each_name_of_a_package_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_what_is_not_there_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError) as python:
        math.nothing  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(AttributeError) as ours:
        asked_for("math", {}, "nothing")
    assert str(ours.value) == str(python.value)


def test_a_module_is_imported_when_it_is_asked_for_and_the_name_kept() -> None:
    code = """
import sys
import tiphys.runs
home = "tiphys.runs.client"
assert home not in sys.modules and "Client" not in vars(tiphys.runs)
assert tiphys.runs.Client is sys.modules[home].Client is vars(tiphys.runs)["Client"]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
