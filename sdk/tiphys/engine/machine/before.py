"""What ends a workflow in Error before anything of it runs: its artifact repository, and the claims it makes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiphys.argo.types import GivenObject, RepositoryRef, WorkflowSpec


__all__ = ["first_obstacle"]

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_DEFAULT_MAP = "artifact-repositories"  # of the namespace: it stands for whatever the cluster has


def first_obstacle(spec: WorkflowSpec, name: str, context: Iterable[GivenObject]) -> str:
    """Return what the controller says, or an empty string; ``context``: the objects given with the workflow.

    Recorded from Argo 4.0.5 on Kubernetes 1.33.
    """
    return _repository(spec.get("artifactRepositoryRef") or {}, context) or _claims(spec, name)


def _repository(reference: RepositoryRef, context: Iterable[GivenObject]) -> str:
    wanted = str(reference.get("configMap") or _DEFAULT_MAP)
    maps = [
        each
        for each in context
        if each.get("kind") == "ConfigMap" and (each.get("metadata") or {}).get("name") == wanted
    ]
    if not reference or (not maps and wanted == _DEFAULT_MAP):
        return ""
    key = reference.get("key")
    if not key and maps:
        key = ((maps[0].get("metadata") or {}).get("annotations") or {}).get(
            "workflows.argoproj.io/default-artifact-repository"
        )
    if any(key in (each.get("data") or {}) for each in maps):
        return ""
    return (
        "failed to resolve artifact repository: failed to find any artifact repository for artifact repository ref "
        f'"{wanted}#{reference.get("key") or ""}"'
    )


def _claims(spec: WorkflowSpec, name: str) -> str:
    for claim in spec.get("volumeClaimTemplates") or ():
        wanted = claim.get("spec") or {}
        problems = list(_modes(wanted.get("accessModes") or ()))
        if not ((wanted.get("resources") or {}).get("requests") or {}).get("storage"):
            problems.append("spec.resources[storage]: Required value")
        if problems:
            told = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            full = f"{name}-{(claim.get('metadata') or {}).get('name')}"
            return f'pvc create error: PersistentVolumeClaim "{full}" is invalid: {told}'
    return ""


def _modes(modes: Iterable[str]) -> Iterable[str]:
    if not modes:
        yield "spec.accessModes: Required value: at least 1 access mode is required"
    supported = ", ".join(f'"{mode}"' for mode in _MODES)
    for mode in modes:
        if mode not in _MODES:
            yield f'spec.accessModes: Unsupported value: "{mode}": supported values: {supported}'
    if "ReadWriteOncePod" in modes and any(mode != "ReadWriteOncePod" for mode in modes):
        yield "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"
