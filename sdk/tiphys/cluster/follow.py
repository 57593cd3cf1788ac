"""Following several streams at once, and naming the pods they come from."""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import yaml

from tiphys.cluster.backend import LogLine, Workflow

__all__ = ["Merger", "containers_of", "is_executor", "merge", "source_names"]

_WORKER = re.compile(r"^(?P<job>.+)-(?P<replica>(?:worker|chief|master|ps|evaluator|launcher)-\d+)$")
_RUN = re.compile(r"\.run(\(\d+\))?$")
_EXECUTOR = re.compile(r"^time=\S+ level=\w+ msg=.*\bargo=true\b")


def is_executor(text: str) -> bool:
    """True for a line that Argo's executor wrote into a container's log about itself."""
    return bool(_EXECUTOR.match(text))


def containers_of(workflow: Workflow) -> list[str]:
    """The names of containers that the workflow's pods have: its own, and those of the TFJobs and Deployments
    it creates."""
    names = {"main": None}
    templates = workflow.get("spec", {}).get("templates") or []
    stored = (workflow.get("status", {}).get("storedWorkflowTemplateSpec") or {}).get("templates") or []
    for template in [*templates, *stored]:
        for container in (template.get("containerSet") or {}).get("containers") or []:
            names[str(container.get("name"))] = None
        text = (template.get("resource") or {}).get("manifest")
        if not text:
            continue
        try:
            value = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError):  # template tags may stand where YAML cannot have them
            if "TFJob" in text:
                names["tensorflow"] = None
            continue
        for name in _containers(value):
            names[name] = None
    return list(names)


def _containers(value: Any) -> Iterator[str]:
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
    ``JOB/worker-0`` for a TFJob's pod. ``refresh`` is asked for a newer state when a pod is not known yet."""
    name = str(workflow["metadata"]["name"])
    known = _pods(workflow)
    tried: set[str] = set()

    def of(pod: str) -> str:
        worker = _WORKER.match(pod)
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
        path = str(node["name"])
        if path == root:
            found[root] = root
            continue
        template = node.get("templateName") or (node.get("templateRef") or {}).get("template") or ""
        start = f"{root}-{template}"[:242] if template else root
        if template.endswith("-run"):  # the retried half of a cached step (tiphys.dsl.split)
            path = _RUN.sub(r"\1", path)
        found[f"{start}-{str(node['id']).rpartition('-')[2]}"] = path.removeprefix(root + ".").removesuffix(
            "(0)"
        )
    return found


class Merger:
    """Runs sources of log lines in threads and gives their lines as one iterator, in order of arrival.

    A source may be started while others run. The iterator ends when all have ended; an error in one of them
    is raised there.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[LogLine | BaseException | None] = queue.SimpleQueue()
        self._running = 0
        self._lock = threading.Lock()
        self.closed = threading.Event()

    def start(self, source: Callable[[], Iterable[LogLine]]) -> None:
        with self._lock:
            self._running += 1
        threading.Thread(target=self._run, args=(source,), daemon=True).start()

    def _run(self, source: Callable[[], Iterable[LogLine]]) -> None:
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
            self._queue.put(None)

    def __iter__(self) -> Iterator[LogLine]:
        try:
            while self._running:
                item = self._queue.get()
                if item is None:
                    with self._lock:
                        self._running -= 1
                elif isinstance(item, BaseException):
                    raise item
                else:
                    yield item
        finally:
            self.closed.set()


def merge(sources: Iterable[Callable[[], Iterable[LogLine]]]) -> Iterator[LogLine]:
    """The lines of several sources as they come."""
    merger = Merger()
    for source in sources:
        merger.start(source)
    yield from merger
