"""A template that is cached and also retried or locked becomes two.

When a template with ``memoize`` and ``retryStrategy`` is a hit, Argo (4.1.2) makes a Retry node without attempts, and
since what comes after a Retry node is attached to its last attempt, the tasks that depend on it are attached to
nothing: the DAGs around them stay Running for ever. With the cache on a DAG around the retried template, the hit is
that DAG's, and all goes on as it should.

Argo takes a template's locks before it looks into the cache. A semaphore beside the cache would let a hit wait for a
slot that it does not need, and an equal run hold a slot while it waits for the first. So the mutex of the key, by which
equal runs wait for each other, is outside, with the cache; every other lock is inside, around the work itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from tiphys.argo.memo import KEY_PARTS
from tiphys.dsl.files import passed, unplaced
from tiphys.dsl.reporting import own_outputs

if TYPE_CHECKING:
    from tiphys.argo.types import Outputs

__all__ = ["RUN", "handed_on", "joined", "results_of", "split"]

RUN = "run"
"""The task inside; the inner template is called ``NAME-run``."""

_LOCKS = "synchronization"
_OUTER = ("memoize", _LOCKS)


def split(body: dict[str, Any], *, always: bool = False) -> list[dict[str, Any]]:
    """The template as it is, or the cached one and, inside it, the one that is retried and holds the locks; ``always``
    two, as long as it is cached."""
    if "memoize" not in body:
        return [body]
    outside, inside = _locks(body)
    if "retryStrategy" not in body and not inside and not always:
        return [body]
    name = f"{body['name']}-{RUN}"
    inner: dict[str, Any] = {}
    for key, value in body.items():
        if key not in _OUTER:
            inner[key] = value
        elif key == _LOCKS and inside:
            inner[key] = inside
    inner["name"] = name
    inputs = body.get("inputs") or {}
    task: dict[str, Any] = {"name": RUN, "template": name}
    if arguments := handed_on(body):
        task["arguments"] = arguments
    outer: dict[str, Any] = {"name": body["name"]}
    if KEY_PARTS in (said := dict(body.get("annotations") or {})):  # they stand beside the key
        outer["annotations"] = {KEY_PARTS: said.pop(KEY_PARTS)}
        inner["annotations"] = said
        if not said:
            del inner["annotations"]
    if inputs:
        outer["inputs"] = {
            **({"parameters": inputs["parameters"]} if inputs.get("parameters") else {}),
            # where an artifact is put is the inner template's affair
            **(
                {"artifacts": [unplaced(item) for item in inputs["artifacts"]]}
                if inputs.get("artifacts")
                else {}
            ),
        }
    outer["memoize"] = body["memoize"]
    if outside:
        outer[_LOCKS] = outside
    outer["dag"] = {"tasks": [task]}
    if results := results_of(body, RUN):
        outer["outputs"] = results
    return [outer, inner]


def handed_on(body: Mapping[str, Any]) -> dict[str, Any]:
    """The template's inputs as arguments of a task inside it that takes the same."""
    inputs = body.get("inputs") or {}
    arguments = {
        "parameters": [
            {"name": item["name"], "value": f"{{{{inputs.parameters.{item['name']}}}}}"}
            for item in inputs.get("parameters") or []
        ],
        "artifacts": [passed(item, "inputs") for item in inputs.get("artifacts") or []],
    }
    return {key: value for key, value in arguments.items() if value}


def results_of(body: Mapping[str, Any], task: str) -> dict[str, Any]:
    """The template's outputs as those of a graph whose ``task`` gives the same; not its summary, which earlier results
    may not have."""
    outputs = body.get("outputs") or {}
    results = {
        "parameters": [
            {
                "name": item["name"],
                "valueFrom": {"parameter": f"{{{{tasks.{task}.outputs.parameters.{item['name']}}}}}"},
            }
            for item in own_outputs(cast("Outputs", outputs))
        ],
        "artifacts": [passed(item, f"tasks.{task}.outputs") for item in outputs.get("artifacts") or []],
    }
    return {key: value for key, value in results.items() if value}


def _locks(body: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The locks of a cached template: those that have its key in their name, and the others."""
    key = str(body["memoize"].get("key") or "")
    outside: dict[str, Any] = {}
    inside: dict[str, Any] = {}
    for kind, value in (body.get(_LOCKS) or {}).items():
        for lock in value if isinstance(value, list) else [value]:
            ours = kind in ("mutexes", "mutex") and key and key in str(lock.get("name"))
            side = outside if ours else inside
            if isinstance(value, list):
                side.setdefault(kind, []).append(lock)
            else:
                side[kind] = lock
    return outside, inside


def joined(templates: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The inverse of :func:`split` (but for the order of locks) for all templates of a workflow.

    For what shows or replaces whole steps.
    """
    found = {str(template["name"]): dict(template) for template in templates if "name" in template}
    for name, outer in list(found.items()):
        tasks = (outer.get("dag") or {}).get("tasks") or []
        inner = found.get(f"{name}-{RUN}")
        if inner is None or "memoize" not in outer or [t.get("template") for t in tasks] != [inner["name"]]:
            continue
        del found[f"{name}-{RUN}"]
        whole = {**inner, "memoize": outer["memoize"], "name": name}
        if said := {**(inner.get("annotations") or {}), **(outer.get("annotations") or {})}:
            whole["annotations"] = said
        for kind, value in (outer.get(_LOCKS) or {}).items():
            locks = whole[_LOCKS] = dict(whole.get(_LOCKS) or {})
            locks[kind] = [*(locks.get(kind) or []), *value] if isinstance(value, list) else value
        found[name] = whole
    return list(found.values())
