"""The Argo and Kubernetes objects of something that is built: a pipeline, a Hera workflow, a mapping."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tiphys.argo.pools import POOLS, pools_text
from tiphys.errors import DefinitionError

__all__ = ["objects_of"]


def objects_of(x: Any) -> list[dict[str, Any]]:
    """The objects of ``x`` as mappings, in the order of the YAML. Raises DefinitionError (TIP116, TIP120)."""
    if isinstance(x, Mapping):
        return [dict(x)]
    pipeline = sys.modules.get("tiphys.dsl.pipeline")
    if pipeline is not None and isinstance(x, pipeline.Pipeline):
        body = x.to_dict()
        return [*_config_maps(x.semaphores()), body]
    if hasattr(x, "_build_template") and not hasattr(x, "to_dict"):
        raise _not_a_workflow(x)
    if hasattr(x, "to_dict"):
        semaphores = [s for t in getattr(x, "templates", None) or [] for s in _semaphores(t)]
        body = x.to_dict()
        if semaphores:
            _annotate(body, POOLS, pools_text(each.weight() for each in semaphores))
        return [*_config_maps(semaphores), body]
    if hasattr(x, "model_dump"):
        return [x.model_dump(exclude_none=True, by_alias=True)]
    raise _not_a_workflow(x)


def _annotate(body: dict[str, Any], name: str, text: str) -> None:
    """Give a workflow an annotation; of a template of workflows, the workflows that come of it."""
    places = [body.setdefault("metadata", {})]
    if body.get("kind") != "Workflow":
        places.append(body["spec"].setdefault("workflowMetadata", {}))
    for place in places:
        place.setdefault("annotations", {})[name] = text


def _not_a_workflow(x: Any) -> DefinitionError:
    return DefinitionError(
        "TIP120",
        f"a {type(x).__name__} is not a workflow",
        cause="only a whole workflow can be compiled, linted or run",
        fix="give a Pipeline, a Hera Workflow, WorkflowTemplate or CronWorkflow, a mapping, or a path",
    )


def _semaphores(template: Any) -> Iterable[Any]:
    found = getattr(template, "semaphores", None)
    return found() if callable(found) else ()


def _config_maps(semaphores: Iterable[Any]) -> list[dict[str, Any]]:
    """One ConfigMap for each name, with the limits. Raises DefinitionError (TIP116) for two limits of one
    lock."""
    maps: dict[str, dict[str, Any]] = {}
    for semaphore in semaphores:
        limits = maps.setdefault(semaphore.config_map, {})
        other = limits.get(semaphore.name)
        if other is not None and other.limit != semaphore.limit:
            raise DefinitionError(
                "TIP116",
                f"the semaphore {semaphore.name!r} has two limits: {other.limit} and {semaphore.limit}",
                where=str(semaphore.site),
                cause=f"the other one is at {other.site}",
                fix="use one Semaphore (or Gang) object, or give them different names",
            )
        limits[semaphore.name] = semaphore
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": {key: str(limit.limit) for key, limit in sorted(limits.items())},
        }
        for name, limits in sorted(maps.items())
    ]
