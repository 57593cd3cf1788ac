"""Argo's cases and what the real controller did with them, where they are present beside the project."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Json = Any
ROOT = Path(__file__).resolve().parents[2]


def folder() -> Path | None:
    """Return the folder with ``exec_records.json``, or None."""
    for place in (os.environ.get("TIPHYS_SHARED"), str(ROOT.parent / "shared")):
        if place and (Path(place) / "argo" / "exec_records.json").is_file():
            return Path(place) / "argo"
    return None


@cache
def records() -> dict[str, dict[str, Json]]:
    """Return the recorded outcomes by case."""
    place = folder()
    if place is None:
        return {}
    return {item["id"]: item for item in json.loads((place / "exec_records.json").read_text())["cases"]}


@cache
def scripts() -> dict[str, dict[str, Json]]:
    """Return the cases by ID."""
    place = folder()
    if place is None:
        return {}
    return {item["id"]: item for item in json.loads((place / "exec_cases.json").read_text())["cases"]}


class _Loader(yaml.CSafeLoader):
    pass


# YAML 1.2 numbers that PyYAML reads as text, and dates that Kubernetes reads as text
_Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for key, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def load(text: str) -> list[Json]:
    """Return the documents of a YAML text."""
    return [item for item in yaml.load_all(text, Loader=_Loader) if isinstance(item, dict)]
