"""Synchronization: semaphores, mutexes, their limits and the order in which they are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.reader import Path
from tiphys.expr.gotext import atoi
from tiphys.lint.analysis import walk_of
from tiphys.lint.model import Project, TemplateView, WorkflowView
from tiphys.lint.registry import Issue, rule

if TYPE_CHECKING:
    from tiphys.argo.types import SemaphoreLock, Synchronization

_SYNC = "argo-workflows v4.1.2, workflow/sync; seen on the real controller"
Lock = tuple[str, Path]  # its name, where it is asked for


def _holders(workflow: WorkflowView) -> Iterator[tuple[str, Path, Synchronization]]:
    """Everything that takes locks: how it is called, the path of its synchronization, the data."""
    if "synchronization" in workflow.spec:
        yield "spec", workflow.at("synchronization"), workflow.spec["synchronization"]
    for template in workflow.every_template():
        if "synchronization" in template.data:
            path = (*template.path, "synchronization")
            yield template.label, path, template.data["synchronization"]


def _locks(path: Path, data: Synchronization, namespace: str) -> list[Lock]:
    found: list[Lock] = []
    for index, item in enumerate(data.get("semaphores") or []):
        reference = item.get("configMapKeyRef") or {}
        base = item.get("database") or {}
        space = item.get("namespace", namespace)
        name = f"{space}/{reference.get('name', '')}/{reference.get('key', '')}{base.get('key', '')}"
        found.append((f"semaphore {name}", (*path, "semaphores", index)))
    for index, mutex in enumerate(data.get("mutexes") or []):
        space = mutex.get("namespace", namespace)
        found.append((f"mutex {space}/{mutex.get('name', '')}", (*path, "mutexes", index)))
    return found


@rule(
    "L311",
    "lock-incomplete",
    "error",
    what="A mutex without a name; a semaphore with both or neither of configMapKeyRef and database.",
    why="The workflow ends in Failed or Error when the lock is asked for.",
    source=_SYNC,
    needs="synchronization",
)
def lock_incomplete(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, data in _holders(workflow):
        for index, item in enumerate(data.get("semaphores") or []):
            given = [key for key in ("configMapKeyRef", "database") if key in item]
            if len(given) != 1:
                words = f"{label}.synchronization.semaphores[{index}] needs configMapKeyRef or database, "
                yield Issue((*path, "semaphores", index), words + ("not both" if given else "has neither"))
        for index, mutex in enumerate(data.get("mutexes") or []):
            if not mutex.get("name"):
                words = f"{label}.synchronization.mutexes[{index}].name is required"
                yield Issue((*path, "mutexes", index), words)


@rule(
    "L312",
    "lock-twice",
    "error",
    what="The same lock twice in one list.",
    why="The workflow fails: `duplicate synchronization item found`.",
    source=_SYNC,
    needs="synchronization",
)
def lock_twice(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, data in _holders(workflow):
        seen: set[str] = set()
        for name, place in _locks(path, data, workflow.namespace):
            if name in seen:
                yield Issue(place, f"{label}.synchronization asks for {name} twice", fix="remove one")
            seen.add(name)


@rule(
    "L313",
    "semaphore-key-missing",
    "warning",
    what="A semaphore whose ConfigMap key is not among the given files.",
    why="Without the key the node ends in Error. If the given map of that name lacks the key, it is certain.",
    source=_SYNC,
    needs="semaphores",
)
def semaphore_key_missing(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, item, name, key in _semaphores(workflow):
        data = _config_map(workflow, name, item.get("namespace", workflow.namespace))
        if data is None:
            words = f"{label}: no given file has the ConfigMap {name!r} with the semaphore's key {key!r}"
            yield Issue(path, words, fix="give the ConfigMap with the workflow, or make sure that it exists")
        elif key not in data:
            words = f"{label}: ConfigMap {name!r} has no key {key!r}"
            yield Issue((*path, "key"), words, near=tuple(data), severity="error")


@rule(
    "L314",
    "semaphore-limit",
    "error",
    what="A semaphore limit that is not a positive whole number.",
    why="The node ends in Error: `failed to initialize semaphore`.",
    source=_SYNC,
    needs="semaphores",
)
def semaphore_limit(workflow: WorkflowView) -> Iterator[Issue]:
    for label, path, item, name, key in _semaphores(workflow):
        data = _config_map(workflow, name, item.get("namespace", workflow.namespace))
        value = (data or {}).get(key)
        if value and (atoi(str(value)) or 0) <= 0:
            words = (
                f"{label}: the limit in ConfigMap {name!r}, key {key!r}, is {value!r}, not a positive number"
            )
            yield Issue((*path, "key"), words, fix=f'write {key}: "1" or more')


@rule(
    "L319",
    "config-map-value",
    "warning",
    what="A given ConfigMap with a field that does not exist, or with a bare number or boolean as a value.",
    why="The API server refuses it: the values of data are strings.",
    source="Kubernetes openAPI",
    scope="project",
    fixable=True,
    needs="ConfigMap",
)
def config_map_value(project: Project) -> Iterator[Issue]:
    for item in project.config_maps():
        for misfit in item.misfits:
            words = f"ConfigMap {item.name!r}: {'.'.join(map(str, misfit.path))}: {misfit.message}"
            fix = "put the value in quotes" if misfit.kind == "bare" else ""
            yield Issue(misfit.path, words, fix=fix, near=misfit.known, document=item.document, key=not fix)


@rule(
    "L315",
    "lock-order",
    "warning",
    what="Locks taken in different orders (in one workflow or two), or one that a caller already holds.",
    why="Two workflows (or one with itself) can wait for each other for ever.",
    source=_SYNC,
    scope="project",
    needs="synchronization",
)
def lock_order(project: Project) -> Iterator[Issue]:
    first: dict[tuple[str, str], str] = {}
    told: set[tuple[int, Path]] = set()
    for workflow in project.having("synchronization"):
        for outer, inner, place, label in _nested(workflow):
            key = (id(workflow), place)
            words = ""
            if outer == inner and inner.startswith("mutex") and "{{" not in inner:
                words = f"{label} asks for {inner}, which a caller already holds"
            elif outer != inner and (inner, outer) in first:
                words = f"{label} takes {inner} after {outer}; {first[inner, outer]} takes them in the reverse order"
            if words and key not in told:
                told.add(key)
                fix = "take the locks in one order everywhere"
                yield Issue(place, words, fix=fix, document=workflow.document)
            first.setdefault((outer, inner), label)


def _nested(workflow: WorkflowView) -> Iterator[tuple[str, str, Path, str]]:
    """(a lock that is held, one asked for meanwhile, where, by whom) along every way from the entrypoint."""
    walk = walk_of(workflow)
    top = workflow.spec.get("synchronization")
    held = _locks(workflow.at("synchronization"), top, workflow.namespace) if top else []
    start = workflow.template(workflow.spec.get("entrypoint", ""))
    roots = [start] if start else list(workflow.templates)
    stack: list[tuple[TemplateView, list[Lock], frozenset[Path]]] = [
        (item, held, frozenset()) for item in roots
    ]
    visits = 0
    while stack and visits < 5000:
        visits += 1
        template, outer, seen = stack.pop()
        if template.path in seen or template.workflow is not workflow:
            continue
        data = template.data.get("synchronization") or {}
        own = _locks((*template.path, "synchronization"), data, workflow.namespace)
        for name, place in own:
            for other, _ in outer:
                yield other, name, place, f"{template.label} of {workflow.name}"
        for call in template.calls():
            target = walk.targets.get(call.path)
            if target is not None:
                stack.append((target, outer + own, seen | {template.path}))


def _semaphores(workflow: WorkflowView) -> Iterator[tuple[str, Path, SemaphoreLock, str, str]]:
    for label, path, data in _holders(workflow):
        for index, item in enumerate(data.get("semaphores") or []):
            reference = item.get("configMapKeyRef") or {}
            name, key = reference.get("name", ""), reference.get("key", "")
            if name and key and "{{" not in name + key:
                yield label, (*path, "semaphores", index, "configMapKeyRef"), item, name, key


def _config_map(workflow: WorkflowView, name: str, namespace: str) -> dict[str, str] | None:
    for item in workflow.project.config_maps():
        if item.name == name and (not item.namespace or not namespace or item.namespace == namespace):
            bare = {step.path[1]: "" for step in item.misfits if step.path[:1] == ("data",) and step.path[1:]}
            return {**{str(key): value for key, value in bare.items()}, **item.data}
    return None
