"""A run with a loop and a graph inside, as the engine leaves it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiphys.engine import RunOptions, run
from tiphys.graph import PlannedGraph, plan
from tiphys.records.record import RunRecord
from tiphys.runs.records import record_of
from tiphys.store import Store

LOOP: Any = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "loop"},
    "spec": {
        "entrypoint": "main",
        "templates": [
            {
                "name": "main",
                "dag": {
                    "tasks": [
                        {"name": "each", "template": "say", "withItems": ["a.b", "c)d"]},
                        {"name": "inner", "template": "rows"},
                        {"name": "after", "template": "say", "depends": "inner"},
                    ]
                },
            },
            {
                "name": "rows",
                "steps": [[{"name": "good", "template": "say"}], [{"name": "bad", "template": "no"}]],
            },
            {"name": "say", "container": {"image": "x", "command": ["true"]}},
            {"name": "no", "container": {"image": "x", "command": ["sh", "-c"], "args": ["exit 4"]}},
        ],
    },
}


def ran(store: Path) -> tuple[Any, PlannedGraph, RunRecord]:
    """The Workflow, its plan, and its record."""
    workflow = run(LOOP, options=RunOptions(store=store, images={"*": "host"})).workflow
    return workflow, plan(LOOP), record_of(workflow, Store(store), "loop")
