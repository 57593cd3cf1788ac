"""A run of the engine beside a record of the real controller."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Json = Any

__all__ = ["differences"]


class _Names:
    def __init__(self, workflow: Mapping[str, Json]) -> None:
        self.name = workflow["metadata"]["name"]
        self.nodes = workflow["status"].get("nodes") or {}
        self.ids = {identity: node["name"] for identity, node in self.nodes.items() if identity != self.name}
        self.pattern = (
            re.compile("|".join(re.escape(key) for key in sorted(self.ids, key=len, reverse=True)))
            if self.ids
            else None
        )
        self.pods = re.compile(re.escape(self.name) + r"-[A-Za-z0-9.-]+-(\d+)")

    def text(self, value: str) -> str:
        if self.pattern is not None:
            value = self.pattern.sub(lambda match: f"ID({self.ids[match.group()]})", value)
        by_hash = {identity.rpartition("-")[2]: name for identity, name in self.ids.items()}
        return self.pods.sub(lambda m: f"POD({by_hash.get(m.group(1), '?')})", value)


def _parameters(node: Mapping[str, Json], side: str) -> dict[str, Json]:
    return {
        item["name"]: item.get("value")
        for item in (node.get(side) or {}).get("parameters") or ()
        if item.get("value") is not None
    }


def _exit_codes(have: Mapping[str, Json], want: Mapping[str, Json]) -> tuple[Json, Json]:
    """Whether the code of a pod that was stopped is known is a race."""
    mine, theirs = ((node.get("outputs") or {}).get("exitCode") for node in (have, want))
    return (None, None) if mine is None or theirs is None else (mine, theirs)


def _artifacts(node: Mapping[str, Json]) -> list[str]:
    return sorted(item["name"] for item in (node.get("outputs") or {}).get("artifacts") or ())


_TIME = r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d( UTC)?)?"
_VOLATILE = re.compile(rf"\b{_TIME}|TIME|\b\d+(\.\d+)?(ms|µs|s)\b|DURATION|UID|IP|\b(127|10)\.22\.\d+\.\d+\b")


def _same_text(a: Json, b: Json) -> bool:
    if a == b:
        return True
    return isinstance(a, str) and isinstance(b, str) and _VOLATILE.sub("~", a) == _VOLATILE.sub("~", b)


def differences(workflow: Mapping[str, Json], record: Mapping[str, Json]) -> list[str]:
    """Return what differs, one line each; empty when they agree."""
    names = _Names(workflow)
    status = workflow["status"]
    found: list[str] = []
    if status["phase"] != record["phase"]:
        found.append(f"phase: {status['phase']} instead of {record['phase']}")
    message = names.text(status.get("message") or "")
    if not _same_text(message, _fixed(record.get("message") or "", record)):
        found.append(f"message: {message!r} instead of {record.get('message')!r}")
    have = {node["name"]: node for node in names.nodes.values()}
    want = {
        node["name"]: {**node, "message": _fixed(node.get("message") or "", record)}
        for node in record["nodes"]
    }
    for name in sorted(want.keys() - have.keys()):
        found.append(f"{name}: missing ({want[name]['type']} {want[name]['phase']})")
    for name in sorted(have.keys() - want.keys()):
        found.append(f"{name}: should not exist ({have[name]['type']} {have[name]['phase']})")
    for name in sorted(have.keys() & want.keys()):
        found.extend(_node(name, have[name], want[name], names))
    if not found and (status.get("progress") or "") != (record.get("progress") or ""):
        found.append(f"progress: {status.get('progress')} instead of {record.get('progress')}")
    return found


def _fixed(text: str, record: Mapping[str, Json]) -> str:
    """Replace a fixed name of the workflow inside a message: the recorder leaves it there."""
    found = re.search(r"^metadata:\s*\n(?:  .*\n)*?  name: *(\S+)", record["yaml"], re.M)
    if not found:
        return text
    return re.sub(rf"\b{re.escape(found.group(1))}(?=[\[.])", "WF", text)


def _node(name: str, have: Mapping[str, Json], want: Mapping[str, Json], names: _Names) -> list[str]:
    found = []
    for field in ("type", "phase", "displayName", "templateName"):
        mine = have.get(field)
        if field == "displayName" and mine == names.name:
            mine = "WF"
        if mine != want.get(field):
            found.append(f"{name}.{field}: {mine!r} instead of {want.get(field)!r}")
    if want.get("templateScope"):  # the first recordings lack it, and with it these
        boundary = names.nodes.get(have.get("boundaryID") or "", {}).get("name", "")
        for field, mine, theirs in (
            ("boundary", boundary, want.get("boundary") or ""),
            ("templateScope", have.get("templateScope"), want.get("templateScope")),
            ("exitCode", *_exit_codes(have, want)),
            ("artifacts", _artifacts(have), _artifacts(want)),
        ):
            if mine != theirs:
                found.append(f"{name}.{field}: {mine!r} instead of {theirs!r}")
    message = names.text(have.get("message") or "")
    if not _same_text(message, want.get("message") or ""):
        found.append(f"{name}.message: {message!r} instead of {want.get('message')!r}")
    children = sorted(
        names.nodes[child]["name"] for child in have.get("children") or () if child in names.nodes
    )
    if children != sorted(want.get("children") or ()):
        found.append(f"{name}.children: {children} instead of {want.get('children')}")
    for side in ("inputs", "outputs"):
        mine, theirs = _parameters(have, side), _parameters(want, side)
        for key in sorted(mine.keys() | theirs.keys()):
            text = names.text(mine[key]) if isinstance(mine.get(key), str) else mine.get(key)
            if not _same_text(text, theirs.get(key)):
                found.append(f"{name}.{side}.{key}: {text!r} instead of {theirs.get(key)!r}")
    mine_result = (have.get("outputs") or {}).get("result")
    want_result = (want.get("outputs") or {}).get("result")
    if not _same_text(mine_result, want_result):
        found.append(f"{name}.outputs.result: {mine_result!r} instead of {want_result!r}")
    mine_memo, want_memo = have.get("memoizationStatus"), want.get("memoizationStatus")
    if (mine_memo or {}).get("hit") != (want_memo or {}).get("hit") or bool(mine_memo) != bool(want_memo):
        found.append(f"{name}.memoizationStatus: {json.dumps(mine_memo)} instead of {json.dumps(want_memo)}")
    flag = {key: value for key, value in (have.get("nodeFlag") or {}).items() if value}
    wanted_flag = {key: value for key, value in (want.get("nodeFlag") or {}).items() if value}
    if flag != wanted_flag:
        found.append(f"{name}.nodeFlag: {flag} instead of {wanted_flag}")
    return found
