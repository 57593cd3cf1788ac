"""How a workflow stands and how it ended, and its nodes as a tree to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tiphys.argo.nodes import BUNDLES, FAILED, HOLDERS, is_hit, outputs_of, texts
from tiphys.argo.time import moment
from tiphys.notebook import badge, facts, fragment, text
from tiphys.notebook import rows as table
from tiphys.runs.backend import KEPT_AS

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["NodeFailure", "Result", "Row", "rows"]


@dataclass(frozen=True)
class NodeFailure:
    """A node that failed by itself: ``name`` is its path below the workflow."""

    name: str
    phase: str
    message: str


def _unseen() -> Workflow:
    return {}


@dataclass(frozen=True)
class Result:
    """A workflow's state. ``phase`` is Argo's: Pending, Running, Succeeded, Failed or Error ("Pending" also
    before the controller has seen it). ``outputs`` are those of the whole workflow, as their components returned them
    (:mod:`tiphys.verbatim`)."""

    name: str
    namespace: str
    phase: str
    message: str = ""
    progress: str = ""
    started: datetime | None = None
    finished: datetime | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[NodeFailure, ...] = ()
    workflow: Workflow = field(default_factory=_unseen, repr=False, compare=False)

    @property
    def record(self) -> str:
        """What the verbs take for its name: of an earlier run whose name a later one took, ``NAME.1``."""
        kept = (self.workflow.get("metadata") or {}).get("annotations") or {}
        return str(kept.get(KEPT_AS) or self.name)

    @property
    def ended(self) -> bool:
        return self.finished is not None

    @property
    def succeeded(self) -> bool:
        return self.ended and self.phase == "Succeeded"

    @property
    def stopped(self) -> bool:
        """True when somebody stopped or terminated it."""
        return bool(self.workflow.get("spec", {}).get("shutdown"))

    @property
    def waiting(self) -> tuple[str, ...]:
        """What nodes wait for: locks, room in the quota, a pod that cannot start. ``PATH: message``."""
        nodes = (self.workflow.get("status") or {}).get("nodes") or {}
        root = self.name + "."
        return tuple(
            f"{str(node['name']).removeprefix(root)}: {node['message']}"
            for node in nodes.values()
            if node.get("phase") == "Pending" and node.get("message") and not self.ended
        )

    def outputs_of(self, step: str) -> dict[str, str]:
        """The outputs of the step ``step`` (``cnn.train``): their text by name, as its component returned them. Raises
        RunError TIP209 where the run has no such step."""
        return outputs_of(self.workflow, step)

    def _repr_html_(self) -> str:
        """Its state and its nodes, for a notebook."""
        title = f"<div><b>{text(self.name)}</b> {badge(self.phase)} {text(self.message)}</div>"
        took = f"{self.seconds:.0f} s" if self.started else ""
        found = rows(self.workflow) if self.workflow else []
        nodes = [
            (
                f'<span style="white-space:pre;font-family:monospace">{text(row.guide)}</span>{text(row.name)}',
                badge("hit" if row.hit else row.phase),
                f"{(row.finished - row.started).total_seconds():.0f} s"
                if row.started and row.finished
                else "",
                text(row.message),
            )
            for row in found
        ]
        return fragment(
            title,
            facts([("namespace", self.namespace), ("progress", self.progress), ("took", took)]),
            table(("step", "phase", "took", "message"), nodes),
            table(("output", "value"), [(text(name), text(value)) for name, value in self.outputs.items()]),
        )

    @property
    def seconds(self) -> float:
        """From start to end, or until now."""
        if self.started is None:
            return 0.0
        return ((self.finished or datetime.now(UTC)) - self.started).total_seconds()

    @classmethod
    def of(cls, workflow: Workflow) -> Result:
        metadata, status = workflow["metadata"], workflow.get("status") or {}
        failures = []
        for node in (status.get("nodes") or {}).values():
            bad = node.get("phase") in FAILED
            if bad and (node.get("type") not in HOLDERS or not node.get("children")):
                path = str(node["name"]).removeprefix(metadata["name"] + ".")
                failures.append(NodeFailure(path, node["phase"], node.get("message", "")))
        return cls(
            name=metadata["name"],
            namespace=metadata.get("namespace", ""),
            phase=status.get("phase") or "Pending",
            message=status.get("message", ""),
            progress=status.get("progress", ""),
            started=_time(status.get("startedAt")),
            finished=_time(status.get("finishedAt")),
            outputs=texts(status.get("outputs")),
            failures=tuple(failures),
            workflow=workflow,
        )


def _time(text: str | None) -> datetime | None:
    return moment(text) if text else None


@dataclass(frozen=True)
class Row:
    """One line of the tree: ``guide`` holds the branches drawn before the name."""

    guide: str
    name: str
    phase: str
    kind: str
    template: str
    message: str
    started: datetime | None
    finished: datetime | None
    hit: bool
    progress: str


def rows(workflow: Workflow) -> list[Row]:
    """The nodes as `argo get` shows them: what lies inside a group is indented below it, in order of start.

    Step groups and task groups, which only hold others together, are left out, and so is the attempt of a step that
    was tried once; exit handlers come last.
    """
    name = workflow["metadata"]["name"]
    nodes = (workflow.get("status") or {}).get("nodes") or {}
    inside: dict[str, list[str]] = {}
    retries = {
        identity: node.get("children") or [] for identity, node in nodes.items() if node["type"] == "Retry"
    }
    attempts = {child: identity for identity, children in retries.items() for child in children}
    single = {children[0]: identity for identity, children in retries.items() if len(children) == 1}
    messages = {
        identity: str(nodes[child].get("message", "")) for child, identity in single.items() if child in nodes
    }
    tops = []
    for identity, node in nodes.items():
        if node["type"] in BUNDLES or identity in single:
            continue
        holder = attempts.get(identity) or node.get("boundaryID")
        # Argo gives a hook's node the boundary of what it hooks to, an exit handler none
        if holder and holder in nodes and holder != identity:
            inside.setdefault(holder, []).append(identity)
        else:
            tops.append(identity)

    def order(identity: str) -> tuple[str, str]:
        return str(nodes[identity].get("startedAt") or "~"), str(nodes[identity]["name"])

    result: list[Row] = []

    def add(identity: str, guide: str, below: str) -> None:
        node = nodes[identity]
        result.append(
            Row(
                guide=guide,
                name=str(node.get("displayName") or node["name"]),
                phase=str(node.get("phase", "")),
                kind=str(node["type"]),
                template=str(
                    node.get("templateName") or (node.get("templateRef") or {}).get("template") or ""
                ),
                message=str(node.get("message", "")) or messages.get(identity, ""),
                started=_time(node.get("startedAt")),
                finished=_time(node.get("finishedAt")),
                hit=is_hit(node),
                progress=str(node.get("progress", "")),
            )
        )
        children = sorted(inside.get(identity, ()), key=order)
        for index, child in enumerate(children):
            last = index == len(children) - 1
            add(child, below + ("└─" if last else "├─"), below + ("  " if last else "│ "))

    for identity in sorted(tops, key=lambda item: (item != name, order(item))):
        add(identity, "", "")
    return result
