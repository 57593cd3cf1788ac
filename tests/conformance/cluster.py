"""The real controller, by kubectl: submit a batch of workflows, wait for their ends, write down what became of them.

Needs ``kubectl`` (and for cases that are acted on ``argo``) on PATH and KUBECONFIG set; see the cluster script.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from typing import Any

Json = Any

__all__ = ["DONE", "NAMESPACE", "as_argo_reads", "kubectl", "outcome", "seconds"]

NAMESPACE = "argo"
DONE = ("Succeeded", "Failed", "Error")
_NAME = "WF"
_TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_IP = re.compile(r"\b10\.22\.\d+\.\d+\b")
_KEPT = (
    "type", "phase", "displayName", "templateName", "templateRef", "templateScope", "message", "inputs", "outputs",
    "nodeFlag", "memoizationStatus", "progress", "daemoned",
)  # fmt: skip
_TEXTS = frozenset(
    ["value", "default", "when", "duration", "maxDuration", "timeout", "key", "maxAge", "image"]
)
_LISTS = frozenset(["args", "command", "enum"])
_MAPS = frozenset(["labels", "annotations", "nodeSelector"])


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl in the namespace and return what it prints."""
    return subprocess.run(
        ["kubectl", "-n", NAMESPACE, *arguments],
        input=stdin, capture_output=True, text=True, check=check, timeout=120,
    ).stdout  # fmt: skip


def _word(value: Json) -> Json:
    if isinstance(value, str) or value is None:
        return value
    return json.dumps(value, separators=(",", ":"))


def as_argo_reads(value: Json) -> Json:
    """Return the object with text where Argo's types have text.

    ``argo submit`` does this; sent as it is, a number there ends the controller of 4.1.2.
    """
    if isinstance(value, list):
        return [as_argo_reads(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    made: dict[str, Json] = {}
    for key, item in value.items():
        if key in ("withItems", "manifest"):
            made[key] = item
        elif key in _TEXTS and isinstance(item, (int, float, bool)):
            made[key] = _word(item)
        elif key in _LISTS and isinstance(item, list):
            made[key] = [_word(part) for part in item]
        elif isinstance(item, Mapping) and (
            key in _MAPS or (key == "data" and value.get("kind") == "ConfigMap")
        ):
            made[key] = {name: _word(part) for name, part in item.items()}
        else:
            made[key] = as_argo_reads(item)
    return made


def seconds(text: str | None) -> float | None:
    """Return an RFC 3339 time as seconds since the epoch."""
    if not text:
        return None
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone


class _Cleaner:
    """Replaces what differs from run to run: the name, node IDs, pod names, the UID, times, addresses."""

    def __init__(self, workflow: Mapping[str, Json]) -> None:
        self.name: str = workflow["metadata"]["name"]
        self.uid: str = workflow["metadata"].get("uid") or "no uid"
        nodes = workflow["status"].get("nodes") or {}
        self.ids = {identity: node["name"].replace(self.name, _NAME) for identity, node in nodes.items()}
        own = sorted((re.escape(key) for key in self.ids if key != self.name), key=len, reverse=True)
        self.pattern = re.compile("|".join(own) or r"(?!)")
        self.hashes = {key.rpartition("-")[2]: name for key, name in self.ids.items() if key != self.name}
        self.pods = re.compile(re.escape(self.name) + r"-[A-Za-z0-9.-]+-(\d+)\b")

    def text(self, value: str) -> str:
        value = value.replace(self.uid, "UID")
        value = self.pattern.sub(lambda match: f"ID({self.ids[match.group()]})", value)
        value = self.pods.sub(lambda match: f"POD({self.hashes.get(match.group(1), '?')})", value)
        value = value.replace(self.name, _NAME)
        return _IP.sub("IP", _TIME.sub("TIME", value))

    def clean(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.clean(item) for item in value]
        if isinstance(value, Mapping):
            return {self.text(key): self.clean(item) for key, item in value.items()}
        return value


def outcome(workflow: Mapping[str, Json]) -> dict[str, Json]:
    """Return what is kept of a workflow that has ended."""
    status = workflow["status"]
    cleaner = _Cleaner(workflow)
    began = seconds(status.get("startedAt")) or 0.0
    made = []
    for node in (status.get("nodes") or {}).values():
        record = {key: cleaner.clean(node[key]) for key in _KEPT if key in node}
        record["name"] = cleaner.ids[node["id"]]
        for key in ("children", "outboundNodes"):
            record[key] = sorted(cleaner.ids[other] for other in node.get(key) or () if other in cleaner.ids)
        if node.get("boundaryID"):
            record["boundary"] = cleaner.ids.get(node["boundaryID"], cleaner.text(node["boundaryID"]))
        for key in ("startedAt", "finishedAt"):
            at = seconds(node.get(key))
            record[key] = None if at is None else round(at - began)
        made.append(record)
    labels = {
        key: value
        for key, value in (workflow["metadata"].get("labels") or {}).items()
        if key != "workflows.argoproj.io/creator"
    }
    return {
        "yaml": "",
        "phase": status.get("phase", ""),
        "message": cleaner.clean(status.get("message", "")),
        "progress": status.get("progress"),
        "outputs": cleaner.clean(status.get("outputs")),
        "labels": cleaner.clean(labels),
        "nodes": sorted(made, key=lambda node: str(node["name"])),
    }


def workflows(label: str) -> Iterable[dict[str, Json]]:
    """Return the workflows that have a label."""
    found: list[dict[str, Json]] = json.loads(kubectl("get", "workflows", "-l", label, "-o", "json"))["items"]
    return found
