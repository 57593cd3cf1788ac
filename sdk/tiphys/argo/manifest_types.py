"""Objects that have a stand-in here, as types: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name. Only type checkers read this: import it under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TypedDict

from tiphys.argo.pod_types import (
    ContainerSpec,
    HostAlias,
    LabelSelector,
    NamedMap,
    ObjectMeta,
    PodSecurity,
    ResourceRequirements,
)
from tiphys.argo.volume_types import VolumeSpec
from tiphys.jsontypes import JsonObject


class PodManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: PodSpec
    status: PodStatus


class PodTemplate(TypedDict, total=False):
    metadata: ObjectMeta
    spec: PodSpec


class PodSpec(TypedDict, total=False):
    activeDeadlineSeconds: int
    affinity: JsonObject
    automountServiceAccountToken: bool
    containers: list[ContainerSpec]
    dnsConfig: JsonObject
    dnsPolicy: str
    enableServiceLinks: bool
    ephemeralContainers: list[JsonObject]
    hostAliases: list[HostAlias]
    hostIPC: bool
    hostNetwork: bool
    hostPID: bool
    hostUsers: bool
    hostname: str
    imagePullSecrets: list[NamedMap]
    initContainers: list[ContainerSpec]
    nodeName: str
    nodeSelector: dict[str, str]
    os: JsonObject
    overhead: dict[str, str | int | float]
    preemptionPolicy: str
    priority: int
    priorityClassName: str
    readinessGates: list[JsonObject]
    resourceClaims: list[JsonObject]
    resources: ResourceRequirements
    restartPolicy: str
    runtimeClassName: str
    schedulerName: str
    schedulingGates: list[JsonObject]
    securityContext: PodSecurity
    serviceAccount: str
    serviceAccountName: str
    setHostnameAsFQDN: bool
    shareProcessNamespace: bool
    subdomain: str
    terminationGracePeriodSeconds: int
    tolerations: list[JsonObject]
    topologySpreadConstraints: list[JsonObject]
    volumes: list[VolumeSpec]


class PodStatus(TypedDict, total=False):
    conditions: list[JsonObject]
    containerStatuses: list[ContainerStatus]
    ephemeralContainerStatuses: list[ContainerStatus]
    hostIP: str
    hostIPs: list[JsonObject]
    initContainerStatuses: list[ContainerStatus]
    message: str
    nominatedNodeName: str
    observedGeneration: int
    phase: str
    podIP: str
    podIPs: list[JsonObject]
    qosClass: str
    reason: str
    resize: str
    resourceClaimStatuses: list[JsonObject]
    startTime: str | None


class ContainerStatus(TypedDict, total=False):
    allocatedResources: dict[str, str | int | float]
    allocatedResourcesStatus: list[JsonObject]
    containerID: str
    image: str
    imageID: str
    lastState: ContainerState
    name: str
    ready: bool
    resources: ResourceRequirements
    restartCount: int
    started: bool
    state: ContainerState
    stopSignal: str
    user: JsonObject
    volumeMounts: list[JsonObject]


class ContainerState(TypedDict, total=False):
    running: JsonObject
    terminated: JsonObject
    waiting: JsonObject


class TFJobManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: TFJobSpec
    status: TFJobStatus


class TFJobSpec(TypedDict, total=False):
    enableDynamicWorker: bool
    runPolicy: RunPolicy
    successPolicy: str
    tfReplicaSpecs: dict[str, TFReplica]


class TFReplica(TypedDict, total=False):
    replicas: int
    restartPolicy: str
    template: PodTemplate


class TFJobStatus(TypedDict, total=False):
    completionTime: str | None
    conditions: list[ObjectCondition]
    lastReconcileTime: str | None
    replicaStatuses: dict[str, TFReplicaStatus]
    startTime: str | None


class ObjectCondition(TypedDict, total=False):
    lastTransitionTime: str | None
    lastUpdateTime: str | None
    message: str
    reason: str
    status: str
    type: str


class TFReplicaStatus(TypedDict, total=False):
    active: int
    failed: int
    labelSelector: LabelSelector
    selector: str
    succeeded: int


class RunPolicy(TypedDict, total=False):
    activeDeadlineSeconds: int
    backoffLimit: int
    cleanPodPolicy: str
    managedBy: str
    schedulingPolicy: JsonObject
    suspend: bool
    ttlSecondsAfterFinished: int


class JobSetManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: JobSetSpec
    status: JobSetStatus


class JobSetSpec(TypedDict, total=False):
    coordinator: JsonObject
    failurePolicy: JsonObject
    managedBy: str
    network: JobSetNetwork
    replicatedJobs: list[ReplicatedJob]
    startupPolicy: JsonObject
    successPolicy: JsonObject
    suspend: bool
    ttlSecondsAfterFinished: int
    volumeClaimPolicies: list[JsonObject]


class JobSetNetwork(TypedDict, total=False):
    enableDNSHostnames: bool
    publishNotReadyAddresses: bool
    subdomain: str


class ReplicatedJob(TypedDict, total=False):
    dependsOn: list[JsonObject]
    groupName: str
    name: str
    replicas: int
    template: JobTemplate


class JobTemplate(TypedDict, total=False):
    metadata: ObjectMeta
    spec: JobSpec


class JobSetStatus(TypedDict, total=False):
    conditions: list[StatusCondition]
    currentInPlaceRestartAttempt: int
    previousInPlaceRestartAttempt: int
    replicatedJobsStatus: list[ReplicatedJobStatus]
    restarts: int
    restartsCountTowardsMax: int
    terminalState: str


class ReplicatedJobStatus(TypedDict, total=False):
    active: int
    failed: int
    name: str
    ready: int
    succeeded: int
    suspended: int


class StatusCondition(TypedDict, total=False):
    lastTransitionTime: str | None
    message: str
    observedGeneration: int
    reason: str
    status: str
    type: str


class DeploymentManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: DeploymentSpec
    status: DeploymentStatus


class DeploymentSpec(TypedDict, total=False):
    minReadySeconds: int
    paused: bool
    progressDeadlineSeconds: int
    replicas: int
    revisionHistoryLimit: int
    selector: LabelSelector
    strategy: JsonObject
    template: PodTemplate


class DeploymentStatus(TypedDict, total=False):
    availableReplicas: int
    collisionCount: int
    conditions: list[ObjectCondition]
    observedGeneration: int
    readyReplicas: int
    replicas: int
    terminatingReplicas: int
    unavailableReplicas: int
    updatedReplicas: int


class JobManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: JobSpec
    status: JsonObject


class JobSpec(TypedDict, total=False):
    activeDeadlineSeconds: int
    backoffLimit: int
    backoffLimitPerIndex: int
    completionMode: str
    completions: int
    managedBy: str
    manualSelector: bool
    maxFailedIndexes: int
    parallelism: int
    podFailurePolicy: PodFailurePolicy
    podReplacementPolicy: str
    selector: LabelSelector
    successPolicy: JobSuccess
    suspend: bool
    template: PodTemplate
    ttlSecondsAfterFinished: int


class JobSuccess(TypedDict, total=False):
    rules: list[JobSuccessRule]


class JobSuccessRule(TypedDict, total=False):
    succeededCount: int
    succeededIndexes: str


class PodFailurePolicy(TypedDict, total=False):
    rules: list[PodFailureRule]


class PodFailureRule(TypedDict, total=False):
    action: str
    onExitCodes: ExitCodes
    onPodConditions: list[JsonObject]


class ExitCodes(TypedDict, total=False):
    containerName: str
    operator: str
    values: list[int]


class ServiceManifest(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: ServiceSpec
    status: JsonObject


class ServiceSpec(TypedDict, total=False):
    allocateLoadBalancerNodePorts: bool
    clusterIP: str
    clusterIPs: list[str]
    externalIPs: list[str]
    externalName: str
    externalTrafficPolicy: str
    healthCheckNodePort: int
    internalTrafficPolicy: str
    ipFamilies: list[str]
    ipFamilyPolicy: str
    loadBalancerClass: str
    loadBalancerIP: str
    loadBalancerSourceRanges: list[str]
    ports: list[ServicePort]
    publishNotReadyAddresses: bool
    selector: dict[str, str]
    sessionAffinity: str
    sessionAffinityConfig: JsonObject
    trafficDistribution: str
    type: str


class ServicePort(TypedDict, total=False):
    appProtocol: str
    name: str
    nodePort: int
    port: int
    protocol: str
    targetPort: int | str


class KubeObject(TypedDict, total=False):
    """An object of the API server: what all kinds have, and of some ``data``; its kind's own type says more."""

    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: JsonObject
    status: JsonObject
    data: dict[str, str]
