"""JobSets and Indexed Jobs: what the kubelet and the Job controller do otherwise than hoped."""

from __future__ import annotations

from collections.abc import Iterator

from tiphys.lint.manifests import Manifest
from tiphys.lint.registry import Issue, rule

_INDEX = "JOB_COMPLETION_INDEX"


@rule(
    "L369",
    "index-not-declared-before",
    "warning",
    what="An environment variable of a Job's or JobSet's pod that names $(JOB_COMPLETION_INDEX) before it is declared.",
    why="The Job controller appends JOB_COMPLETION_INDEX to the list, and `$(NAME)` knows what stands before it: the "
    "text stays as it is.",
    source="Kubernetes 1.33, pkg/controller/job/indexed_job_utils.go",
    scope="manifest",
)
def index_not_declared_before(manifest: Manifest) -> Iterator[Issue]:
    if manifest.kind not in ("Job", "JobSet"):
        return
    for path, container in manifest.containers():
        for at, item in enumerate(container.get("env") or []):
            if item.get("name") == _INDEX:
                break
            if f"$({_INDEX})" in str(item.get("value") or ""):
                words = (
                    f"{manifest.label}: {item.get('name')} names $({_INDEX}), which is not declared before it"
                )
                fix = (
                    f"declare {_INDEX} first, with valueFrom.fieldRef.fieldPath: "
                    "metadata.annotations['batch.kubernetes.io/job-completion-index']"
                )
                yield manifest.issue((*path, "env", at, "value"), words, fix=fix)
