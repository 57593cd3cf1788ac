"""Following several streams at once, and naming the pods they come from."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING

from tiphys.argo.nodes import origin
from tiphys.argo.operated_kinds import OPERATED
from tiphys.argo.spec import set_containers
from tiphys.errors import ClusterError, RefusedError
from tiphys.lazy import regex
from tiphys.runs.backend import Backend, WorkflowLogLine, ended

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow

__all__ = ["Merger", "Patience", "Stamps", "containers_of", "is_executor", "source_names", "until_end"]

_WORKER = regex(r"^(?P<job>.+)-(?P<replica>(?:worker|chief|master|ps|evaluator|launcher)-\d+)$")
_INDEXED = regex(r"^(?P<job>.+)-(?P<replica>worker-0-\d+)-[a-z0-9]{5}$")  # a pod of a JobSet
# of the containers that kinds of jobs must have, or have when we write them
_MAIN = {kind: each.container for kind, each in OPERATED.items()} | {
    "JobSet": "tensorflow", "MPIJob": "mpi", "RayJob": "ray", "TrainJob": "node"
}  # fmt: skip
_TIME = regex(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
_EXECUTOR = regex(r"^time=\S+ level=\w+ msg=.*\bargo=true\b")


def is_executor(text: str) -> bool:
    """True for a line that Argo's executor wrote into a container's log about itself."""
    return bool(_EXECUTOR.match(text))


def containers_of(workflow: Workflow) -> list[str]:
    """The names of containers that the workflow's pods have: its own, and those of the TFJobs, JobSets and
    Deployments it creates."""
    names = {"main": None}
    templates = workflow.get("spec", {}).get("templates") or []
    stored = (workflow.get("status", {}).get("storedWorkflowTemplateSpec") or {}).get("templates") or []
    for template in [*templates, *stored]:
        for container in set_containers(template):
            names[str(container.get("name"))] = None
        text = (template.get("resource") or {}).get("manifest")
        if not text:
            continue
        from tiphys.argo.reader import read_value  # 15 ms, and few runs have a text to read

        try:
            value = read_value(text)
        except RefusedError:  # template tags may stand where YAML cannot have them
            names |= {name: None for word, name in _MAIN.items() if word in text}
            continue
        for name in _containers(value):
            names[name] = None
    return list(names)


def _containers(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.get("containers") or []:
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                yield item["name"]
        for item in value.values():
            yield from _containers(item)
    elif isinstance(value, list):
        for item in value:
            yield from _containers(item)


def source_names(workflow: Workflow, refresh: Callable[[], Workflow] | None = None) -> Callable[[str], str]:
    """A function from a pod's name to a short name for people: the node's path below the workflow's name,
    ``JOB/worker-0`` for a TFJob's pod, ``JOB/worker-0-0`` for a JobSet's. ``refresh`` is asked for a newer state when a
    pod is not known yet."""
    name = str(workflow["metadata"]["name"])
    known = _pods(workflow)
    tried: set[str] = set()

    def of(pod: str) -> str:
        worker = _WORKER.match(pod) or _INDEXED.match(pod)
        if worker and pod not in known:
            return f"{worker['job'].removeprefix(name + '-')}/{worker['replica']}"
        if pod not in known and refresh is not None and pod not in tried:
            tried.add(pod)
            known.update(_pods(refresh()))
        return known.get(pod) or pod.removeprefix(name + "-")

    return of


def _pods(workflow: Workflow) -> dict[str, str]:
    """Pod name -> path, by Argo's rule for pod names (v2): WORKFLOW-TEMPLATE-HASH, the hash being the node
    ID's."""
    root = str(workflow["metadata"]["name"])
    found = {}
    for node in (workflow.get("status", {}).get("nodes") or {}).values():
        if node.get("type") != "Pod":
            continue
        if node["name"] == root:
            found[root] = root
            continue
        template = node.get("templateName") or (node.get("templateRef") or {}).get("template") or ""
        start = f"{root}-{template}"[:242] if template else root
        found[f"{start}-{str(node['id']).rpartition('-')[2]}"] = origin(node, root)
    return found


class Merger:
    """Runs sources of log lines in threads and gives their lines as one iterator, in order of arrival.

    A source may be started while others run. The iterator ends when all have ended, or some time after
    :meth:`finish`; an error in one of them is raised there.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[WorkflowLogLine | BaseException | None] = queue.SimpleQueue()
        self._running = 0
        self._quiet: float | None = None
        self._endless = 0
        self._lock = threading.Lock()
        self.closed = threading.Event()

    def start(self, source: Callable[[], Iterable[WorkflowLogLine]], *, background: bool = False) -> None:
        """Run a source. One in the ``background`` brings others about: the iterator does not wait for its end."""
        if not background:
            with self._lock:
                self._running += 1
        threading.Thread(target=self._run, args=(source, background), daemon=True).start()

    def finish(self, quiet: float, endless: int) -> None:
        """No more sources come, and ``endless`` of those that run (a model server's) will not end by themselves: when
        the others have, end the iterator as soon as no line has come for ``quiet`` seconds."""
        with self._lock:
            self._quiet, self._endless = quiet, endless
            self._running += 1
        self._queue.put(None)  # wakes the reader

    def _run(self, source: Callable[[], Iterable[WorkflowLogLine]], background: bool) -> None:
        try:
            lines = source()
            for line in lines:
                if self.closed.is_set():
                    break
                self._queue.put(line)
            if isinstance(lines, Generator):
                lines.close()  # gives its connection back
        except BaseException as error:  # noqa: BLE001  raised again by the reader
            self._queue.put(error)
        finally:
            if not background:
                self._queue.put(None)

    def __iter__(self) -> Iterator[WorkflowLogLine]:
        try:
            while self._running:
                waits = None if self._running > self._endless else self._quiet
                try:
                    item = self._queue.get(timeout=waits)
                except queue.Empty:
                    return
                if item is None:
                    with self._lock:
                        self._running -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self.closed.set()


class Stamps:
    """Takes the times off the lines of one log, and knows which of them it has given when the log is read again
    because the connection broke."""

    def __init__(self) -> None:
        self.last = ""  # the latest time given
        self._count = 0  # lines of that time that were given
        self._until = ("", 0)
        self._passed = 0

    def again(self) -> None:
        """The log is read once more, from :attr:`last` or from its start."""
        self._until, self._passed = (self.last, self._count), 0

    def text(self, line: str) -> str | None:
        """The line without its time; None if it was given before."""
        time, _, text = line.partition(" ")
        if not _TIME.match(time):
            return line  # no time was put in front: nothing is known about it
        until, count = self._until
        if time < until:
            return None
        if time == until:
            self._passed += 1
            if self._passed <= count:
                return None
        if time > self.last:
            self.last, self._count = time, 1
        elif time == self.last:
            self._count += 1
        return text


class Patience:
    """Counts connections that failed one after the other, and says when it is enough."""

    def __init__(self, closed: threading.Event) -> None:
        self._closed = closed
        self._failures = 0

    def worked(self) -> None:
        """The connection stands: what fails from here on is counted anew."""
        self._failures = 0

    def failed(self, error: ClusterError) -> None:
        """Wait before the next try. Raises an error that is none of the connection, and the sixth in a row."""
        if error.code not in ("TIP601", "TIP608") or self._failures == 5:
            raise error
        self._failures += 1
        self._closed.wait(min(2.0**self._failures / 4, 5.0))


def until_end(backend: Backend, namespace: str, name: str, closed: threading.Event) -> None:
    """Return when the workflow has ended or is gone, or ``closed`` is set; driven by events, through restarts."""
    patience = Patience(closed)
    while not closed.is_set():
        try:
            current = backend.get(namespace, name)
            patience.worked()
            if ended(current):
                return
            version = str(current["metadata"].get("resourceVersion", ""))
            for change in backend.watch(namespace, name, version, 60.0):
                if change.kind == "DELETED" or ended(change.workflow):
                    return
        except ClusterError as error:
            if error.code == "TIP605":
                return
            patience.failed(error)
        closed.wait(0.2)  # where a proxy ends each stream at once
