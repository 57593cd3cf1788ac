"""What a run leaves, in a form that is equal for two runs that did the same, whatever was killed meanwhile."""

from __future__ import annotations

import collections
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiphys.store import Store

__all__ = ["Bodies", "State", "differences"]

Json = Any


@dataclass
class Bodies:
    """How often each body began and came to its end."""

    starts: collections.Counter[str]
    ends: collections.Counter[str]

    @classmethod
    def read(cls, path: Path) -> Bodies:
        told: dict[str, collections.Counter[str]] = {word: collections.Counter() for word in ("start", "end")}
        for line in path.read_text().splitlines() if path.exists() else []:
            word, _, who = line.partition(" ")
            told[word][who] += 1
        return cls(told["start"], told["end"])

    @property
    def ended_twice(self) -> dict[str, int]:
        return {who: count for who, count in self.ends.items() if count > 1}

    @property
    def begun_twice(self) -> dict[str, int]:
        return {who: count for who, count in self.starts.items() if count > 1}


@dataclass
class State:
    """``trees``: of each run its phase and nodes; ``artifacts``: what the keys name; ``memos``: the cached results;
    ``metrics``: the series of each run; ``files``: all files in the store; ``locks``: what is held or waited for."""

    trees: dict[str, Json] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    memos: list[Json] = field(default_factory=list)
    metrics: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    locks: list[Json] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path) -> State:
        store = Store(root)
        found = cls()
        for path in sorted((root / "runs").glob("*/workflow.json")):
            found.trees[path.parent.name] = _tree(json.loads(path.read_text()))
        for path in sorted((root / "runs").glob("*/metrics.prom")):
            lines = path.read_text().splitlines()
            found.metrics[path.parent.name] = sorted(
                line for line in lines if line and not line.startswith("#")
            )
        if (root / "artifacts" / "keys").is_dir():
            found.artifacts = {key: store.bucket.digest(key) for key in store.bucket.keys("")}
        found.memos = sorted(
            [cache, key, json.loads(outputs or "null")]
            for cache, key, outputs in _rows(
                root / "cache.db", "SELECT cache, key, outputs FROM entries JOIN contents USING(id)"
            )
        )
        for table in ("holders", "waiters"):
            found.locks += [
                [table, *row] for row in _rows(root / "locks.db", f"SELECT lock, holder FROM {table}")
            ]
        found.locks += [["claims", *row] for row in _rows(root / "locks.db", "SELECT name FROM claims")]
        # SQLite's own files beside a database go with the last who closes it; a socket has nothing in it
        found.files = sorted(
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if path.is_file() and not path.name.endswith(("-wal", "-shm"))
        )
        return found


def differences(base: State, now: State) -> dict[str, str]:
    """What is not as it was left by the uninterrupted run, under the name of what it is."""
    found: dict[str, str] = {}
    for name in ("trees", "artifacts", "memos", "metrics"):
        before, after = getattr(base, name), getattr(now, name)
        if before != after:
            found[name] = _shown(before, after)
    if extra := sorted(set(now.files) - set(base.files)):
        found["files"] = ", ".join(extra)
    # the list of ended runs only helps to list them: a run has ended without it; samples are of what an engine saw, and
    # of pods that ended while there was none, it saw nothing
    missing = set(base.files) - set(now.files) - {"ended.jsonl"}
    if lost := sorted(each for each in missing if not each.endswith("/samples.jsonl")):
        found["lost files"] = ", ".join(lost)
    if now.locks:
        found["locks"] = json.dumps(now.locks)
    return found


def _tree(workflow: Json) -> Json:
    status = workflow["status"]
    nodes = status.get("nodes") or {}
    names = {node_id: node["name"] for node_id, node in nodes.items()}
    return {
        "phase": status.get("phase"),
        "message": status.get("message", ""),
        "outputs": _outputs(status),
        "nodes": {
            node_id: {
                **{name: node.get(name) for name in ("name", "type", "phase", "message", "templateName")},
                "outputs": _outputs(node),
                "children": sorted(names.get(child, child) for child in node.get("children") or []),
                "hit": (node.get("memoizationStatus") or {}).get("hit"),
            }
            for node_id, node in sorted(nodes.items())
        },
    }


def _outputs(thing: Json) -> Json:
    outputs = thing.get("outputs") or {}
    return {
        "parameters": {each["name"]: each.get("value") for each in outputs.get("parameters") or []},
        "artifacts": {
            each["name"]: (each.get("s3") or {}).get("key") for each in outputs.get("artifacts") or []
        },
        "result": outputs.get("result"),
        "exitCode": outputs.get("exitCode"),
    }


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    connection = sqlite3.connect(path, timeout=30)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # the engine was killed while it made the file
            return []
        raise
    finally:
        connection.close()


def _shown(before: Json, after: Json, path: str = "") -> str:
    """The first places where two values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [
            _shown(before.get(key), after.get(key), f"{path}/{key}")
            for key in sorted({*before, *after}, key=str)
            if before.get(key) != after.get(key)
        ]
        return "; ".join(parts[:4])
    return f"{path or '/'}: {json.dumps(before)[:200]} became {json.dumps(after)[:200]}"
