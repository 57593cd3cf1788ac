"""``status.nodes``: creation, phases, edges and progress of nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.argo.names import NodeIDs
from tiphys.argo.nodes import ACTIVE, COUNTED, ENDED, FAILED, GOOD, WORK, is_hit
from tiphys.argo.time import rfc3339, seconds
from tiphys.engine.machine.progress import progress_of, sum_up

if TYPE_CHECKING:
    from tiphys.argo.types import Arguments, Node, NodeFlag, WorkflowStep


__all__ = ["NodeStore", "failed_or_error", "fulfilled"]

_FEW = 8  # of so many children a list is read as fast as a set, which is 200 bytes more


def fulfilled(node: Node) -> bool:
    """Return whether the node ended, or is a daemon that is up."""
    phase = node["phase"]
    return phase in ENDED or (bool(node.get("daemoned")) and phase != "Pending")


def failed_or_error(node: Node) -> bool:
    """Return whether the node Failed or is in Error."""
    return node["phase"] in FAILED


class Limits:
    """Active children of one boundary that has ``parallelism`` or ``failFast``."""

    __slots__ = ("active", "failed", "failed_pods", "pods")

    def __init__(self) -> None:
        self.active = 0
        self.failed = 0
        self.failed_pods = 0
        self.pods = 0


class NodeStore:
    """The nodes of one workflow, by ID, with the counters that scheduling needs."""

    def __init__(self, workflow: str, now: float) -> None:
        self.now = now
        self._ids = NodeIDs(workflow)
        self.by_id: dict[str, Node] = {}
        self.changed: dict[str, None] = {}
        self.started: dict[str, float] = {}
        self.finished: dict[str, float] = {}
        self.limits: dict[str, Limits] = {}
        self.active_pods = 0
        self.total = 0
        self.done = 0
        self.dirty_limits: dict[str, None] = {}
        self._edges: dict[str, set[str]] = {}  # the children of nodes that have many
        self._kept: set[str] = set()  # of an earlier run: ended there
        self._open: set[str] = set()  # of an earlier run: to be gone through again
        self._stamp = ("", -1)

    def stamp(self) -> str:
        """Return now in Kubernetes' text form."""
        second = int(self.now)
        if self._stamp[1] != second:
            self._stamp = (rfc3339(second), second)
        return self._stamp[0]

    def id_of(self, name: str) -> str:
        """Return the ID that the node called ``name`` has, or would get now."""
        return self._ids.find(name)

    def take_id(self, name: str) -> str:
        """Return the ID of the node called ``name``, which is made or will be."""
        return self._ids.take(name)

    def by_name(self, name: str) -> Node | None:
        """Return the node called ``name``, if there is one."""
        return self.by_id.get(self._ids.find(name))

    def adopt(self, nodes: Mapping[str, Node]) -> None:
        """Take over the nodes that a retry or a memoized resubmit keeps of an earlier run.

        What ended there is not done again (:meth:`kept`); what is open is gone through again in place.
        """
        for identity, earlier in nodes.items():
            node = self.by_id[identity] = earlier.copy()
            self._ids.keep(node["name"], identity)
            node.setdefault("finishedAt", None)
            self.started[identity] = _seconds(node.get("startedAt"), self.now)
            if node["phase"] not in ENDED:
                self._open.add(identity)
                continue
            self._kept.add(identity)
            self.finished[identity] = _seconds(node.get("finishedAt"), self.now)
            if node["type"] in WORK:
                done, total = progress_of(node)
                self.done += done
                self.total += total

    def kept(self, name: str) -> Node | None:
        """Return the node called ``name`` if it ended in an earlier run, and is kept."""
        if not self._kept:
            return None
        identity = self._ids.find(name)
        return self.by_id[identity] if identity in self._kept else None

    def items_of(self, group: Node, name: str) -> list[Node]:
        """Return those of a group's children that are the items of the loop ``name``, in the order of the items."""
        found = [self.by_id[child] for child in group.get("children") or () if child in self.by_id]
        items = [node for node in found if node["name"].startswith(f"{name}(")]
        return sorted(items, key=lambda node: int(node["name"][len(name) + 1 :].partition(":")[0] or 0))

    def create(
        self,
        name: str,
        kind: str,
        *,
        phase: str,
        scope: str,
        holder: WorkflowStep | None = None,
        boundary: str = "",
        message: str = "",
        flag: NodeFlag | None = None,
        display: str = "",
        inputs: Arguments | None = None,
    ) -> Node:
        """Add a node; ``holder`` is what names its template (a step, a task, a hook)."""
        identity = self._ids.take(name)
        if self._open and identity in self._open:
            return self._again(identity, phase, message, inputs)
        stamp = self.stamp()
        node: Node = {
            "id": identity,
            "name": name,
            "displayName": display or _display(name, self.by_id.get(boundary)),
            "type": kind,
        }
        if holder:
            if holder.get("template"):
                node["templateName"] = holder["template"]
            reference = holder.get("templateRef")
            if reference:
                node["templateRef"] = reference
        node["templateScope"] = scope
        node["phase"] = phase
        if boundary:
            node["boundaryID"] = boundary
        if message:
            node["message"] = message
        node["startedAt"] = stamp
        node["finishedAt"] = None
        if flag:
            node["nodeFlag"] = flag.copy()
        if inputs:
            node["inputs"] = inputs
        if kind in WORK:
            node["progress"] = "0/1"
            self.total += 1
        self.by_id[identity] = node
        self.started[identity] = self.now
        if phase in ENDED:
            node["finishedAt"] = stamp
            self.finished[identity] = self.now
            if kind in WORK and phase in GOOD:
                node["progress"] = "1/1"
                self.done += 1
            self._count_failure(node)
        elif kind in COUNTED:
            self._count(node, 1)
        self.changed[identity] = None
        return node

    def _again(self, identity: str, phase: str, message: str, inputs: Arguments | None) -> Node:
        self._open.discard(identity)
        node = self.by_id[identity]
        node["phase"] = "Running"
        self.started[identity] = self.now
        if node["type"] in WORK:
            node["startedAt"] = self.stamp()
            node["progress"] = "0/1"
            self.total += 1
        if inputs:
            node["inputs"] = inputs
        if node["type"] in COUNTED:
            self._count(node, 1)
        self.mark(node, phase, message)
        self.changed[identity] = None
        return node

    def touch(self, node: Node) -> None:
        """Note that ``node`` changed."""
        self.changed[node["id"]] = None

    def mark(self, node: Node, phase: str, message: str | None = None) -> None:
        """Set the phase, and the message unless None."""
        old = node["phase"]
        if message is not None:
            if message:
                node["message"] = message
            else:
                node.pop("message", None)
        if phase != old:
            node["phase"] = phase
            if node["type"] in COUNTED and (old in ACTIVE) != (phase in ACTIVE):
                self._count(node, 1 if phase in ACTIVE else -1)
            if phase in ENDED:
                node["finishedAt"] = self.stamp()
                self.finished[node["id"]] = self.now
                if node["type"] in WORK and phase in GOOD:
                    done, total = progress_of(node)
                    node["progress"] = f"{total}/{total}"
                    self.done += total - done
            self._count_failure(node)
        self.changed[node["id"]] = None

    def set_progress(self, node: Node, progress: str) -> None:
        """Take over what the step wrote to its progress file (``N/M``)."""
        before = progress_of(node)
        done, slash, total = progress.partition("/")
        if not slash or not done.isdigit() or not total.isdigit() or int(done) > int(total) or int(total) < 1:
            return
        node["progress"] = progress
        self.done += int(done) - before[0]
        self.total += int(total) - before[1]
        self.changed[node["id"]] = None

    def lock_wait(self, node: Node, lock: str) -> None:
        """Set or clear (empty ``lock``) what the node waits for; a waiting pod is not active."""
        was = bool(node.get("synchronizationStatus", {}).get("waiting"))
        if lock:
            node["synchronizationStatus"] = {"waiting": lock}
        else:
            node.pop("synchronizationStatus", None)
        if node["type"] == "Pod" and was != bool(lock) and node["phase"] == "Pending":
            self._count_pod(node, -1 if lock else 1)
        self.changed[node["id"]] = None

    def _count_failure(self, node: Node) -> None:
        limits = self.limits.get(node.get("boundaryID", ""))
        if limits is not None and node["phase"] in FAILED:
            limits.failed += 1
            limits.failed_pods += node["type"] == "Pod"
            self.dirty_limits[node["boundaryID"]] = None

    def _count(self, node: Node, step: int) -> None:
        limits = self.limits.get(node.get("boundaryID", ""))
        if limits is not None:
            limits.active += step
            self.dirty_limits[node["boundaryID"]] = None
        if node["type"] == "Pod" and not node.get("synchronizationStatus", {}).get("waiting"):
            self._count_pod(node, step)

    def _count_pod(self, node: Node, step: int) -> None:
        self.active_pods += step
        limits = self.limits.get(node.get("boundaryID", ""))
        if limits is not None:
            limits.pods += step
            self.dirty_limits[node["boundaryID"]] = None

    def add_child(self, parent: Node, child_id: str) -> None:
        """Add an edge once."""
        children = parent.setdefault("children", [])
        if len(children) < _FEW:
            if child_id in children:
                return
        else:
            known = self._edges.get(parent["id"])
            if known is None:
                known = self._edges[parent["id"]] = set(children)
            if child_id in known:
                return
            known.add(child_id)
        children.append(child_id)
        self.changed[parent["id"]] = None

    def outbound(self, identity: str) -> list[str]:
        """Return the last nodes of a subgraph, to which what follows is attached (Argo's getOutboundNodes)."""
        node = self.by_id.get(identity)
        if node is None:
            return []
        kind = node["type"]
        children = node.get("children", [])
        if kind in ("Skipped", "Suspend", "HTTP", "Plugin", "Container"):
            return [identity]
        if kind == "Pod":
            containers = self._containers(identity)
            if not containers:
                return [identity]
            return [leaf for leaf in containers if not self._container_children(leaf)]
        if kind == "TaskGroup":
            if not children:
                return [identity]
            return [leaf for child in children for leaf in self.outbound(child)]
        if kind == "Retry":
            last: list[str] = children[-1:]
            return last
        if is_hit(node):
            return [identity]
        return [leaf for child in node.get("outboundNodes", []) for leaf in self.outbound(child)]

    def _containers(self, identity: str) -> list[str]:
        """Return the containers of a pod, those that depend on others, too."""
        found: dict[str, None] = {}
        waiting = self._container_children(identity)
        while waiting:
            container = waiting.pop(0)
            if container not in found:
                found[container] = None
                waiting.extend(self._container_children(container))
        return list(found)

    def _container_children(self, identity: str) -> list[str]:
        return [
            child
            for child in self.by_id[identity].get("children", [])
            if self.by_id[child]["type"] == "Container"
        ]

    def duration(self, node: Node) -> float:
        """Return the seconds the node took, or has taken so far."""
        identity = node["id"]
        return self.finished.get(identity, self.now) - self.started[identity]

    def sum_up(self) -> dict[str, int]:
        """Write the progress and the ``resourcesDuration`` of nodes that do not execute themselves: the sums over what
        they lead to. Returns the workflow's ``resourcesDuration``."""
        return sum_up(self.by_id, WORK)


def _seconds(text: str | None, now: float) -> float:
    return seconds(text) if text else now


def _display(name: str, boundary: Node | None) -> str:
    if boundary is not None and name.startswith(boundary["name"]):
        rest = name[len(boundary["name"]) :]
        if rest.startswith("["):
            group, _, step = rest.partition("].")
            return step or group + ("" if group.endswith("]") else "]")
        return rest[1:] if rest.startswith(".") else name
    return name
