"""A template that is cached and retried becomes two, since Argo cannot have both on one.

When a template with ``memoize`` and ``retryStrategy`` is a hit, Argo (4.1.2) makes a Retry node without attempts, and
since what comes after a Retry node is attached to its last attempt, the tasks that depend on it are attached to
nothing: the DAGs around them stay Running for ever. With the cache (and the locks, so that one run is waited for
and then hit) on a DAG around the retried template, the hit is that DAG's, and all goes on as it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["RUN", "joined", "split"]

RUN = "run"
"""The task inside; the inner template is called ``NAME-run``."""

_OUTER = ("memoize", "synchronization")


def split(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The template as it is, or the cached one and the retried one inside it."""
    if "memoize" not in body or "retryStrategy" not in body:
        return [body]
    name = f"{body['name']}-{RUN}"
    inner = {**{key: value for key, value in body.items() if key not in _OUTER}, "name": name}
    inputs, outputs = body.get("inputs") or {}, body.get("outputs") or {}
    arguments = {
        "parameters": [
            {"name": item["name"], "value": f"{{{{inputs.parameters.{item['name']}}}}}"}
            for item in inputs.get("parameters") or []
        ],
        "artifacts": [
            {"name": item["name"], "from": f"{{{{inputs.artifacts.{item['name']}}}}}"}
            for item in inputs.get("artifacts") or []
        ],
    }
    results = {
        "parameters": [
            {
                "name": item["name"],
                "valueFrom": {"parameter": f"{{{{tasks.{RUN}.outputs.parameters.{item['name']}}}}}"},
            }
            for item in outputs.get("parameters") or []
        ],
        "artifacts": [
            {"name": item["name"], "from": f"{{{{tasks.{RUN}.outputs.artifacts.{item['name']}}}}}"}
            for item in outputs.get("artifacts") or []
        ],
    }
    task: dict[str, Any] = {"name": RUN, "template": name}
    if found := {key: value for key, value in arguments.items() if value}:
        task["arguments"] = found
    outer: dict[str, Any] = {"name": body["name"]}
    if inputs:
        outer["inputs"] = {
            **({"parameters": inputs["parameters"]} if inputs.get("parameters") else {}),
            # where an artifact is put is the inner template's affair
            **(
                {"artifacts": [{"name": item["name"]} for item in inputs["artifacts"]]}
                if inputs.get("artifacts")
                else {}
            ),
        }
    outer.update({key: body[key] for key in _OUTER if key in body})
    outer["dag"] = {"tasks": [task]}
    if found := {key: value for key, value in results.items() if value}:
        outer["outputs"] = found
    return [outer, inner]


def joined(templates: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The inverse of :func:`split` for all templates of a workflow: for what shows or replaces whole steps."""
    found = {str(template["name"]): dict(template) for template in templates if "name" in template}
    for name, outer in list(found.items()):
        tasks = (outer.get("dag") or {}).get("tasks") or []
        inner = found.get(f"{name}-{RUN}")
        if inner is None or "memoize" not in outer or [t.get("template") for t in tasks] != [inner["name"]]:
            continue
        del found[f"{name}-{RUN}"]
        found[name] = {**inner, **{key: outer[key] for key in _OUTER if key in outer}, "name": name}
    return list(found.values())
