from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TrainingStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    queuing: _ClassVar[TrainingStatus]
    launch: _ClassVar[TrainingStatus]
    running: _ClassVar[TrainingStatus]
    succeed: _ClassVar[TrainingStatus]
    failure: _ClassVar[TrainingStatus]
    cancelled: _ClassVar[TrainingStatus]
queuing: TrainingStatus
launch: TrainingStatus
running: TrainingStatus
succeed: TrainingStatus
failure: TrainingStatus
cancelled: TrainingStatus

class TrainRequest(_message.Message):
    __slots__ = ("metadata",)
    METADATA_FIELD_NUMBER: _ClassVar[int]
    metadata: TrainingJobMetadata
    def __init__(self, metadata: _Optional[_Union[TrainingJobMetadata, _Mapping]] = ...) -> None: ...

class TrainResponse(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    def __init__(self, job_id: _Optional[int] = ...) -> None: ...

class GetTrainingStatusRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    def __init__(self, job_id: _Optional[int] = ...) -> None: ...

class GetTrainingStatusResponse(_message.Message):
    __slots__ = ("status", "job_id", "message", "metadata", "positionInQueue", "progress", "metrics", "model", "cause", "run", "namespace", "user", "algorithm_version", "created", "launched", "ended")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    STATUS_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    POSITIONINQUEUE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ALGORITHM_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LAUNCHED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    status: TrainingStatus
    job_id: int
    message: str
    metadata: TrainingJobMetadata
    positionInQueue: int
    progress: str
    metrics: _containers.ScalarMap[str, float]
    model: str
    cause: str
    run: str
    namespace: str
    user: str
    algorithm_version: int
    created: float
    launched: float
    ended: float
    def __init__(self, status: _Optional[_Union[TrainingStatus, str]] = ..., job_id: _Optional[int] = ..., message: _Optional[str] = ..., metadata: _Optional[_Union[TrainingJobMetadata, _Mapping]] = ..., positionInQueue: _Optional[int] = ..., progress: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., model: _Optional[str] = ..., cause: _Optional[str] = ..., run: _Optional[str] = ..., namespace: _Optional[str] = ..., user: _Optional[str] = ..., algorithm_version: _Optional[int] = ..., created: _Optional[float] = ..., launched: _Optional[float] = ..., ended: _Optional[float] = ...) -> None: ...

class TrainingJobMetadata(_message.Message):
    __slots__ = ("algorithm", "dataset_id", "name", "train_data_version_hash", "parameters", "output_model_name", "request_id", "pool", "priority")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRAIN_DATA_VERSION_HASH_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    algorithm: str
    dataset_id: str
    name: str
    train_data_version_hash: str
    parameters: _containers.ScalarMap[str, str]
    output_model_name: str
    request_id: str
    pool: str
    priority: int
    def __init__(self, algorithm: _Optional[str] = ..., dataset_id: _Optional[str] = ..., name: _Optional[str] = ..., train_data_version_hash: _Optional[str] = ..., parameters: _Optional[_Mapping[str, str]] = ..., output_model_name: _Optional[str] = ..., request_id: _Optional[str] = ..., pool: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    def __init__(self, job_id: _Optional[int] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("pool", "user", "status", "limit", "before")
    POOL_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    user: str
    status: _containers.RepeatedScalarFieldContainer[TrainingStatus]
    limit: int
    before: int
    def __init__(self, pool: _Optional[str] = ..., user: _Optional[str] = ..., status: _Optional[_Iterable[_Union[TrainingStatus, str]]] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[GetTrainingStatusResponse]
    def __init__(self, jobs: _Optional[_Iterable[_Union[GetTrainingStatusResponse, _Mapping]]] = ...) -> None: ...

class LogsRequest(_message.Message):
    __slots__ = ("job_id", "follow")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    follow: bool
    def __init__(self, job_id: _Optional[int] = ..., follow: bool = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("source", "text")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    source: str
    text: str
    def __init__(self, source: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class SecretReference(_message.Message):
    __slots__ = ("variable", "secret", "key")
    VARIABLE_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    variable: str
    secret: str
    key: str
    def __init__(self, variable: _Optional[str] = ..., secret: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class Algorithm(_message.Message):
    __slots__ = ("name", "version", "image", "command", "args", "kind", "workers", "profile", "cpu", "memory", "gpus", "env", "secrets", "retries", "deadline", "created")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    image: str
    command: _containers.RepeatedScalarFieldContainer[str]
    args: _containers.RepeatedScalarFieldContainer[str]
    kind: str
    workers: int
    profile: str
    cpu: str
    memory: str
    gpus: int
    env: _containers.ScalarMap[str, str]
    secrets: _containers.RepeatedCompositeFieldContainer[SecretReference]
    retries: int
    deadline: str
    created: float
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., image: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., args: _Optional[_Iterable[str]] = ..., kind: _Optional[str] = ..., workers: _Optional[int] = ..., profile: _Optional[str] = ..., cpu: _Optional[str] = ..., memory: _Optional[str] = ..., gpus: _Optional[int] = ..., env: _Optional[_Mapping[str, str]] = ..., secrets: _Optional[_Iterable[_Union[SecretReference, _Mapping]]] = ..., retries: _Optional[int] = ..., deadline: _Optional[str] = ..., created: _Optional[float] = ...) -> None: ...

class AlgorithmRequest(_message.Message):
    __slots__ = ("algorithm",)
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    algorithm: Algorithm
    def __init__(self, algorithm: _Optional[_Union[Algorithm, _Mapping]] = ...) -> None: ...

class ListAlgorithmsRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListAlgorithmsResponse(_message.Message):
    __slots__ = ("algorithms",)
    ALGORITHMS_FIELD_NUMBER: _ClassVar[int]
    algorithms: _containers.RepeatedCompositeFieldContainer[Algorithm]
    def __init__(self, algorithms: _Optional[_Iterable[_Union[Algorithm, _Mapping]]] = ...) -> None: ...

class ListPoolsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pool(_message.Message):
    __slots__ = ("name", "namespace", "size", "used", "queued", "running")
    class SizeEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class UsedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    name: str
    namespace: str
    size: _containers.ScalarMap[str, str]
    used: _containers.ScalarMap[str, str]
    queued: int
    running: int
    def __init__(self, name: _Optional[str] = ..., namespace: _Optional[str] = ..., size: _Optional[_Mapping[str, str]] = ..., used: _Optional[_Mapping[str, str]] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ...) -> None: ...

class ListPoolsResponse(_message.Message):
    __slots__ = ("pools",)
    POOLS_FIELD_NUMBER: _ClassVar[int]
    pools: _containers.RepeatedCompositeFieldContainer[Pool]
    def __init__(self, pools: _Optional[_Iterable[_Union[Pool, _Mapping]]] = ...) -> None: ...
