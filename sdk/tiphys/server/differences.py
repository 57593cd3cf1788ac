"""What somebody wants who writes a Workflow back: ``argo`` reads one, changes it and writes it whole.

The object is not stored: the difference between what was there and what came is read as one of Argo's verbs, and the
engine carries it out. Source: workflow/util of Argo 4.1.2 (SuspendWorkflow, ResumeWorkflow, StopWorkflow, SetWorkflow,
FormulateRetryWorkflow), and what the real ``argo`` was seen to send.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Node, Outputs, Workflow

__all__ = ["AskedChange", "NodeAsked", "wanted"]

_PHASES = {  # labels that clients change beside a verb: they say what the status says
    f"workflows.argoproj.io/{name}" for name in ("phase", "completed", "workflow-archiving-status")
}


@dataclass(frozen=True)
class NodeAsked:
    """What a suspend node is to become. ``phase``: empty where it stays as it is."""

    identity: str
    phase: str = ""
    message: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AskedChange:
    """What a change of a Workflow asks for. ``suspend``: None where it is as it was. ``restarted``: nodes that had
    succeeded and are to run again with a retry. ``labels``, ``annotations``: None takes one away."""

    shutdown: str = ""
    suspend: bool | None = None
    retry: bool = False
    restarted: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[NodeAsked, ...] = ()
    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)


def wanted(before: Workflow, after: Workflow) -> AskedChange:
    """What of ``before`` is to change so that it is as ``after``; what is only written otherwise counts for nothing."""
    spec_before, spec_after = before.get("spec") or {}, after.get("spec") or {}
    nodes_before = (before.get("status") or {}).get("nodes") or {}
    nodes_after = (after.get("status") or {}).get("nodes") or {}
    was, now = (str(each.get("shutdown") or "") for each in (spec_before, spec_after))
    suspended, suspends = (bool(each.get("suspend")) for each in (spec_before, spec_after))
    labels, annotations = (_relabelled(before, after, kind) for kind in ("labels", "annotations"))
    ended = bool((before.get("status") or {}).get("finishedAt"))
    goes_on = not (after.get("status") or {}).get("finishedAt")
    if ended and goes_on:
        gone = nodes_before.keys() - nodes_after.keys()
        restarted = [
            identity
            for identity in sorted(gone)
            if nodes_before[identity].get("type") == "Pod"
            and nodes_before[identity].get("phase") == "Succeeded"
        ]
        return AskedChange(
            retry=True,
            restarted=tuple(restarted),
            parameters=_given(before, after),
            labels=labels,
            annotations=annotations,
        )
    changed = [
        NodeAsked(identity, *found)
        for identity, node in nodes_after.items()
        if identity in nodes_before and (found := _node(nodes_before[identity], node)) is not None
    ]
    return AskedChange(
        shutdown=now if now != was else "",
        suspend=suspends if suspends != suspended else None,
        nodes=tuple(changed),
        labels=labels,
        annotations=annotations,
    )


def _relabelled(
    before: Workflow, after: Workflow, kind: Literal["labels", "annotations"]
) -> dict[str, str | None]:
    """The labels or annotations that are others; None for those that are gone."""
    was, now = (each["metadata"].get(kind) or {} for each in (before, after))
    changed: dict[str, str | None] = {key: str(value) for key, value in now.items() if was.get(key) != value}
    changed |= dict.fromkeys(was.keys() - now.keys())
    return {key: value for key, value in changed.items() if key not in _PHASES}


def _given(before: Workflow, after: Workflow) -> dict[str, str]:
    """Parameters of the workflow that have another value."""
    was, now = ((each.get("spec") or {}).get("arguments") for each in (before, after))
    return _other_values(was, now)


def _other_values(before: Arguments | Outputs | None, after: Arguments | Outputs | None) -> dict[str, str]:
    """The parameters of ``after`` whose values are not those of ``before``."""
    return dict(set(_values(after)) - set(_values(before)))


def _values(place: Arguments | Outputs | None) -> Iterator[tuple[str, str]]:
    for each in (place or {}).get("parameters") or ():
        if each.get("value") is not None:
            yield str(each["name"]), str(each["value"])


def _node(before: Node, after: Node) -> tuple[str, str, dict[str, str]] | None:
    """Phase, message and outputs that a node is to have; None where it is as it was."""
    phase, was = str(after.get("phase") or ""), str(before.get("phase") or "")
    outputs = _other_values(before.get("outputs"), after.get("outputs"))
    message = str(after.get("message") or "")
    if message == str(before.get("message") or ""):
        message = ""
    if phase == was and not outputs and not message:
        return None
    return phase if phase != was else "", message, outputs
