"""Argo's central objects as types: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name. Only type checkers read this: import it under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TypedDict

from tiphys.argo.pod_types import (
    Archive,
    ArtifactGC,
    ArtifactoryLocation,
    AzureLocation,
    ClaimGC,
    ContainerSet,
    ContainerSpec,
    ExecutorPlugin,
    GCSLocation,
    GitLocation,
    HDFSLocation,
    HostAlias,
    HTTPLocation,
    HTTPTemplate,
    KeySelector,
    LabelSelector,
    Metadata,
    MetricsSpec,
    NamedMap,
    ObjectMeta,
    OSSLocation,
    PluginLocation,
    PodSecurity,
    RawLocation,
    ResourceRequirements,
    S3Location,
    ScriptSpec,
    SideContainer,
    WorkflowArtifactGC,
)
from tiphys.argo.volume_types import VolumeClaim, VolumeSpec
from tiphys.jsontypes import Json, JsonObject

_From = TypedDict("_From", {"from": str}, total=False)  # a word of Python


class Workflow(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: WorkflowSpec
    status: WorkflowStatus


class CronWorkflow(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: CronWorkflowSpec
    status: JsonObject


class CronWorkflowSpec(TypedDict, total=False):
    concurrencyPolicy: str
    failedJobsHistoryLimit: int
    schedules: list[str]
    startingDeadlineSeconds: int
    stopStrategy: StopStrategy
    successfulJobsHistoryLimit: int
    suspend: bool
    timezone: str
    when: str
    workflowMetadata: ObjectMeta
    workflowSpec: WorkflowSpec


class StopStrategy(TypedDict, total=False):
    expression: str


class WorkflowSpec(TypedDict, total=False):
    activeDeadlineSeconds: int
    affinity: JsonObject
    archiveLogs: bool
    arguments: Arguments
    artifactGC: WorkflowArtifactGC
    artifactRepositoryRef: RepositoryRef
    automountServiceAccountToken: bool
    dnsConfig: JsonObject
    dnsPolicy: str
    entrypoint: str
    executor: JsonObject
    executorPlugins: list[ExecutorPlugin]
    hooks: dict[str, Hook]
    hostAliases: list[HostAlias]
    hostNetwork: bool
    imagePullSecrets: list[NamedMap]
    metrics: MetricsSpec
    nodeSelector: dict[str, str]
    onExit: str
    parallelism: int
    podDisruptionBudget: JsonObject
    podGC: PodGC
    podMetadata: Metadata
    podPriorityClassName: str
    podResources: ResourceRequirements
    podSpecPatch: str
    priority: int
    resourceClaims: list[JsonObject]
    retryStrategy: RetryStrategy
    schedulerName: str
    securityContext: PodSecurity
    serviceAccountName: str
    shutdown: str
    suspend: bool
    synchronization: Synchronization
    templateDefaults: Template
    templates: list[Template]
    tolerations: list[JsonObject]
    ttlStrategy: JsonObject
    volumeClaimGC: ClaimGC
    volumeClaimTemplates: list[VolumeClaim]
    volumes: list[VolumeSpec]
    workflowMetadata: WorkflowMetadata
    workflowTemplateRef: WorkflowTemplateRef


class Arguments(TypedDict, total=False):
    artifacts: list[Artifact]
    parameters: list[Parameter]


class Parameter(TypedDict, total=False):
    default: str
    description: str
    enum: list[str]
    globalName: str
    name: str
    value: str
    valueFrom: ValueFrom


class ValueFrom(TypedDict, total=False):
    configMapKeyRef: KeySelector
    default: str
    event: str
    expression: str
    jqFilter: str
    jsonPath: str
    parameter: str
    path: str
    supplied: JsonObject


class Artifact(_From, total=False):
    archive: Archive
    archiveLogs: bool
    artifactGC: ArtifactGC
    artifactory: ArtifactoryLocation
    azure: AzureLocation
    deleted: bool
    fromExpression: str
    gcs: GCSLocation
    git: GitLocation
    globalName: str
    hdfs: HDFSLocation
    http: HTTPLocation
    mode: int
    name: str
    optional: bool
    oss: OSSLocation
    path: str
    plugin: PluginLocation
    raw: RawLocation
    recurseMode: bool
    s3: S3Location
    subPath: str


class Hook(TypedDict, total=False):
    arguments: Arguments
    expression: str
    template: str
    templateRef: TemplateRef


class RepositoryRef(TypedDict, total=False):
    configMap: str
    key: str


class WorkflowTemplateRef(TypedDict, total=False):
    clusterScope: bool
    name: str


class WorkflowMetadata(TypedDict, total=False):
    annotations: dict[str, str]
    labels: dict[str, str]
    labelsFrom: dict[str, StopStrategy]


class LabelSource(TypedDict, total=False):
    expression: str


class Synchronization(TypedDict, total=False):
    mutexes: list[MutexLock]
    semaphores: list[SemaphoreLock]


class MutexLock(TypedDict, total=False):
    database: bool
    name: str
    namespace: str


class SemaphoreLock(TypedDict, total=False):
    configMapKeyRef: KeySelector
    database: DatabaseKey
    namespace: str


class DatabaseKey(TypedDict, total=False):
    key: str


class PodGC(TypedDict, total=False):
    deleteDelayDuration: str
    labelSelector: LabelSelector
    strategy: str


class RetryStrategy(TypedDict, total=False):
    affinity: JsonObject
    backoff: Backoff
    expression: str
    limit: int | str
    retryPolicy: str


class Backoff(TypedDict, total=False):
    cap: str
    duration: str
    factor: int | str
    maxDuration: str


class Template(TypedDict, total=False):
    activeDeadlineSeconds: int | str
    affinity: JsonObject
    annotations: dict[str, str]
    archiveLocation: ArchiveLocation
    automountServiceAccountToken: bool
    container: ContainerSpec
    containerSet: ContainerSet
    daemon: bool
    dag: DAGTemplate
    data: DataTemplate
    executor: JsonObject
    failFast: bool
    hostAliases: list[HostAlias]
    http: HTTPTemplate
    initContainers: list[SideContainer]
    inputs: Arguments
    memoize: Memoize
    metadata: Metadata
    metrics: MetricsSpec
    name: str
    nodeSelector: dict[str, str]
    outputs: Outputs
    parallelism: int
    pendingTimeout: str
    plugin: Json
    podResources: ResourceRequirements
    podSpecPatch: str
    priorityClassName: str
    resource: ResourceTemplate
    resourceClaims: list[JsonObject]
    retryStrategy: RetryStrategy
    schedulerName: str
    script: ScriptSpec
    securityContext: PodSecurity
    serviceAccountName: str
    sidecars: list[SideContainer]
    steps: list[list[WorkflowStep]]
    suspend: SuspendTemplate
    synchronization: Synchronization
    timeout: str
    tolerations: list[JsonObject]
    volumes: list[VolumeSpec]


class ArchiveLocation(TypedDict, total=False):
    archiveLogs: bool
    artifactory: ArtifactoryLocation
    azure: AzureLocation
    gcs: GCSLocation
    git: GitLocation
    hdfs: HDFSLocation
    http: HTTPLocation
    oss: OSSLocation
    plugin: PluginLocation
    raw: RawLocation
    s3: S3Location


class Memoize(TypedDict, total=False):
    cache: MemoizeCache
    key: str
    maxAge: str


class MemoizeCache(TypedDict, total=False):
    configMap: NamedMap


class ResourceTemplate(TypedDict, total=False):
    action: str
    failureCondition: str
    flags: list[str]
    manifest: str
    manifestFrom: ManifestFrom
    mergeStrategy: str
    setOwnerReference: bool
    successCondition: str


class ManifestFrom(TypedDict, total=False):
    artifact: Artifact


class DataTemplate(TypedDict, total=False):
    source: DataSource
    transformation: list[Transformation]


class DataSource(TypedDict, total=False):
    artifactPaths: Artifact


class Transformation(TypedDict, total=False):
    expression: str


class SuspendTemplate(TypedDict, total=False):
    duration: str


class DAGTemplate(TypedDict, total=False):
    failFast: bool
    target: str
    tasks: list[DAGTask]


class WorkflowStep(TypedDict, total=False):
    arguments: Arguments
    continueOn: ContinueOn
    hooks: dict[str, Hook]
    inline: Template
    name: str
    onExit: str
    template: str
    templateRef: TemplateRef
    when: str
    withItems: list[Json]
    withParam: str
    withSequence: LoopSequence


class DAGTask(WorkflowStep, total=False):
    dependencies: list[str]
    depends: str


class TemplateRef(TypedDict, total=False):
    clusterScope: bool
    name: str
    template: str


class ContinueOn(TypedDict, total=False):
    error: bool
    failed: bool


class LoopSequence(TypedDict, total=False):
    count: int | str
    end: int | str
    format: str
    start: int | str


class Outputs(TypedDict, total=False):
    artifacts: list[Artifact]
    exitCode: str
    parameters: list[Parameter]
    result: str


class WorkflowStatus(TypedDict, total=False):
    artifactGCStatus: JsonObject
    artifactRepositoryRef: JsonObject
    compressedNodes: str
    conditions: list[Condition]
    estimatedDuration: int
    finishedAt: str | None
    message: str
    nodes: dict[str, Node]
    offloadNodeStatusVersion: str
    outputs: Outputs
    persistentVolumeClaims: list[VolumeSpec]
    phase: str
    progress: str
    resourcesDuration: dict[str, int]
    startedAt: str | None
    storedTemplates: dict[str, Template]
    storedWorkflowTemplateSpec: WorkflowSpec
    synchronization: JsonObject
    taskResultsCompletionStatus: dict[str, bool]


class Node(TypedDict, total=False):
    boundaryID: str
    children: list[str]
    daemoned: bool
    displayName: str
    estimatedDuration: int
    failedPodRestarts: int
    finishedAt: str | None
    hostNodeName: str
    id: str
    inputs: Arguments
    memoizationStatus: MemoizationStatus
    message: str
    name: str
    nodeFlag: NodeFlag
    outboundNodes: list[str]
    outputs: Outputs
    phase: str
    podIP: str
    progress: str
    resourcesDuration: dict[str, int]
    restartingPodUID: str
    startedAt: str | None
    synchronizationStatus: LockStatus
    taskResultSynced: bool
    templateName: str
    templateRef: TemplateRef
    templateScope: str
    type: str


class NodeFlag(TypedDict, total=False):
    hooked: bool
    retried: bool


class MemoizationStatus(TypedDict, total=False):
    cacheName: str
    hit: bool
    key: str


class LockStatus(TypedDict, total=False):
    waiting: str


class Condition(TypedDict, total=False):
    message: str
    status: str
    type: str


class GivenObject(TypedDict, total=False):
    """An object that is given with a workflow: ConfigMap, Secret, (Cluster)WorkflowTemplate."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    data: dict[str, str]
    binaryData: dict[str, str]
    stringData: dict[str, str]
    spec: WorkflowSpec


class CacheEntry(TypedDict, total=False):
    """What a ConfigMap of memoization holds under a key, as JSON text."""

    nodeID: str
    outputs: Outputs | None
    creationTimestamp: str
    lastHitTimestamp: str
