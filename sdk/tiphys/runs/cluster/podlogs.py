"""The logs of a workflow's pods, read from the Kubernetes API: those that run, ran, and are still to come."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from tiphys.errors import ClusterError
from tiphys.runs.backend import Backend, WorkflowLogLine, ended
from tiphys.runs.cluster.follow import Merger, Patience, Stamps, is_executor, source_names, until_end

if TYPE_CHECKING:
    from tiphys.argo.manifest_types import ContainerStatus, PodManifest

__all__ = ["PodLogs"]

_QUIET = 2.0  # seconds: what still writes that long after the end of the workflow is left


class Pods(Backend, Protocol):
    """What is asked of the Kubernetes API."""

    def pods(self, namespace: str, name: str) -> tuple[Sequence[PodManifest], str]: ...

    def pod_events(
        self, namespace: str, name: str, version: str, silence: float
    ) -> Iterator[tuple[str, PodManifest]]: ...

    def pod_log(
        self, namespace: str, pod: str, query: Mapping[str, str], *, follow: bool
    ) -> Iterator[str]: ...


class PodLogs:
    """The log lines of one workflow; ``pod`` and ``container`` choose among them."""

    def __init__(
        self, api: Pods, namespace: str, name: str, *, pod: str = "", container: str = "", tail: int = 0
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._pod = pod
        self._container = container
        self._tail = tail
        workflow = api.get(namespace, name)
        self._ended = ended(workflow)
        self._source = source_names(workflow, lambda: api.get(namespace, name))
        self._started: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self._merger = Merger()

    def lines(self, follow: bool) -> Iterator[WorkflowLogLine]:
        """Without ``follow`` pod by pod; else as they come, until the workflow's end."""
        if not follow or self._ended:
            for item in self._api.pods(self._namespace, self._name)[0]:
                for of, _ in self._containers(item):
                    yield from self._once(item["metadata"]["name"], of, Stamps())
            return
        self._merger.start(self._until_the_end)
        self._merger.start(self._pods_to_come, background=True)
        yield from self._merger

    # -- which containers ------------------------------------------------------------------------------------

    def _containers(self, pod: PodManifest) -> list[tuple[str, str]]:
        """Name and ID of each container of the pod that runs or ran and is not read yet. One that was started again,
        in the same pod or in another of the same name, is another container."""
        metadata, found = pod["metadata"], []
        if self._pod and metadata["name"] != self._pod:
            return []
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            of, state = status["name"], status.get("state") or {}
            if of == "wait" or (self._container and of != self._container):
                continue
            if not ("running" in state or "terminated" in state):
                continue
            identity = _identity(status)
            with self._lock:
                known = (metadata["uid"], of, identity) in self._started
                self._started.add((metadata["uid"], of, identity))
            if not known:
                found.append((of, identity))
        return found

    def _begin(self, pod: PodManifest) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        for of, identity in self._containers(pod):
            self._merger.start(functools.partial(self._followed, name, uid, of, identity))

    # -- what happens ----------------------------------------------------------------------------------------

    def _until_the_end(self) -> Iterator[WorkflowLogLine]:
        """What came last, and the word that nothing comes any more."""
        until_end(self._api, self._namespace, self._name, self._merger.closed)
        endless = len(self._running())
        last = [
            (item["metadata"]["name"], of)
            for item in self._api.pods(self._namespace, self._name)[0]
            for of, _ in self._containers(item)
        ]
        self._merger.finish(_QUIET, endless)
        for pod, of in last:
            yield from self._once(pod, of, Stamps())

    def _pods_to_come(self) -> Iterator[WorkflowLogLine]:
        """Begin a log for each pod that runs. A list first, and again whenever the events are lost."""
        closed = self._merger.closed
        patience = Patience(closed)
        while not closed.is_set():
            try:
                pods, version = self._api.pods(self._namespace, self._name)
                patience.worked()
                for item in pods:
                    self._begin(item)
                for kind, item in self._api.pod_events(self._namespace, self._name, version, 60.0):
                    if closed.is_set():
                        return
                    if kind != "DELETED":
                        self._begin(item)
            except ClusterError as error:
                patience.failed(error)
            closed.wait(0.2)
        yield from ()

    # -- one log ---------------------------------------------------------------------------------------------

    def _read(self, pod: str, of: str, stamps: Stamps, *, follow: bool) -> Iterator[WorkflowLogLine]:
        query = {"container": of, "follow": str(follow).lower(), "timestamps": "true"}
        if stamps.last:
            query["sinceTime"] = stamps.last
            stamps.again()
        elif self._tail:
            query["tailLines"] = str(self._tail)
        for line in self._api.pod_log(self._namespace, pod, query, follow=follow):
            text = stamps.text(line)
            if text is not None and not is_executor(text):
                yield WorkflowLogLine(pod, of, self._source(pod), text)

    def _once(self, pod: str, of: str, stamps: Stamps) -> Iterator[WorkflowLogLine]:
        yield from self._read(pod, of, stamps, follow=False)

    def _followed(self, pod: str, uid: str, of: str, identity: str) -> Iterator[WorkflowLogLine]:
        """A log to its end, through connections that break: what was missed is read again from where it stood."""
        stamps = Stamps()
        patience = Patience(self._merger.closed)
        while not self._merger.closed.is_set():
            try:
                for line in self._read(pod, of, stamps, follow=True):
                    patience.worked()
                    yield line
                if (uid, of, identity) not in self._running():
                    yield from self._once(pod, of, stamps)
                    return
            except ClusterError as error:
                patience.failed(error)
            self._merger.closed.wait(0.5)

    def _running(self) -> set[tuple[str, str, str]]:
        """The containers that are being read and run at this moment."""
        found = set()
        for item in self._api.pods(self._namespace, self._name)[0]:
            for status in (item.get("status") or {}).get("containerStatuses") or []:
                if "running" in (status.get("state") or {}):
                    found.add((item["metadata"]["uid"], status["name"], _identity(status)))
        with self._lock:
            return found & self._started


def _identity(status: ContainerStatus) -> str:
    return str(status.get("containerID") or status.get("restartCount") or "")
