"""The same training as a TrainJob of Kubeflow Trainer 2 (trainer.kubeflow.org/v1alpha1; read in 2.2 and 2.3).

Facts this module keeps: a TrainJob takes its pods from a ClusterTrainingRuntime; of those its trainer has image,
command and variables, and a runtime patch the volumes and what is safe. The runtime's container and its job are named
``node``. The torch plugin sets ``PET_…`` for torchrun and no ``RANK``. Conditions have no fixed place (``Suspended``
comes first where Kueue holds the job), so success is read from the status of its job, failure from each place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tiphys.compiler.line import Site
from tiphys.dsl.job_checks import warn_dropped

if TYPE_CHECKING:
    from tiphys.jsontypes import JsonObject

__all__ = ["FAILURE", "RESOURCE", "SUCCESS", "train_job", "warn_of_dropped"]

RESOURCE = "trainjobs.trainer.kubeflow.org"
SUCCESS = ["status.jobsStatus.0.succeeded == 1"]
FAILURE = [f"status.conditions.{place}.type == Failed" for place in (0, 1)]
_NODE = "node"
_SPEC = ("volumes", "securityContext", "nodeSelector", "affinity", "tolerations")  # of a pod, in a patch
_CONTAINER = ("volumeMounts", "securityContext")


def warn_of_dropped(label: str, site: Site, **given: str) -> None:
    """Warn (TIP129), at the user's line, of each parameter that a TrainJob cannot say."""
    for name, value in given.items():
        if value and (name, value) != ("clean_pods", "Running"):
            warn_dropped(label, site, "TrainJob", name, value, "its runtime says what becomes of pods")


def train_job(
    metadata: JsonObject,
    pod: JsonObject,
    *,
    nodes: int,
    processes: int | str | None,
    runtime: str,
    deadline: int,
) -> JsonObject:
    """The manifest. ``pod``: the metadata and the spec of a worker's template, with one container; ``processes``: of
    each node, a number, or a word for what Trainer chooses by itself; ``deadline`` in seconds."""
    spec = cast("JsonObject", pod["spec"])
    (container,) = cast("list[JsonObject]", spec["containers"])
    own: JsonObject = {"name": _NODE, **{key: container[key] for key in _CONTAINER if key in container}}
    patched: JsonObject = {**{key: spec[key] for key in _SPEC if key in spec}, "containers": [own]}
    template: JsonObject = {"metadata": pod["metadata"], "spec": patched}
    trainer: JsonObject = {
        "image": container["image"],
        "command": container["command"],
        "env": container["env"],
        "numNodes": nodes,
        **({"numProcPerNode": processes} if isinstance(processes, int) else {}),
        "resourcesPerNode": container["resources"],
    }
    jobs: JsonObject = {"replicatedJobs": [{"name": _NODE, "template": {"spec": {"template": template}}}]}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": metadata,
        "spec": {
            "runtimeRef": {"name": runtime},
            "activeDeadlineSeconds": deadline,
            "trainer": trainer,
            "runtimePatches": [
                {"manager": "tiphys.dev/compiler", "trainingRuntimeSpec": {"template": {"spec": jobs}}}
            ],
        },
    }
