"""Where a job finds its data and leaves its model: folders of a claim, and how its containers see them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiphys.dsl.pod import SERVICE_ACCOUNT, STEP_IMAGE, Defaults, Volume
from tiphys.step.trained import digest_of

if TYPE_CHECKING:
    from tiphys.training.job import TrainingJob, TrainingRequest

__all__ = ["JobFolders", "WorkflowSettings", "dataset_uri", "folders_of"]

_URI = re.compile(r"pvc://([^/]+)/(.+)")


@dataclass(frozen=True, slots=True)
class WorkflowSettings:
    """What all jobs of a service have in common. ``claim``: the volume of models, data and reports; ``step_image``: the
    image of this project that makes folders, looks at data and seals models; ``service_account``: of the steps that
    create objects; ``queue``: Kueue's LocalQueue, or empty."""

    claim: str = "tiphys"
    step_image: str = STEP_IMAGE
    service_account: str = SERVICE_ACCOUNT
    queue: str = ""


@dataclass(frozen=True, slots=True)
class JobFolders:
    """URIs of a job's folders. ``dataset`` is empty where it asks for none."""

    model: str
    checkpoints: str
    logs: str
    reports: str
    dataset: str
    claim: str

    @property
    def defaults(self) -> Defaults:
        """The volumes of its containers: the claim of the service, and that of the data, where it is another."""
        found = _URI.fullmatch(self.dataset)
        claims = dict.fromkeys([self.claim, *([found[1]] if found else [])])
        return Defaults(volumes=tuple(Volume(each) for each in claims))

    @property
    def report(self) -> str:
        """The file of what its containers tell: of the pod, or of the gang, both are called as the run."""
        return f"{self.reports}/{self.reports.rpartition('/')[2]}.jsonl"

    def path(self, uri: str) -> str:
        """Where a container of the job sees a folder."""
        found = _URI.fullmatch(uri)
        if found is None:
            return ""
        mounted = {each.claim: each.mount_path for each in self.defaults.volumes}
        return f"{mounted[found[1]]}/{found[2]}"


def folders_of(job: TrainingJob, settings: WorkflowSettings) -> JobFolders:
    """A model has a folder for each run, so that no job writes where another does."""
    name = job.request.output_model_name or job.request.algorithm
    work = f"pvc://{settings.claim}/work/{job.run}"
    return JobFolders(
        model=f"pvc://{settings.claim}/models/{name}/{job.run}",
        checkpoints=f"{work}/checkpoints",
        logs=f"{work}/logs",
        reports=f"pvc://{settings.claim}/records/{job.run}",
        dataset=dataset_uri(job.request, settings.claim),
        claim=settings.claim,
    )


def dataset_uri(request: TrainingRequest, claim: str) -> str:
    """Where the data is: ``dataset_id`` is the URI of a folder, or the name of one in ``datasets`` of the claim. A
    version that is no digest is the name of a folder in that."""
    if not request.dataset_id:
        return ""
    named = request.dataset_id.startswith("pvc://")
    base = request.dataset_id.rstrip("/") if named else f"pvc://{claim}/datasets/{request.dataset_id}"
    version = request.dataset_version
    return base if not version or digest_of(version) else f"{base}/{version}"
