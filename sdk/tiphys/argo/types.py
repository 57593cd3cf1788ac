"""Argo's central objects as types: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name.
"""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = [
    "Arguments",
    "Artifact",
    "Condition",
    "DAGTask",
    "DAGTemplate",
    "Hook",
    "JsonObject",
    "Memoize",
    "Metadata",
    "Node",
    "ObjectMeta",
    "Outputs",
    "Parameter",
    "RetryStrategy",
    "Synchronization",
    "Template",
    "TemplateRef",
    "ValueFrom",
    "Workflow",
    "WorkflowSpec",
    "WorkflowStatus",
    "WorkflowStep",
]

JsonObject = dict[str, Any]
_From = TypedDict("_From", {"from": str}, total=False)  # a word of Python


class Workflow(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: WorkflowSpec
    status: WorkflowStatus


class ObjectMeta(TypedDict, total=False):
    annotations: dict[str, str]
    creationTimestamp: str | None
    deletionGracePeriodSeconds: int
    deletionTimestamp: str | None
    finalizers: list[str]
    generateName: str
    generation: int
    labels: dict[str, str]
    managedFields: list[JsonObject]
    name: str
    namespace: str
    ownerReferences: list[JsonObject]
    resourceVersion: str
    selfLink: str
    uid: str


class WorkflowSpec(TypedDict, total=False):
    activeDeadlineSeconds: int
    affinity: JsonObject
    archiveLogs: bool
    arguments: Arguments
    artifactGC: JsonObject
    artifactRepositoryRef: JsonObject
    automountServiceAccountToken: bool
    dnsConfig: JsonObject
    dnsPolicy: str
    entrypoint: str
    executor: JsonObject
    executorPlugins: list[JsonObject]
    hooks: dict[str, Hook]
    hostAliases: list[JsonObject]
    hostNetwork: bool
    imagePullSecrets: list[JsonObject]
    metrics: JsonObject
    nodeSelector: dict[str, str]
    onExit: str
    parallelism: int
    podDisruptionBudget: JsonObject
    podGC: JsonObject
    podMetadata: Metadata
    podPriorityClassName: str
    podResources: JsonObject
    podSpecPatch: str
    priority: int
    resourceClaims: list[JsonObject]
    retryStrategy: RetryStrategy
    schedulerName: str
    securityContext: JsonObject
    serviceAccountName: str
    shutdown: str
    suspend: bool
    synchronization: Synchronization
    templateDefaults: Template
    templates: list[Template]
    tolerations: list[JsonObject]
    ttlStrategy: JsonObject
    volumeClaimGC: JsonObject
    volumeClaimTemplates: list[JsonObject]
    volumes: list[JsonObject]
    workflowMetadata: JsonObject
    workflowTemplateRef: JsonObject


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
    configMapKeyRef: JsonObject
    default: str
    event: str
    expression: str
    jqFilter: str
    jsonPath: str
    parameter: str
    path: str
    supplied: JsonObject


class Artifact(_From, total=False):
    archive: JsonObject
    archiveLogs: bool
    artifactGC: JsonObject
    artifactory: JsonObject
    azure: JsonObject
    deleted: bool
    fromExpression: str
    gcs: JsonObject
    git: JsonObject
    globalName: str
    hdfs: JsonObject
    http: JsonObject
    mode: int
    name: str
    optional: bool
    oss: JsonObject
    path: str
    plugin: JsonObject
    raw: JsonObject
    recurseMode: bool
    s3: JsonObject
    subPath: str


class Hook(TypedDict, total=False):
    arguments: Arguments
    expression: str
    template: str
    templateRef: TemplateRef


class Synchronization(TypedDict, total=False):
    mutexes: list[JsonObject]
    semaphores: list[JsonObject]


class RetryStrategy(TypedDict, total=False):
    affinity: JsonObject
    backoff: JsonObject
    expression: str
    limit: int | str
    retryPolicy: str


class Template(TypedDict, total=False):
    activeDeadlineSeconds: int | str
    affinity: JsonObject
    annotations: dict[str, str]
    archiveLocation: JsonObject
    automountServiceAccountToken: bool
    container: JsonObject
    containerSet: JsonObject
    daemon: bool
    dag: DAGTemplate
    data: JsonObject
    executor: JsonObject
    failFast: bool
    hostAliases: list[JsonObject]
    http: JsonObject
    initContainers: list[JsonObject]
    inputs: Arguments
    memoize: Memoize
    metadata: Metadata
    metrics: JsonObject
    name: str
    nodeSelector: dict[str, str]
    outputs: Outputs
    parallelism: int
    pendingTimeout: str
    plugin: Any
    podResources: JsonObject
    podSpecPatch: str
    priorityClassName: str
    resource: JsonObject
    resourceClaims: list[JsonObject]
    retryStrategy: RetryStrategy
    schedulerName: str
    script: JsonObject
    securityContext: JsonObject
    serviceAccountName: str
    sidecars: list[JsonObject]
    steps: list[list[WorkflowStep]]
    suspend: JsonObject
    synchronization: Synchronization
    timeout: str
    tolerations: list[JsonObject]
    volumes: list[JsonObject]


class Metadata(TypedDict, total=False):
    annotations: dict[str, str]
    labels: dict[str, str]


class Memoize(TypedDict, total=False):
    cache: JsonObject
    key: str
    maxAge: str


class DAGTemplate(TypedDict, total=False):
    failFast: bool
    target: str
    tasks: list[DAGTask]


class DAGTask(TypedDict, total=False):
    arguments: Arguments
    continueOn: JsonObject
    dependencies: list[str]
    depends: str
    hooks: dict[str, Hook]
    inline: Template
    name: str
    onExit: str
    template: str
    templateRef: TemplateRef
    when: str
    withItems: list[Any]
    withParam: str
    withSequence: JsonObject


class TemplateRef(TypedDict, total=False):
    clusterScope: bool
    name: str
    template: str


class WorkflowStep(TypedDict, total=False):
    arguments: Arguments
    continueOn: JsonObject
    hooks: dict[str, Hook]
    inline: Template
    name: str
    onExit: str
    template: str
    templateRef: TemplateRef
    when: str
    withItems: list[Any]
    withParam: str
    withSequence: JsonObject


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
    persistentVolumeClaims: list[JsonObject]
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
    memoizationStatus: JsonObject
    message: str
    name: str
    nodeFlag: JsonObject
    outboundNodes: list[str]
    outputs: Outputs
    phase: str
    podIP: str
    progress: str
    resourcesDuration: dict[str, int]
    restartingPodUID: str
    startedAt: str | None
    synchronizationStatus: JsonObject
    taskResultSynced: bool
    templateName: str
    templateRef: TemplateRef
    templateScope: str
    type: str


class Condition(TypedDict, total=False):
    message: str
    status: str
    type: str
