"""Whose environment variables a container reads: profiles, so that images that exist train unchanged.

``tiphys``: the names of this project. ``book``: those of the trackers of orca3/MiniAutoML (training-service,
``Tracker.java``; of a gang ``KubectlTracker.java``). ``sagemaker``: those of the SageMaker training toolkit
(github.com/aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md). ``vertex``: those of Vertex AI's custom training
(cloud.google.com/vertex-ai/docs/training/code-requirements, and ``baseOutputDirectory`` of the CustomJobSpec), with the
parameters as arguments ``--name=value``, as there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiphys.training.folders import WorkflowSettings, folders_of
from tiphys.verbatim import SPOILED

if TYPE_CHECKING:
    from tiphys.training.job import Algorithm, TrainingJob

__all__ = [
    "PROFILES",
    "arguments_of",
    "escapes",
    "fixed_variables",
    "parameter_variables",
    "reserved",
    "verbatim",
]

PROFILES = ("tiphys", "book", "sagemaker", "vertex")
_OURS = re.compile(r"(TIPHYS|ARGO|KUBERNETES|PET|JOBSET|JOB_COMPLETION)_|TF_CONFIG$")
# what the loader, the shell, Python and the container's user go by, and what a gang is told of itself
_SYSTEM = re.compile(
    r"(LD|DYLD|PYTHON|BASH|NVIDIA|CUDA|NCCL)_?[A-Z_]*$|(PATH|HOME|USER|SHELL|IFS|ENV|PWD|TMPDIR|HOSTNAME)$"
    r"|(WORLD_SIZE|RANK|LOCAL_RANK|MASTER_ADDR|MASTER_PORT)$"
)
_OF_PROFILE: Mapping[str, re.Pattern[str]] = {
    "book": re.compile(
        r"(JOB_ID|ALGORITHM_NAME|TRAINING_DATASET_ID|TRAINING_DATASET_VERSION_HASH|TRAINING_DATA_PATH"
        r"|TRAINING_DATA_BUCKET|MODEL_NAME|MODEL_BUCKET|METADATA_STORE_SERVER|MINIO_SERVER[A-Z_]*)$"
    ),
    "sagemaker": re.compile(r"SM_|SAGEMAKER_|TRAINING_JOB_"),
    "vertex": re.compile(r"AIP_|CLOUD_ML_|CLUSTER_SPEC$"),
}
_NOT_UPPER = re.compile(r"[^A-Z0-9]")
# the kubelet puts these in, once: neither Argo nor it looks at what comes out
_BRACE, _DOLLAR = "TIPHYS_BRACE", "TIPHYS_DOLLAR"


def verbatim(text: str) -> str:
    """A value of an environment variable, or an argument, that arrives in the container as ``text``, whatever is in it:
    signs that Argo or the kubelet would take for their own are variables of the container (:func:`escapes`)."""
    if not SPOILED.search(text) and not text.endswith("{"):
        return text
    return text.replace("$", f"$({_DOLLAR})").replace("{", f"$({_BRACE})")


def escapes() -> dict[str, str]:
    """The variables that :func:`verbatim` needs; they come before all others."""
    return {_BRACE: "{", _DOLLAR: "$"}


def reserved(profile: str, variable: str) -> bool:
    """Whether a variable is the service's, the platform's or the profile's, and no parameter's."""
    own = _OF_PROFILE.get(profile)
    return bool(_OURS.match(variable) or _SYSTEM.match(variable) or (own is not None and own.match(variable)))


def parameter_variables(profile: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """The variables in which a profile hands parameters on; in ``vertex`` none: they are arguments."""
    if profile == "book":
        return dict(parameters)
    before = {"tiphys": "TIPHYS_INPUT_", "sagemaker": "SM_HP_"}.get(profile, "")
    if not before:
        return {}
    return {before + _NOT_UPPER.sub("_", name.upper()): value for name, value in parameters.items()}


def fixed_variables(job: TrainingJob, algorithm: Algorithm, settings: WorkflowSettings) -> dict[str, str]:
    """What the service itself sets, without the report and the parameters."""
    folders = folders_of(job, settings)
    request = job.request
    model, data = folders.path(folders.model), folders.path(folders.dataset)
    if algorithm.profile == "book":
        found = {
            "JOB_ID": str(job.id),
            "ALGORITHM_NAME": request.algorithm,
            "TRAINING_DATASET_ID": request.dataset_id,
            "TRAINING_DATASET_VERSION_HASH": request.dataset_version,
            "TRAINING_DATA_PATH": data,
            "MODEL_NAME": request.output_model_name,
        }
    elif algorithm.profile == "sagemaker":
        found = _sagemaker(job, algorithm, model, data)
    elif algorithm.profile == "vertex":
        found = {
            "AIP_MODEL_DIR": model,
            "AIP_CHECKPOINT_DIR": folders.path(folders.checkpoints),
            "AIP_TENSORBOARD_LOG_DIR": folders.path(folders.logs),
            "CLOUD_ML_JOB_ID": str(job.id),
        }
        if data:
            found |= {"AIP_TRAINING_DATA_URI": data, "AIP_DATA_FORMAT": "jsonl"}
        if algorithm.workers == 1:
            found["CLUSTER_SPEC"] = _json(
                {
                    "cluster": {"workerpool0": ["localhost:2222"]},
                    "environment": "cloud",
                    "task": {"type": "workerpool0", "index": 0},
                }
            )
    else:
        found = {}
    return found | {
        "TIPHYS_JOB_ID": str(job.id),
        "TIPHYS_ALGORITHM": request.algorithm,
        "TIPHYS_DATASET": request.dataset_id,
        "TIPHYS_DATASET_VERSION": request.dataset_version,
        "TIPHYS_DATASET_PATH": data,
        "TIPHYS_MODEL_NAME": request.output_model_name,
        "TIPHYS_MODEL_DIR": model,
        "TIPHYS_WORK_DIR": folders.path(folders.checkpoints),
        "TIPHYS_WORKFLOW": job.run,
    }


def arguments_of(profile: str, parameters: Mapping[str, str]) -> list[str]:
    """What a profile adds to the container's arguments."""
    if profile != "vertex":
        return []
    return [f"--{name}={value}" for name, value in parameters.items()]


def _sagemaker(job: TrainingJob, algorithm: Algorithm, model: str, data: str) -> dict[str, str]:
    channels = ["training"] if data else []
    parameters = dict(job.request.parameters)
    words = [word for name, value in parameters.items() for word in (f"--{name}", value)]
    found = {
        "SM_MODEL_DIR": model,
        "SM_OUTPUT_DIR": f"{model}/output",
        "SM_OUTPUT_DATA_DIR": f"{model}/output/data",
        "SM_INPUT_DIR": data,
        "SM_CHANNELS": _json(channels),
        "SM_HPS": _json(parameters),
        "SM_USER_ARGS": _json(words),
        "SM_NUM_GPUS": str(algorithm.gpus),
        "SM_HOSTS": _json(["algo-1"]),
        "SM_CURRENT_HOST": "algo-1",
        "SM_LOG_LEVEL": "20",
        "TRAINING_JOB_NAME": job.run,
    }
    return found | ({"SM_CHANNEL_TRAINING": data} if data else {})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
