"""The lock file for development: it names versions that pyproject.toml allows, all of them, and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LINES = [
    line
    for line in (ROOT / "requirements-dev.lock").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_it_names_versions_only() -> None:
    """No address of an index, which is the user's choice, and no option."""
    wrong = [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9._-]+==[^ ;@/]+( ; [^/]+)?", line)]
    assert not wrong


def test_it_has_what_pyproject_asks_for() -> None:
    """Red when a dependency was added or raised: `make lock` writes it anew."""
    pinned: dict[str, list[str]] = {}
    for each in map(Requirement, LINES):
        (version,) = each.specifier
        pinned.setdefault(canonicalize_name(each.name), []).append(version.version)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    for extra in ("train", "serve", "service", "cluster"):
        wanted += extras[extra]
    for each in map(Requirement, wanted):
        versions = pinned.get(canonicalize_name(each.name), [])
        assert versions and all(map(each.specifier.contains, versions)), f"{each}: run `make lock`"
