"""The model of a job that succeeded, in the registry: of this machine's store, or of the namespace of its pool."""

from __future__ import annotations

from collections.abc import Callable

from tiphys.errors import TrainingServiceError
from tiphys.reference import Reference
from tiphys.runs.registry import Registry
from tiphys.training.job import TrainingJob
from tiphys.training.place import SeenJob

__all__ = ["registration"]

_LONGEST = 40  # numbers of a version's report


def registration(registry_of: Callable[[TrainingJob], Registry]) -> Callable[[TrainingJob, SeenJob], str]:
    """What the service calls at the end of a job: the folder becomes a version of the model that the job names.

    The same folder with the same digest is one version, however often this is called. It raises TrainingServiceError
    TIP813 when the training wrote nothing, and what :class:`tiphys.Registry` raises.
    """

    def register(job: TrainingJob, seen: SeenJob) -> str:
        found = Reference.maybe(seen.outputs.get("model", ""))
        if found is None:
            raise TrainingServiceError(
                "TIP813",
                f"no model: job {job.id} wrote nothing into the folder of its model",
                cause="what it makes is looked for where its environment says (MODEL_DIR, SM_MODEL_DIR, …)",
                fix="write the model there, or give no output_model_name",
            )
        report = dict(list(seen.metrics.items())[:_LONGEST])
        version = registry_of(job).register(
            job.request.output_model_name, found.uri, digest=found.digest, run=job.run, report=report
        )
        return f"{job.request.output_model_name}@{version.number}"

    return register
