"""Whose environment variables a training reads: profiles, so that images that exist train unchanged.

``tiphys``
    What a step of a pipeline has: each parameter as ``TIPHYS_INPUT_NAME``, and the ``TIPHYS_*`` below.
``book``
    That of the training service of "Designing Deep Learning Systems" (orca3/MiniAutoML, its trackers): parameters under
    their own names.
``sagemaker``
    https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md: ``SM_*``, parameters as
    ``SM_HP_NAME`` and as the arguments ``--name value``.
``vertex``
    https://cloud.google.com/vertex-ai/docs/training/code-requirements#environment-variables: ``AIP_*``; parameters as
    the arguments ``--name=value``.

Every profile has ``TIPHYS_REPORT`` and ``ARGO_PROGRESS_FILE`` besides: whoever knows them is heard.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.training.job import Algorithm, TrainingRequest

__all__ = ["PROFILES", "JobPlaces", "TrainingEnvironment", "environment", "is_reserved"]


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """Where a job's things are inside its containers. ``dataset`` is empty without one. ``uri``: the model's folder as
    everybody names it."""

    dataset: str
    model: str
    work: str
    report: str
    model_uri: str
    dataset_uri: str


@dataclass(frozen=True, slots=True)
class TrainingEnvironment:
    """Variables by name, and arguments that follow those of the algorithm."""

    variables: Mapping[str, str]
    arguments: tuple[str, ...] = field(default=())


_OWN = re.compile(r"(TIPHYS|ARGO|KUBERNETES)(_|\Z)")
# what the operators and the service itself set, whatever the profile
_RESERVED = frozenset(
    {
        *("PATH", "HOME", "HOSTNAME", "PYTHONPATH", "PYTHONUNBUFFERED", "LD_PRELOAD", "LD_LIBRARY_PATH"),
        *(
            "TF_CONFIG",
            "MASTER_ADDR",
            "MASTER_PORT",
            "WORLD_SIZE",
            "RANK",
            "JOBSET_NAME",
            "JOB_COMPLETION_INDEX",
        ),
        *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
    }
)


def is_reserved(name: str, profile: str) -> bool:
    """Whether a variable is the service's, the operator's or the image's: no parameter may be it."""
    if _OWN.match(name) or name in _RESERVED or name.startswith("PET_"):
        return True
    if profile == "book":
        return name in _BOOK
    return {"sagemaker": name.startswith("SM_"), "vertex": name.startswith(("AIP_", "CLUSTER_SPEC"))}.get(
        profile, False
    )


def environment(
    request: TrainingRequest, algorithm: Algorithm, *, job: str, places: JobPlaces
) -> TrainingEnvironment:
    """What a container of a job gets, besides the operator's and the algorithm's own. ``job``: its number."""
    made = PROFILES[algorithm.profile](request, algorithm, job, places)
    common = {
        "TIPHYS_REPORT": places.report,
        "TIPHYS_JOB_ID": job,
        "TIPHYS_MODEL_DIR": places.model,
        "TIPHYS_WORK_DIR": places.work,
        "TIPHYS_DATASET": places.dataset_uri,
        "TIPHYS_DATASET_DIR": places.dataset,
    }
    return TrainingEnvironment({**made.variables, **common}, made.arguments)


def _tiphys(
    request: TrainingRequest, algorithm: Algorithm, job: str, places: JobPlaces
) -> TrainingEnvironment:
    inputs = {f"TIPHYS_INPUT_{_upper(name)}": value for name, value in request.parameters.items()}
    return TrainingEnvironment({**inputs, "TIPHYS_ALGORITHM": algorithm.name})


_BOOK = frozenset(
    {
        *(
            "JOB_ID",
            "ALGORITHM_NAME",
            "TRAINING_DATASET_ID",
            "TRAINING_DATASET_VERSION_HASH",
            "TRAINING_DATA_BUCKET",
        ),
        *("TRAINING_DATA_PATH", "MODEL_NAME", "MODEL_BUCKET", "MODEL_DIR", "METADATA_STORE_SERVER"),
        *("MINIO_SERVER", "MINIO_SERVER_ACCESS_KEY", "MINIO_SERVER_SECRET_KEY"),
    }
)


def _book(request: TrainingRequest, algorithm: Algorithm, job: str, places: JobPlaces) -> TrainingEnvironment:
    return TrainingEnvironment(
        {
            **request.parameters,
            "JOB_ID": job,
            "ALGORITHM_NAME": algorithm.name,
            "TRAINING_DATASET_ID": request.dataset_id,
            "TRAINING_DATASET_VERSION_HASH": request.dataset_version,
            "TRAINING_DATA_PATH": places.dataset,
            "MODEL_NAME": request.output_model_name or algorithm.name,
            "MODEL_DIR": places.model,
        }
    )


def _sagemaker(
    request: TrainingRequest, algorithm: Algorithm, job: str, places: JobPlaces
) -> TrainingEnvironment:
    hyper = {name: _typed(value) for name, value in request.parameters.items()}
    hosts = [f"algo-{number}" for number in range(1, algorithm.workers + 1)]
    arguments = [word for name, value in request.parameters.items() for word in (f"--{name}", value)]
    variables = {
        "SM_HPS": json.dumps(hyper),
        "SM_USER_ARGS": json.dumps(arguments),
        "SM_MODEL_DIR": places.model,
        "SM_OUTPUT_DIR": places.work,
        "SM_OUTPUT_DATA_DIR": places.work,
        "SM_CHANNELS": json.dumps(["training"] if places.dataset else []),
        "SM_HOSTS": json.dumps(hosts),
        "SM_CURRENT_HOST": hosts[0],
        "SM_NUM_GPUS": str(algorithm.gpus),
        "SM_NUM_CPUS": str(max(1, round(float(algorithm.cpu)))) if algorithm.cpu.isdigit() else "1",
        "SM_FRAMEWORK_MODULE": "",
        **{f"SM_HP_{_upper(name)}": value for name, value in request.parameters.items()},
    }
    if places.dataset:
        variables["SM_CHANNEL_TRAINING"] = places.dataset
    return TrainingEnvironment(variables, tuple(arguments))


def _vertex(
    request: TrainingRequest, algorithm: Algorithm, job: str, places: JobPlaces
) -> TrainingEnvironment:
    variables = {
        "AIP_MODEL_DIR": places.model,
        "AIP_CHECKPOINT_DIR": f"{places.work}/checkpoints",
        "AIP_TENSORBOARD_LOG_DIR": f"{places.work}/logs",
        "AIP_MODE": "TRAINING",
    }
    if places.dataset:
        variables["AIP_TRAINING_DATA_URI"] = places.dataset
        variables["AIP_DATA_FORMAT"] = ""
    return TrainingEnvironment(
        variables, tuple(f"--{name}={value}" for name, value in request.parameters.items())
    )


PROFILES = {"tiphys": _tiphys, "book": _book, "sagemaker": _sagemaker, "vertex": _vertex}


def _upper(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def _typed(value: str) -> object:
    """As SageMaker gives hyperparameters on: a number is one."""
    try:
        found: object = json.loads(value)
    except ValueError:
        return value
    return value if isinstance(found, dict | list) else found
