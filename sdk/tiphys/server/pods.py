"""The pods of a run, as the API server has them: made from the nodes of its Workflow, with the logs that it left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from tiphys.argo.names import pod_name
from tiphys.argo.nodes import COMPLETED, is_hit, template_name
from tiphys.argo.selectors import parse_labels
from tiphys.argo.types import Template
from tiphys.records.requests import templates_of
from tiphys.server.board import Board, BoardChange
from tiphys.server.collections import Wholes

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec
    from tiphys.argo.types import Node, Workflow
    from tiphys.jsontypes import JsonObject

__all__ = ["MAIN", "POD_LABEL", "PodCollection", "containers_of", "pods"]

_LABEL = "workflows.argoproj.io/"
POD_LABEL = f"{_LABEL}workflow"
"""The label of a pod that names its Workflow."""
MAIN = "main"
"""The container of a step; others are those of a container set, sidecars and init containers."""
_PHASES = {"Succeeded": "Succeeded", "Running": "Running", "Pending": "Pending", "": "Pending"}


def pods(workflow: Workflow) -> Iterator[JsonObject]:
    """A pod for each node that has, or had, one."""
    metadata = workflow["metadata"]
    name = str(metadata["name"])
    for node in ((workflow.get("status") or {}).get("nodes") or {}).values():
        if node.get("type") == "Pod" and not is_hit(node):
            yield _pod(workflow, name, node)


def containers_of(pod: Mapping[str, object]) -> set[str]:
    """The names of a pod's containers."""
    spec = cast("Mapping[str, Sequence[Mapping[str, str]]]", pod["spec"])
    return {each["name"] for key in ("initContainers", "containers") for each in spec.get(key, ())}


class PodCollection(Wholes):
    """The pods of all runs, or of the one called ``run``: see :class:`tiphys.server.collections.Collection`."""

    def __init__(self, board: Board, run: str = "") -> None:
        self._board, self._run = board, run

    def within(self, query: Mapping[str, str]) -> PodCollection:
        """Those that ``labelSelector`` can mean, if it names their run: others need not be made."""
        for each in parse_labels(query.get("labelSelector", "")):
            if each.key == POD_LABEL and each.operator in ("=", "==", "in") and len(each.values) == 1:
                return PodCollection(self._board, next(iter(each.values)))
        return self

    @property
    def number(self) -> int:
        return self._board.number

    def briefs(self) -> tuple[int, list[Workflow]]:
        number, found = self._board.number, []
        for name in (
            [self._run] if self._run else [each["metadata"]["name"] for each in self._board.briefs()[1]]
        ):
            workflow = self._board.get(name)
            found += [] if workflow is None else [cast("Workflow", pod) for pod in pods(workflow)]
        return number, sorted(found, key=lambda pod: pod["metadata"]["name"])

    def get(self, name: str) -> Workflow | None:
        for pod in (PodCollection(self._board, self._run_of(name)) if not self._run else self).briefs()[1]:
            if pod["metadata"]["name"] == name:
                return pod
        return None

    def _run_of(self, name: str) -> str:
        """The run whose name a pod's name begins with."""
        runs = (str(each["metadata"]["name"]) for each in self._board.briefs()[1])
        return max((run for run in runs if name == run or name.startswith(f"{run}-")), key=len, default="")

    def changes(self, since: int) -> Iterator[BoardChange]:
        for change in self._board.changes(since):
            if self._run in ("", change.name):
                for pod in pods(change.workflow):
                    found = cast("Workflow", pod)
                    yield BoardChange(change.number, change.kind, found["metadata"]["name"], found)

    def hear(self, heard: Callable[[], None]) -> Callable[[], None]:
        return self._board.hear(heard)


def _containers(workflow: Workflow, node: Node) -> tuple[list[JsonObject], list[JsonObject]]:
    """The init containers of a node's pod, and the others, each with name and image, as its template has them;
    ``main`` alone where it is not known."""
    name, nothing = template_name(node), Template()
    found = next((each for each in templates_of(workflow) if each.get("name") == name), nothing)
    own: Iterable[ContainerSpec] = (found.get("containerSet") or {}).get("containers") or [
        {**(found.get("container") or found.get("script") or {}), "name": MAIN}
    ]
    return _named(found.get("initContainers")), _named([*own, *(found.get("sidecars") or ())])


def _named(containers: Iterable[ContainerSpec] | None) -> list[JsonObject]:
    return [
        {"name": str(each.get("name") or ""), "image": str(each.get("image") or "")}
        for each in containers or ()
    ]


def _pod(workflow: Workflow, name: str, node: Node) -> JsonObject:
    metadata, phase = workflow["metadata"], str(node.get("phase") or "")
    ended, (first, containers) = phase in COMPLETED, _containers(workflow, node)
    started, finished = node.get("startedAt"), node.get("finishedAt")
    if ended:
        code = int((node.get("outputs") or {}).get("exitCode") or (0 if phase == "Succeeded" else 1))
        state: JsonObject = {
            "terminated": {
                "exitCode": code,
                "reason": "Completed" if phase == "Succeeded" else "Error",
                "startedAt": started,
                "finishedAt": finished,
            }
        }
    elif phase == "Running":
        state = {"running": {"startedAt": started}}
    else:
        state = {"waiting": {"reason": node.get("message") or "PodInitializing"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(name, node["id"], template_name(node)),
            "namespace": metadata.get("namespace"),
            "uid": f"{metadata.get('uid')}-{node['id']}",
            "resourceVersion": metadata.get("resourceVersion"),
            "creationTimestamp": started or metadata.get("creationTimestamp"),
            "labels": {POD_LABEL: name, f"{_LABEL}completed": "true" if ended else "false"},
            "annotations": {f"{_LABEL}node-id": node["id"], f"{_LABEL}node-name": node.get("name")},
            "ownerReferences": [
                {
                    "apiVersion": "argoproj.io/v1alpha1",
                    "kind": "Workflow",
                    "name": name,
                    "uid": metadata.get("uid"),
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            **({"initContainers": [*first]} if first else {}),
            "containers": [*containers],
            "nodeName": node.get("hostNodeName") or "localhost",
        },
        "status": {
            "phase": _PHASES.get(phase, "Failed"),
            "startTime": started,
            "message": node.get("message") or "",
            "containerStatuses": [
                {
                    **each,
                    "imageID": "",
                    "ready": phase == "Running",
                    "restartCount": 0,
                    "state": state,
                }
                for each in containers
            ],
        },
    }
