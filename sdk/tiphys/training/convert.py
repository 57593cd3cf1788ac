"""Between the wire and the values of the service, and from errors to what a client is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tiphys.argo.quantity import written_quantity
from tiphys.errors import TiphysError, TrainingServiceError
from tiphys.training.job import Algorithm, AlgorithmSecret, JobState, TrainingJob, TrainingRequest
from tiphys.training.proto import training_service_pb2 as wire

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tiphys.training.service import PoolState

__all__ = [
    "ERROR_KEY",
    "STATUSES",
    "algorithm_from",
    "algorithm_of",
    "error_of",
    "from_json",
    "request_of",
    "shortened",
    "status_of",
    "told",
    "unforeseen",
    "wire_algorithm",
    "wire_pools",
    "wire_status",
]

ERROR_KEY = "tiphys-error-bin"  # of gRPC's trailing metadata: the error as JSON
# code -> the name of gRPC's status, and HTTP's number
STATUSES = {
    "TIP801": ("UNAUTHENTICATED", 401),
    "TIP802": ("PERMISSION_DENIED", 403),
    "TIP287": ("PERMISSION_DENIED", 403),
    "TIP804": ("ALREADY_EXISTS", 409),
    "TIP805": ("ALREADY_EXISTS", 409),
    "TIP806": ("NOT_FOUND", 404),
    "TIP807": ("NOT_FOUND", 404),
    "TIP808": ("UNAVAILABLE", 503),
    "TIP809": ("FAILED_PRECONDITION", 400),
    "TIP810": ("INVALID_ARGUMENT", 400),
    "TIP811": ("INVALID_ARGUMENT", 400),
    "TIP812": ("INVALID_ARGUMENT", 400),
    "TIP260": ("INVALID_ARGUMENT", 400),
    "TIP411": ("RESOURCE_EXHAUSTED", 507),
    "TIP820": ("RESOURCE_EXHAUSTED", 429),
    "TIP821": ("INVALID_ARGUMENT", 400),
    "TIP822": ("INTERNAL", 500),
    "TIP828": ("PERMISSION_DENIED", 403),
}
_OTHER = ("UNAVAILABLE", 503)


def status_of(error: TiphysError) -> tuple[str, int]:
    """gRPC's status and HTTP's for an error; of one of the store or a cluster, that it cannot be had now."""
    return STATUSES.get(error.code, _OTHER)


def unforeseen() -> TrainingServiceError:
    """What a client is told of what nobody foresaw."""
    return TrainingServiceError("TIP822", "an error of the service: its log says which")


def shortened(error: TiphysError) -> TiphysError:
    """An error that gRPC carries: all that goes with an answer has 8 KiB there, and a byte may be written as three."""
    cut = [_cut(error.message, 500), _cut(error.cause, 300), _cut(error.fix, 300)]
    return TrainingServiceError(error.code, cut[0], cause=cut[1], fix=cut[2])


def _cut(text: str, most: int) -> str:
    """At most so many bytes."""
    raw = text.encode(errors="replace")
    return raw[:most].decode(errors="ignore") + ("…" if len(raw) > most else "")


def told(error: TiphysError) -> str:
    """An error as JSON: ``code``, ``message``, ``cause``, ``fix``."""
    return json.dumps(
        {"code": error.code, "message": error.message, "cause": error.cause, "fix": error.fix},
        ensure_ascii=False,
    )


def error_of(text: str) -> TrainingServiceError | None:
    """The error that :func:`told` wrote; None for what is none."""
    try:
        said = json.loads(text)
        return TrainingServiceError(
            str(said["code"]), str(said["message"]), cause=str(said["cause"]), fix=str(said["fix"])
        )
    except (ValueError, LookupError, TypeError):
        return None


def request_of(metadata: wire.TrainingJobMetadata) -> TrainingRequest:
    return TrainingRequest(
        algorithm=metadata.algorithm,
        name=metadata.name,
        dataset_id=metadata.dataset_id,
        dataset_version=metadata.train_data_version_hash,
        parameters=dict(metadata.parameters),
        output_model_name=metadata.output_model_name,
        request_id=metadata.request_id,
        pool=metadata.pool,
        priority=metadata.priority,
    )


def wire_request(request: TrainingRequest) -> wire.TrainingJobMetadata:
    return wire.TrainingJobMetadata(
        algorithm=request.algorithm,
        name=request.name,
        dataset_id=request.dataset_id,
        train_data_version_hash=request.dataset_version,
        parameters=dict(request.parameters),
        output_model_name=request.output_model_name,
        request_id=request.request_id,
        pool=request.pool,
        priority=request.priority,
    )


def wire_status(job: TrainingJob, position: int) -> wire.GetTrainingStatusResponse:
    """``position``: how many are to begin before it, and itself; 0: it is not queued."""
    metadata = wire_request(job.request)
    metadata.pool = job.pool
    return wire.GetTrainingStatusResponse(
        status=wire.TrainingStatus.ValueType(int(job.state)),
        job_id=job.id,
        message=job.message,
        metadata=metadata,
        positionInQueue=position,
        progress=job.progress,
        metrics=dict(job.metrics),
        model=job.model,
        cause=job.cause,
        run=job.run,
        namespace=job.namespace,
        user=job.user,
        algorithm_version=job.algorithm_version,
        created=job.created,
        launched=job.launched,
        ended=job.ended,
    )


def job_of(status: wire.GetTrainingStatusResponse) -> TrainingJob:
    """What a client sees of a job."""
    return TrainingJob(
        status.job_id,
        request_of(status.metadata),
        status.user,
        status.metadata.pool,
        status.algorithm_version,
        status.run,
        namespace=status.namespace,
        state=JobState(int(status.status)),
        message=status.message,
        cause=status.cause,
        progress=status.progress,
        metrics=dict(status.metrics),
        model=status.model,
        created=status.created,
        launched=status.launched,
        ended=status.ended,
    )


def algorithm_of(said: wire.Algorithm) -> Algorithm:
    """What was left out has its usual value."""
    return Algorithm(
        name=said.name,
        version=said.version,
        image=said.image,
        command=tuple(said.command),
        args=tuple(said.args),
        kind=said.kind or "container",
        workers=said.workers or 1,
        profile=said.profile or "tiphys",
        cpu=said.cpu,
        memory=said.memory,
        gpus=said.gpus,
        env=dict(said.env),
        secrets=tuple(AlgorithmSecret(each.variable, each.secret, each.key) for each in said.secrets),
        retries=said.retries,
        deadline=said.deadline or "24h",
        created=said.created,
    )


def from_json(text: bytes, message: Message) -> Message:
    """The message, filled. Raises TrainingServiceError TIP821 with the field that is wrong."""
    from google.protobuf import json_format

    try:
        return json_format.Parse(text, message)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0][:500] if str(error) else type(error).__name__
        raise TrainingServiceError(
            "TIP821", f"it cannot be read: {problem}", fix="docs/training.md has each message"
        ) from None


def algorithm_from(fields: Mapping[str, object]) -> Algorithm:
    """An algorithm of the fields that the proto has. Raises TrainingServiceError TIP821."""
    said = wire.Algorithm()
    from_json(json.dumps(fields, default=str).encode(), said)
    return algorithm_of(said)


def wire_algorithm(algorithm: Algorithm) -> wire.Algorithm:
    return wire.Algorithm(
        name=algorithm.name,
        version=algorithm.version,
        image=algorithm.image,
        command=algorithm.command,
        args=algorithm.args,
        kind=algorithm.kind,
        workers=algorithm.workers,
        profile=algorithm.profile,
        cpu=algorithm.cpu,
        memory=algorithm.memory,
        gpus=algorithm.gpus,
        env=dict(algorithm.env),
        secrets=[
            wire.SecretReference(variable=each.variable, secret=each.secret, key=each.key)
            for each in algorithm.secrets
        ],
        retries=algorithm.retries,
        deadline=algorithm.deadline,
        created=algorithm.created,
    )


def wire_pools(states: Sequence[PoolState]) -> wire.ListPoolsResponse:
    return wire.ListPoolsResponse(
        pools=[
            wire.Pool(
                name=state.pool.name,
                namespace=state.pool.namespace,
                size={name: written_quantity(name, amount) for name, amount in state.pool.sizes.items()},
                used={name: written_quantity(name, state.used.get(name, 0)) for name in state.pool.sizes},
                queued=state.queued,
                running=state.running,
            )
            for state in states
        ]
    )
