"""The planned graph of a workflow: what would run, in what order, read from Argo's objects before anything
runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tiphys.argo.nodes import GOOD
from tiphys.argo.spec import step_groups, tasks, workflow_spec
from tiphys.dsl.cached_retry import joined
from tiphys.dsl.prepared import unprepared
from tiphys.errors import RefusedError, did_you_mean

if TYPE_CHECKING:
    from tiphys.argo.types import (
        DAGTask,
        ResourceTemplate,
        Template,
        Workflow,
        WorkflowSpec,
        WorkflowStep,
    )

__all__ = ["Badge", "Edge", "Group", "PlannedGraph", "PlannedItem", "plan"]

MAX_ITEMS = 3000
"""Nested templates are not opened beyond this many items."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A mark on an item: ``when``, ``loop``, ``cache``, ``lock`` or ``retry``."""

    kind: str
    text: str


@dataclass(slots=True)
class PlannedItem:
    """One task or step; ``inner`` is the graph inside it."""

    key: str
    title: str
    kind: str
    subtitle: str = ""
    badges: list[Badge] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    inner: Group | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """``target`` waits for ``source``; ``label`` says for which results when it is not plain success."""

    source: str
    target: str
    label: str = ""


@dataclass(slots=True)
class Group:
    """Items and edges of one DAG or steps template."""

    items: list[PlannedItem] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


@dataclass(slots=True)
class PlannedGraph:
    """The whole picture."""

    title: str
    description: str
    parameters: list[tuple[str, str, str]]
    main: Group
    exit: Group | None = None


def plan(workflow: Workflow) -> PlannedGraph:
    """Read a Workflow, WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow. Raises RefusedError
    (TIP250)."""
    spec = workflow_spec(workflow)
    metadata = workflow.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    name = str(metadata.get("name") or str(metadata.get("generateName") or "workflow").rstrip("-"))
    parameters = [
        (str(p.get("name")), str(p.get("value", "")), str(p.get("description") or ""))
        for p in (spec.get("arguments") or {}).get("parameters") or []
    ]
    reader = _Reader(spec)
    entrypoint = spec.get("entrypoint")
    if not entrypoint:
        reference = spec.get("workflowTemplateRef")
        if not reference:
            raise RefusedError(
                "TIP250",
                f"{name} has no entrypoint to draw",
                where="spec.entrypoint",
                fix="give a workflow with spec.entrypoint",
            )
        main = Group([PlannedItem("n0", str(reference.get("name")), "reference", "workflow template")])
    else:
        main = reader.whole(str(entrypoint))
    handler = spec.get("onExit") or ((spec.get("hooks") or {}).get("exit") or {}).get("template")
    return PlannedGraph(
        str(annotations.get("workflows.argoproj.io/title") or name),
        str(annotations.get("workflows.argoproj.io/description") or ""),
        parameters,
        main,
        reader.whole(str(handler)) if handler else None,
    )


class _Reader:
    """Opens templates into groups, and counts what it makes."""

    def __init__(self, spec: WorkflowSpec) -> None:
        templates = [t for t in spec.get("templates") or [] if isinstance(t, Mapping) and "name" in t]
        works, _ = unprepared(joined(templates))
        self.templates = {str(t["name"]): t for t in works}
        self.count = 0

    def whole(self, name: str) -> Group:
        """The group of a template; a template that is no graph is a group of one item."""
        template = self.templates.get(name)
        if template is None:
            raise RefusedError(
                "TIP250",
                f"the template {name!r} does not exist.{did_you_mean(name, self.templates)}",
                fix="correct spec.entrypoint or spec.onExit",
            )
        group = self._group(template, (name,))
        return group if group is not None else Group([self._item(name, {"template": name}, ())])

    def _group(self, template: Template, path: tuple[str, ...]) -> Group | None:
        """What is inside a DAG or steps template."""
        if isinstance(template.get("dag"), Mapping):
            return self._dag(tasks(template), path)
        if isinstance(template.get("steps"), list):
            return self._steps(step_groups(template), path)
        return None

    def _dag(self, named: list[DAGTask], path: tuple[str, ...]) -> Group:
        group = Group()
        keys: dict[str, str] = {}
        for task in named:
            item = self._item(str(task.get("name")), task, path)
            keys.setdefault(item.title, item.key)
            group.items.append(item)
        for task, item in zip(named, list(group.items), strict=True):
            for other, label in _dependencies(task):
                if other in keys:
                    group.edges.append(Edge(keys[other], item.key, label))
            self._hook(task, item, group, path)
        return group

    def _steps(self, rows: list[list[WorkflowStep]], path: tuple[str, ...]) -> Group:
        group = Group()
        previous: list[PlannedItem] = []
        for row in rows:
            current = []
            for step in row:
                item = self._item(str(step.get("name")), step, path)
                current.append(item)
                group.items.append(item)
                self._hook(step, item, group, path)
            group.edges += [Edge(a.key, b.key) for a in previous for b in current]
            previous = current or previous
        return group

    def _hook(self, task: WorkflowStep, item: PlannedItem, group: Group, path: tuple[str, ...]) -> None:
        """The exit handler of one task."""
        exit_hook = (task.get("hooks") or {}).get("exit") or {}
        template = exit_hook.get("template") or task.get("onExit")
        if template:
            extra = self._item(str(template), {"template": template}, path)
            group.items.append(extra)
            group.edges.append(Edge(item.key, extra.key, "on exit"))

    def _item(self, title: str, task: WorkflowStep, path: tuple[str, ...]) -> PlannedItem:
        key = f"n{self.count}"
        self.count += 1
        reference = task.get("templateRef")
        name = str(task.get("template") or "")
        template = task.get("inline") or self.templates.get(name)
        if isinstance(reference, Mapping):
            item = PlannedItem(
                key, title, "reference", f"{reference.get('name')}/{reference.get('template')}"
            )
        elif not isinstance(template, Mapping):
            item = PlannedItem(key, title, "reference", name or "unknown template")
        else:
            item = PlannedItem(key, title, *_kind(template))
            if name and name != title and item.kind != "graph":
                item.subtitle = f"{name} · {item.subtitle}" if item.subtitle else name
            item.badges += _template_badges(template)
            if item.kind == "graph":
                if name and name in path:
                    item.kind, item.subtitle = "recursion", f"{name}, again"
                elif self.count < MAX_ITEMS:
                    item.inner = self._group(template, (*path, name) if name else path)
        item.badges = [*_task_badges(task), *item.badges]
        item.details += [f"{b.kind}: {b.text}" for b in item.badges if b.text]
        return item


def _kind(template: Template) -> tuple[str, str]:
    """(kind, subtitle) of a template."""
    for kind in ("script", "container"):
        body = template.get(kind)
        if isinstance(body, Mapping):
            command = [str(c) for c in body.get("command") or []]
            if command[1:3] == ["-m", "tiphys.step"] and len(command) > 3:
                return "step", command[3].split(":")[0]
            return "step", "python" if kind == "script" and command[:1] == ["python"] else str(
                body.get("image") or ""
            )
    if isinstance(template.get("resource"), Mapping):
        return _resource(template["resource"])
    if "dag" in template or "steps" in template:
        return "graph", ""
    for kind in ("suspend", "http", "data", "plugin", "containerSet"):
        if kind in template:
            return ("suspend" if kind == "suspend" else "step"), kind
    return "step", ""


def _resource(resource: ResourceTemplate) -> tuple[str, str]:
    action = str(resource.get("action") or "")
    text = str(resource.get("manifest") or "")
    found = re.search(r"""["']?kind["']?\s*:\s*["']?([A-Za-z]+)""", text)
    if not found:
        flags = [str(f) for f in resource.get("flags") or []]
        return (
            "cleanup" if action == "delete" else "resource",
            f"{action} {flags[0] if flags else 'resource'}",
        )
    kind = found[1]
    field = {"JobSet": "parallelism", "TrainJob": "numNodes"}.get(kind, "replicas")
    replicas = [int(each) for each in re.findall(rf"""["']?\b{field}["']?\s*:\s*(\d+)""", text)]
    if kind in ("PyTorchJob", "XGBoostJob"):  # a master works, too
        count = sum(replicas)
    else:  # a launcher, which comes first, does not
        count = replicas[-1 if kind == "MPIJob" else 0] if replicas else 0
    if kind in ("TFJob", "PyTorchJob", "JobSet", "MPIJob", "XGBoostJob", "RayJob", "TrainJob", "Job"):
        return "training", f"{kind}, {count} worker{'s' * (count != 1)}" if count else kind
    if kind in ("Deployment", "Service", "HTTPRoute", "GRPCRoute", "StatefulSet", "InferenceService"):
        return "serving", f"{kind}, {count} replica{'s' * (count != 1)}" if count else kind
    return "resource", f"{action} {kind}"


def _task_badges(task: WorkflowStep) -> Iterator[Badge]:
    if task.get("when"):
        yield Badge("when", _readable(str(task["when"])))
    if task.get("withParam"):
        yield Badge("loop", f"for each of {_readable(str(task['withParam']))}")
    elif task.get("withItems"):
        items = task["withItems"]
        yield Badge("loop", f"for each of {json.dumps(items, ensure_ascii=False)}"[:300])
    elif task.get("withSequence"):
        yield Badge("loop", f"for each of {json.dumps(task['withSequence'])}")


def _template_badges(template: Template) -> list[Badge]:
    badges = []
    memo = template.get("memoize")
    if isinstance(memo, Mapping):
        age = str(memo.get("maxAge") or "")
        badges.append(Badge("cache", f"results are reused{' for ' + age if age else ''}"))
    locks = template.get("synchronization") or {}
    for semaphore in locks.get("semaphores") or []:
        reference = semaphore.get("configMapKeyRef") or semaphore.get("database") or {}
        badges.append(Badge("lock", f"semaphore {reference.get('key', '')}"))
    for mutex in locks.get("mutexes") or []:
        name = str(mutex.get("name") or "")
        if "{{" not in name:
            badges.append(Badge("lock", f"mutex {name}"))
    retry = template.get("retryStrategy")
    if isinstance(retry, Mapping) and not retry.get(
        "expression"
    ):  # one that guards against lost pods is no news
        badges.append(Badge("retry", f"up to {retry.get('limit', 'any number of')} more times"))
    return badges


def _readable(expression: str) -> str:
    """An expression without its tags and scopes: ``{{=asFloat(a.b) >= 1}}`` as ``a.b >= 1``."""
    text = re.sub(r"\{\{=?(.*?)\}\}", r"\1", expression)
    text = re.sub(r"asFloat\(((?:[^()]|\([^()]*\))*)\)", r"\1", text)
    text = re.sub(r"\['([\w-]+)'\]", r".\1", text)
    return re.sub(
        r"\b(?:workflow|inputs|tasks|steps)\.(?:parameters\.)?|outputs\.parameters\.", "", text
    ).strip()


_OPERAND = re.compile(r"([A-Za-z0-9_][-A-Za-z0-9_]*)(?:\.([A-Za-z]+))?")


def _dependencies(task: DAGTask) -> list[tuple[str, str]]:
    """(task, label) for each task that is waited for."""
    listed = task.get("dependencies")
    if isinstance(listed, list):
        return [(str(name), "") for name in listed]
    results: dict[str, list[str]] = {}
    for name, result in _OPERAND.findall(str(task.get("depends") or "")):
        results.setdefault(name, []).append(result)
    labelled = []
    for name, found in results.items():
        plain = set(found) <= {"", "Succeeded"}
        ended = set(found) >= GOOD
        label = "" if plain else "if any" if ended else " or ".join(r.lower() for r in found if r)
        labelled.append((name, label))
    return labelled
