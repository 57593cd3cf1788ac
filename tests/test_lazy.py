"""Packages that import what is asked of them, beside Python's own words for what no module has."""

import importlib
import math
import pkgutil
import re
import subprocess
import sys

import pytest

import tiphys
from tiphys.lazy import asked_for, regex

PACKAGES = (
    "dsl",
    "engine",
    "engine.runtime",
    "lint",
    "registry",
    "runs",
    "serving",
    "serving.balancer",
    "step",
)


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


def test_a_regex_is_a_pattern_that_is_compiled_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    compile_ = re.compile
    monkeypatch.setattr(re, "compile", lambda *given: compiled.append(given) or compile_(*given))
    lazy, plain = regex(r"(a)(?P<n>b*)", re.IGNORECASE), compile_(r"(a)(?P<n>b*)", re.IGNORECASE)
    assert not compiled
    for method in ("findall", "fullmatch", "match", "search", "split"):
        for text in ("AB", "xabbab", ""):
            mine, theirs = getattr(lazy, method)(text), getattr(plain, method)(text)
            assert str(mine) == str(theirs)
    assert lazy.sub("x", "abcab") == "xcx"
    assert (lazy.pattern, lazy.flags, lazy.groups, lazy.groupindex) == (
        (plain.pattern, plain.flags, plain.groups, plain.groupindex)
    )
    assert compiled == [(r"(a)(?P<n>b*)", re.IGNORECASE)]
    with pytest.raises(AttributeError):
        lazy.nothing  # type: ignore[attr-defined]  # noqa: B018
    assert regex(b"a+").findall(b"aab") == [b"aa"]


def test_each_regex_is_one() -> None:
    """What is wrong with one would be seen at its first use alone."""
    kind, found = type(regex("")), 0
    for info in pkgutil.walk_packages(tiphys.__path__, "tiphys."):
        if info.name.rpartition(".")[2] in ("__main__", "_jq") or ".standins." in info.name:
            continue  # programs
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, kind):
                assert isinstance(value.pattern, str | bytes)
                found += 1
    assert found > 100
