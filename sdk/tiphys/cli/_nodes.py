"""Nodes of a workflow's status, as people think of them: steps with a name, a state and times."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["label", "leaf", "moment", "state"]

_LEAVES = {"Pod", "HTTP", "Suspend", "Skipped", "Plugin"}


def leaf(node: Mapping[str, Any]) -> bool:
    """Whether the node is a step to a person.

    That is one that does work itself, the retry node above its attempts, or whatever was taken from the cache.
    """
    if (node.get("nodeFlag") or {}).get("retried"):
        return False
    hit = (node.get("memoizationStatus") or {}).get("hit")
    return bool(hit) or node.get("type") in _LEAVES or node.get("type") == "Retry"


def label(node: Mapping[str, Any], workflow: str) -> str:
    """The node's name without the workflow's: ``cnn.train``.

    A cached step that may be tried again is compiled to a DAG with one task ``run``: to a person they are one.
    """
    return str(node.get("name", "")).removeprefix(workflow).lstrip(".").removesuffix(".run") or workflow


def state(node: Mapping[str, Any]) -> str:
    """The phase in a word; ``hit`` for a step taken from the cache."""
    if (node.get("memoizationStatus") or {}).get("hit"):
        return "hit"
    return str(node.get("phase", ""))


def moment(text: object) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC, 0 when there is none."""
    if not text:
        return 0.0
    head, _, fraction = str(text).rstrip("Z").partition(".")
    try:
        whole = calendar.timegm(time.strptime(head, "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return 0.0
    return whole + (float(f"0.{fraction}") if fraction.isdigit() else 0.0)
