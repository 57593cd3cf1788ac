"""Jobs of the training service on a cluster: each a Workflow in the namespace of its pool, inside that one's quota.

Argo itself waits when a pod exceeds a quota (it is Pending until there is room); to see that before is what lets a job
stay in the service's queue, where others of its pool may pass it, instead of in the cluster, where it is in line with
nobody. Only quotas for all pods of a namespace are looked at: of one with scopes the cluster knows whom it is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict, cast
from urllib.parse import quote

from tiphys.argo.quantity import unit_of, whole_quantity, written_quantity
from tiphys.errors import ClusterError
from tiphys.runs.backend import ended
from tiphys.runs.client import Client
from tiphys.runs.cluster.packing import unpacked
from tiphys.runs.cluster.transport import Request
from tiphys.training.place import SeenJob
from tiphys.training.seen import seen_job
from tiphys.training.workflow import JOB_LABEL

if TYPE_CHECKING:
    from tiphys.argo.types import Workflow
    from tiphys.runs.backend import WorkflowLogLine
    from tiphys.runs.cluster.kubernetes import Kubernetes
    from tiphys.training.job import TrainingJob

__all__ = ["ClusterPlace"]

_UNENDED = "workflows.argoproj.io/completed!=true"
# what a quota may call what a job wants (https://kubernetes.io/docs/concepts/policy/resource-quotas/)
_NAMES = {
    "cpu": ("cpu", "requests.cpu", "limits.cpu"),
    "memory": ("memory", "requests.memory", "limits.memory"),
    "pods": ("pods", "count/pods"),
    "jobs": ("count/workflows.argoproj.io",),
}


class _QuotaStatus(TypedDict, total=False):
    hard: Mapping[str, str]
    used: Mapping[str, str]


class ClusterPlace:
    """Through the Kubernetes API ``api``: an Argo Server shows neither quotas nor what a TFJob leaves behind."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api
        self._given: dict[int, tuple[str, Mapping[str, int]]] = {}  # job -> namespace, and what it was given

    def create(self, job: TrainingJob, workflow: Workflow) -> None:
        """Raises ClusterError: TIP606 when another's Workflow has the name."""
        try:
            self._api.create(job.namespace, workflow)
        except ClusterError as error:
            if error.code != "TIP606":
                raise
            there = self._api.get(job.namespace, job.run)
            if (there["metadata"].get("labels") or {}).get(JOB_LABEL) != str(job.id):
                raise

    def look(self, jobs: Sequence[TrainingJob]) -> Mapping[int, SeenJob]:
        """Of a namespace that does not answer nothing is told; raises ClusterError when none does."""
        found: dict[int, SeenJob] = {}
        problem: ClusterError | None = None
        for namespace in sorted({job.namespace for job in jobs}):
            mine = [job for job in jobs if job.namespace == namespace]
            try:
                found.update(self._seen(namespace, mine))
            except ClusterError as error:
                problem = error
        if problem is not None and not found:
            raise problem
        return found

    def _seen(self, namespace: str, jobs: Sequence[TrainingJob]) -> Iterator[tuple[int, SeenJob]]:
        listed = self._api.list(namespace, labels=f"{JOB_LABEL},{_UNENDED}")
        under_way = {item["metadata"]["name"]: item for item in listed}
        for job in jobs:
            workflow = under_way.get(job.run) or self._get(job)  # which has ended, or is not there
            seen = SeenJob() if workflow is None else seen_job(unpacked(workflow))
            if workflow is None or ended(workflow):
                self._given.pop(job.id, None)
            yield job.id, seen

    def _get(self, job: TrainingJob) -> Workflow | None:
        try:
            return self._api.get(job.namespace, job.run)
        except ClusterError as error:
            if error.code == "TIP605":
                return None
            raise

    def stop(self, job: TrainingJob) -> None:
        """End the Workflow at once, and its job with it."""
        try:
            Client(backend=self._api, namespace=job.namespace).terminate(job.run)
        except ClusterError as error:
            if error.code not in ("TIP605", "TIP612"):  # not there, or ended by itself
                raise

    def logs(self, job: TrainingJob, *, follow: bool) -> Iterator[WorkflowLogLine]:
        """Those of its pods, workers included."""
        return self._api.logs(job.namespace, job.run, follow=follow)

    def full(self, job: TrainingJob, wants: Mapping[str, int]) -> str:
        """The first quota of the namespace in which there is not enough."""
        path = f"/api/v1/namespaces/{quote(job.namespace)}/resourcequotas"
        items = self._api.json("look at the quota", Request("GET", path)).get("items") or []
        for item in items:
            spec = item.get("spec") or {}
            if spec.get("scopes") or spec.get("scopeSelector"):
                continue
            if why := self._short(cast("_QuotaStatus", item.get("status") or {}), job, wants):
                return f"quota {item['metadata']['name']} of namespace {job.namespace}: {why}"
        self._given[job.id] = (job.namespace, dict(wants))
        return ""

    def holds(self, job: TrainingJob, wants: Mapping[str, int]) -> None:
        """What it has counts until it has ended, also while the quota does not know of its pods yet."""
        self._given[job.id] = (job.namespace, dict(wants))

    def _short(self, status: _QuotaStatus, job: TrainingJob, wants: Mapping[str, int]) -> str:
        hard, used = status.get("hard") or {}, status.get("used") or {}
        given = [what for of, (where, what) in self._given.items() if where == job.namespace and of != job.id]
        for resource, amount in wants.items():
            unit = unit_of(resource)
            for name in _NAMES.get(resource, (f"requests.{resource}", f"limits.{resource}")):
                if name not in hard or not amount:
                    continue
                # what was promised a moment ago may not be counted yet, what others run is not promised here
                taken = max(
                    whole_quantity(used.get(name, "0"), unit), sum(what.get(resource, 0) for what in given)
                )
                there = whole_quantity(hard[name], unit)
                if taken + amount > there:
                    wanted, left = (
                        written_quantity(resource, each) for each in (amount, max(0, there - taken))
                    )
                    return f"{name}: {wanted} wanted, {left} of {hard[name]} free"
        return ""

    def close(self) -> None:
        """Give connections back."""
        self._api.close()
