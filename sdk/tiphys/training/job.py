"""What a job of the training service is, and what an algorithm is: values that every part of it hands on."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ENDED", "Algorithm", "AlgorithmSecret", "JobState", "TrainingJob", "TrainingRequest"]


class JobState(enum.IntEnum):
    """The states of a job, with their numbers on the wire."""

    queuing = 0
    launch = 1  # its Workflow is being made: its name is on the disk before that
    running = 2
    succeed = 3
    failure = 4
    cancelled = 5


ENDED = frozenset({JobState.succeed, JobState.failure, JobState.cancelled})


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What a user asks for: ``TrainingJobMetadata`` on the wire. ``request_id``: of one user one job, however often it
    is sent. ``pool``: empty for the only one, or the first, that the user has."""

    algorithm: str
    name: str = ""
    dataset_id: str = ""
    dataset_version: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    output_model_name: str = ""
    request_id: str = ""
    pool: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A job as it is on the disk. Times are seconds since 1970, 0 for what has not happened.

    ``run`` and ``namespace`` name its Workflow; they are fixed when the job is queued, and nothing else ever has them.
    ``progress``: ``3/10``. ``metrics``: the last value of each. ``model``: ``NAME@VERSION`` of the registry, or a URI.
    ``cause``: the name of a cause of :mod:`tiphys.causes`. ``cancelling``: somebody asked for its end.
    """

    id: int
    request: TrainingRequest
    user: str
    pool: str
    algorithm_version: int
    run: str
    namespace: str = ""
    state: JobState = JobState.queuing
    message: str = ""
    cause: str = ""
    progress: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    cancelling: bool = False
    created: float = 0.0
    launched: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class AlgorithmSecret:
    """An environment variable whose value is a key of a Secret of the pool's namespace."""

    variable: str
    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Algorithm:
    """Training code, as the service knows it. A version never changes; ``version`` 0 has not been given yet.

    ``kind``: ``container``, ``tfjob``, ``pytorchjob`` or ``jobset``. ``profile``: whose environment variables it reads:
    ``tiphys``, ``book``, ``sagemaker`` or ``vertex``. ``cpu`` and ``memory`` (Kubernetes quantities) and ``gpus`` are
    those of each of the ``workers``. ``retries``: after what is no fault of the code. ``deadline``: a duration, ``2h``.
    """

    name: str
    version: int = 0
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    kind: str = "container"
    workers: int = 1
    profile: str = "tiphys"
    cpu: str = ""
    memory: str = ""
    gpus: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[AlgorithmSecret, ...] = ()
    retries: int = 0
    deadline: str = "24h"
    created: float = 0.0
