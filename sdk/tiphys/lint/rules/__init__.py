"""The rules by topic. Importing this package registers them all."""

from __future__ import annotations

from tiphys.lint.rules import (
    arguments,
    artifacts,
    calls,
    cron,
    decoding,
    entry,
    leaves,
    names,
    outputs,
    reading,
    workflow,
)

__all__ = [
    "arguments",
    "artifacts",
    "calls",
    "cron",
    "decoding",
    "entry",
    "leaves",
    "names",
    "outputs",
    "reading",
    "workflow",
]
