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
    tar: TarArchive
    zip: JsonObject


class TarArchive(TypedDict, total=False):
    compressionLevel: int


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
    auth: HTTPAuth
    headers: list[NameValue]
    saveStreamViaFile: bool
    url: str


class HTTPAuth(TypedDict, total=False):
    basicAuth: BasicAuth
    clientCert: ClientCertificate
    oauth2: OAuth2Client


class BasicAuth(TypedDict, total=False):
    passwordSecret: KeySelector
    usernameSecret: KeySelector


class ClientCertificate(TypedDict, total=False):
    clientCertSecret: KeySelector
    clientKeySecret: KeySelector


class OAuth2Client(TypedDict, total=False):
    clientIDSecret: KeySelector
    clientSecretSecret: KeySelector
    endpointParams: list[OAuth2Parameter]
    scopes: list[str]
    tokenURLSecret: KeySelector


class OAuth2Parameter(TypedDict, total=False):
    key: str
    value: str


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


class HostAlias(TypedDict, total=False):
    hostnames: list[str]
    ip: str


class PodSecurity(TypedDict, total=False):
    appArmorProfile: JsonObject
    fsGroup: int
    fsGroupChangePolicy: str
    runAsGroup: int
    runAsNonRoot: bool
    runAsUser: int
    seLinuxChangePolicy: str
    seLinuxOptions: JsonObject
    seccompProfile: JsonObject
    supplementalGroups: list[int]
    supplementalGroupsPolicy: str
    sysctls: list[NameValue]
    windowsOptions: JsonObject


class ClaimGC(TypedDict, total=False):
    strategy: str


class WorkflowArtifactGC(TypedDict, total=False):
    forceFinalizerRemoval: bool
    podMetadata: Metadata
    podSpecPatch: str
    serviceAccountName: str
    strategy: str


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
    lifecycle: ContainerLifecycle
    livenessProbe: Probe
    name: str
    ports: list[ContainerPort]
    readinessProbe: Probe
    resizePolicy: list[JsonObject]
    resources: ResourceRequirements
    restartPolicy: str
    restartPolicyRules: list[JsonObject]
    securityContext: ContainerSecurity
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
    fieldRef: FieldRef
    fileKeyRef: JsonObject
    resourceFieldRef: ResourceFieldRef
    secretKeyRef: KeySelector


class FieldRef(TypedDict, total=False):
    apiVersion: str
    fieldPath: str


class ResourceFieldRef(TypedDict, total=False):
    containerName: str
    divisor: str | int | float
    resource: str


class EnvFrom(TypedDict, total=False):
    configMapRef: EnvFromObject
    prefix: str
    secretRef: EnvFromObject


class EnvFromObject(TypedDict, total=False):
    name: str
    optional: bool


class VolumeMount(TypedDict, total=False):
    mountPath: str
    mountPropagation: str
    name: str
    readOnly: bool
    recursiveReadOnly: str
    subPath: str
    subPathExpr: str


class ContainerPort(TypedDict, total=False):
    containerPort: int
    hostIP: str
    hostPort: int
    name: str
    protocol: str


class ContainerSecurity(TypedDict, total=False):
    allowPrivilegeEscalation: bool
    appArmorProfile: JsonObject
    capabilities: JsonObject
    privileged: bool
    procMount: str
    readOnlyRootFilesystem: bool
    runAsGroup: int
    runAsNonRoot: bool
    runAsUser: int
    seLinuxOptions: JsonObject
    seccompProfile: JsonObject
    windowsOptions: JsonObject


class Probe(TypedDict, total=False):
    exec: ExecAction
    failureThreshold: int
    grpc: JsonObject
    httpGet: HTTPGetAction
    initialDelaySeconds: int
    periodSeconds: int
    successThreshold: int
    tcpSocket: TCPSocketAction
    terminationGracePeriodSeconds: int
    timeoutSeconds: int


class ContainerLifecycle(TypedDict, total=False):
    postStart: LifecycleHandler
    preStop: LifecycleHandler
    stopSignal: str


class LifecycleHandler(TypedDict, total=False):
    exec: ExecAction
    httpGet: HTTPGetAction
    sleep: SleepAction
    tcpSocket: TCPSocketAction


class ExecAction(TypedDict, total=False):
    command: list[str]


class HTTPGetAction(TypedDict, total=False):
    host: str
    httpHeaders: list[NameValue]
    path: str
    port: int | str
    scheme: str


class TCPSocketAction(TypedDict, total=False):
    host: str
    port: int | str


class SleepAction(TypedDict, total=False):
    seconds: int


class NameValue(TypedDict, total=False):
    name: str
    value: str


class ResourceRequirements(TypedDict, total=False):
    claims: list[JsonObject]
    limits: dict[str, str | int | float]
    requests: dict[str, str | int | float]


class ScriptSpec(ContainerSpec, total=False):
    source: str


class ContainerSet(TypedDict, total=False):
    containers: list[SetContainer]
    retryStrategy: SetRetry
    volumeMounts: list[VolumeMount]


class SetContainer(ContainerSpec, total=False):
    dependencies: list[str]


class SetRetry(TypedDict, total=False):
    duration: str
    retries: int | str


class SideContainer(ContainerSpec, total=False):
    mirrorVolumeMounts: bool


class HTTPTemplate(TypedDict, total=False):
    body: str
    bodyFrom: HTTPBody
    headers: list[HTTPHeader]
    insecureSkipVerify: bool
    method: str
    successCondition: str
    timeoutSeconds: int
    url: str


class HTTPBody(TypedDict, total=False):
    bytes: str


class HTTPHeader(TypedDict, total=False):
    name: str
    value: str
    valueFrom: HTTPHeaderSource


class HTTPHeaderSource(TypedDict, total=False):
    secretKeyRef: KeySelector


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


class ExecutorPlugin(TypedDict, total=False):
    metadata: ObjectMeta
    spec: ExecutorPluginSpec


class ExecutorPluginSpec(TypedDict, total=False):
    sidecar: PluginSidecar


class PluginSidecar(TypedDict, total=False):
    automountServiceAccountToken: bool
    container: SideContainer


class LabelSelector(TypedDict, total=False):
    matchExpressions: list[LabelRequirement]
    matchLabels: dict[str, str]


class LabelRequirement(TypedDict, total=False):
    key: str
    operator: str
    values: list[str]
