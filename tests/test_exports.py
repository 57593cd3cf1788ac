"""The package's public names: every one exists, and importing them stays cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tiphys

HEAVY = (
    "hera",
    "pydantic",
    "yaml",
    "rich",
    "tensorflow",
    "numpy",
    "requests",
    "kubernetes",
    "asyncio",
    "sqlite3",
)


def test_every_public_name_can_be_imported() -> None:
    for name in tiphys.__all__:
        assert getattr(tiphys, name) is not None


def test_dir_lists_the_public_names() -> None:
    assert set(tiphys.__all__) <= set(dir(tiphys))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        tiphys.Pipelin  # noqa: B018


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, tiphys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lint_is_a_function_and_a_package() -> None:
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "x"},
        "spec": {},
    }
    assert any("entrypoint" in finding.message for finding in tiphys.lint(workflow))
    from tiphys.lint import fix

    assert callable(fix)
