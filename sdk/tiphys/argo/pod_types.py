"""What Argo's objects are made of, as types: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name. Only type checkers read this: import it under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TypedDict

from tiphys.jsontypes import JsonObject


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


class KeySelector(TypedDict, total=False):
    key: str
    name: str
    optional: bool


class Archive(TypedDict, total=False):
    none: JsonObject
    tar: JsonObject
    zip: JsonObject


class ArtifactGC(TypedDict, total=False):
    podMetadata: Metadata
    serviceAccountName: str
    strategy: str


class S3Location(TypedDict, total=False):
    accessKeySecret: KeySelector
    addressingStyle: str
    bucket: str
    caSecret: KeySelector
    createBucketIfNotPresent: JsonObject
    encryptionOptions: JsonObject
    endpoint: str
    insecure: bool
    key: str
    region: str
    roleARN: str
    secretKeySecret: KeySelector
    sessionTokenSecret: KeySelector
    useSDKCreds: bool


class GCSLocation(TypedDict, total=False):
    bucket: str
    key: str
    serviceAccountKeySecret: KeySelector


class OSSLocation(TypedDict, total=False):
    accessKeySecret: KeySelector
    bucket: str
    createBucketIfNotPresent: bool
    endpoint: str
    key: str
    lifecycleRule: JsonObject
    secretKeySecret: KeySelector
    securityToken: str
    useSDKCreds: bool


class AzureLocation(TypedDict, total=False):
    accountKeySecret: KeySelector
    blob: str
    container: str
    endpoint: str
    useSDKCreds: bool


class HDFSLocation(TypedDict, total=False):
    addresses: list[str]
    dataTransferProtection: str
    force: bool
    hdfsUser: str
    krbCCacheSecret: KeySelector
    krbConfigConfigMap: KeySelector
    krbKeytabSecret: KeySelector
    krbRealm: str
    krbServicePrincipalName: str
    krbUsername: str
    path: str


class ArtifactoryLocation(TypedDict, total=False):
    passwordSecret: KeySelector
    url: str
    usernameSecret: KeySelector


class HTTPLocation(TypedDict, total=False):
    auth: JsonObject
    headers: list[JsonObject]
    saveStreamViaFile: bool
    url: str


class GitLocation(TypedDict, total=False):
    branch: str
    depth: int
    disableSubmodules: bool
    fetch: list[str]
    insecureIgnoreHostKey: bool
    insecureSkipTLS: bool
    passwordSecret: KeySelector
    repo: str
    revision: str
    singleBranch: bool
    sshPrivateKeySecret: KeySelector
    usernameSecret: KeySelector


class RawLocation(TypedDict, total=False):
    data: str


class PluginLocation(TypedDict, total=False):
    configuration: str
    connectionTimeoutSeconds: int
    key: str
    name: str


class VolumeClaim(TypedDict, total=False):
    apiVersion: str
    kind: str
    metadata: ObjectMeta
    spec: VolumeClaimSpec
    status: JsonObject


class VolumeClaimSpec(TypedDict, total=False):
    accessModes: list[str]
    dataSource: JsonObject
    dataSourceRef: JsonObject
    resources: VolumeResources
    selector: LabelSelector
    storageClassName: str
    volumeAttributesClassName: str
    volumeMode: str
    volumeName: str


class VolumeResources(TypedDict, total=False):
    limits: dict[str, str | int | float]
    requests: dict[str, str | int | float]


class VolumeSpec(TypedDict, total=False):
    awsElasticBlockStore: JsonObject
    azureDisk: JsonObject
    azureFile: JsonObject
    cephfs: JsonObject
    cinder: JsonObject
    configMap: JsonObject
    csi: JsonObject
    downwardAPI: JsonObject
    emptyDir: JsonObject
    ephemeral: JsonObject
    fc: JsonObject
    flexVolume: JsonObject
    flocker: JsonObject
    gcePersistentDisk: JsonObject
    gitRepo: JsonObject
    glusterfs: JsonObject
    hostPath: JsonObject
    image: JsonObject
    iscsi: JsonObject
    name: str
    nfs: JsonObject
    persistentVolumeClaim: JsonObject
    photonPersistentDisk: JsonObject
    portworxVolume: JsonObject
    projected: JsonObject
    quobyte: JsonObject
    rbd: JsonObject
    scaleIO: JsonObject
    secret: JsonObject
    storageos: JsonObject
    vsphereVolume: JsonObject


class Metadata(TypedDict, total=False):
    annotations: dict[str, str]
    labels: dict[str, str]


class NamedMap(TypedDict, total=False):
    name: str


class ContainerSpec(TypedDict, total=False):
    args: list[str]
    command: list[str]
    env: list[EnvVar]
    envFrom: list[EnvFrom]
    image: str
    imagePullPolicy: str
    lifecycle: JsonObject
    livenessProbe: Probe
    name: str
    ports: list[JsonObject]
    readinessProbe: Probe
    resizePolicy: list[JsonObject]
    resources: ResourceRequirements
    restartPolicy: str
    restartPolicyRules: list[JsonObject]
    securityContext: JsonObject
    startupProbe: Probe
    stdin: bool
    stdinOnce: bool
    terminationMessagePath: str
    terminationMessagePolicy: str
    tty: bool
    volumeDevices: list[JsonObject]
    volumeMounts: list[VolumeMount]
    workingDir: str


class EnvVar(TypedDict, total=False):
    name: str
    value: str
    valueFrom: EnvSource


class EnvSource(TypedDict, total=False):
    configMapKeyRef: KeySelector
    fieldRef: JsonObject
    fileKeyRef: JsonObject
    resourceFieldRef: JsonObject
    secretKeyRef: KeySelector


class EnvFrom(TypedDict, total=False):
    configMapRef: JsonObject
    prefix: str
    secretRef: JsonObject


class VolumeMount(TypedDict, total=False):
    mountPath: str
    mountPropagation: str
    name: str
    readOnly: bool
    recursiveReadOnly: str
    subPath: str
    subPathExpr: str


class Probe(TypedDict, total=False):
    exec: JsonObject
    failureThreshold: int
    grpc: JsonObject
    httpGet: JsonObject
    initialDelaySeconds: int
    periodSeconds: int
    successThreshold: int
    tcpSocket: JsonObject
    terminationGracePeriodSeconds: int
    timeoutSeconds: int


class ResourceRequirements(TypedDict, total=False):
    claims: list[JsonObject]
    limits: dict[str, str | int | float]
    requests: dict[str, str | int | float]


class ScriptSpec(ContainerSpec, total=False):
    source: str


class ContainerSet(TypedDict, total=False):
    containers: list[SetContainer]
    retryStrategy: JsonObject
    volumeMounts: list[VolumeMount]


class SetContainer(ContainerSpec, total=False):
    dependencies: list[str]


class SideContainer(ContainerSpec, total=False):
    mirrorVolumeMounts: bool


class HTTPTemplate(TypedDict, total=False):
    body: str
    bodyFrom: JsonObject
    headers: list[HTTPHeader]
    insecureSkipVerify: bool
    method: str
    successCondition: str
    timeoutSeconds: int
    url: str


class HTTPHeader(TypedDict, total=False):
    name: str
    value: str
    valueFrom: JsonObject


class MetricsSpec(TypedDict, total=False):
    prometheus: list[MetricSpec]


class MetricSpec(TypedDict, total=False):
    counter: CounterSpec
    gauge: GaugeSpec
    help: str
    histogram: HistogramSpec
    labels: list[MetricLabel]
    name: str
    when: str


class GaugeSpec(TypedDict, total=False):
    operation: str
    realtime: bool
    value: str


class HistogramSpec(TypedDict, total=False):
    buckets: list[float]
    value: str


class CounterSpec(TypedDict, total=False):
    value: str


class MetricLabel(TypedDict, total=False):
    key: str
    value: str


class LabelSelector(TypedDict, total=False):
    matchExpressions: list[JsonObject]
    matchLabels: dict[str, str]
