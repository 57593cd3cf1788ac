"""The rules by topic. Importing this package registers them all."""

from __future__ import annotations

from tiphys.lint.rules import (
    arguments,
    artifacts,
    caching,
    calls,
    cron,
    decoding,
    entry,
    expressions,
    flow,
    hygiene,
    leaves,
    locks,
    names,
    outputs,
    pipelines,
    reading,
    resources,
    tfjobs,
    versions,
    workflow,
)

__all__ = [
    "arguments",
    "artifacts",
    "caching",
    "calls",
    "cron",
    "decoding",
    "entry",
    "expressions",
    "flow",
    "hygiene",
    "leaves",
    "locks",
    "names",
    "outputs",
    "pipelines",
    "reading",
    "resources",
    "tfjobs",
    "versions",
    "workflow",
]
