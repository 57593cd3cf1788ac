"""Volumes and claims, as types: written by scripts/argo_types.py from Argo 4.1.2's schema, not by hand.

Every field may be absent: that is how Argo's own Go types are written (``omitempty``). ``JsonObject`` stands for a part
that no code here looks into by name. Only type checkers read this: import it under ``TYPE_CHECKING``.
"""

from __future__ import annotations

from typing import TypedDict

from tiphys.argo.pod_types import FieldRef, LabelSelector, ObjectMeta, ResourceFieldRef
from tiphys.jsontypes import JsonObject


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
    configMap: ConfigMapVolume
    csi: JsonObject
    downwardAPI: DownwardVolume
    emptyDir: JsonObject
    ephemeral: JsonObject
    fc: JsonObject
    flexVolume: JsonObject
    flocker: JsonObject
    gcePersistentDisk: JsonObject
    gitRepo: JsonObject
    glusterfs: JsonObject
    hostPath: HostPathVolume
    image: JsonObject
    iscsi: JsonObject
    name: str
    nfs: JsonObject
    persistentVolumeClaim: ClaimVolume
    photonPersistentDisk: JsonObject
    portworxVolume: JsonObject
    projected: ProjectedVolume
    quobyte: JsonObject
    rbd: JsonObject
    scaleIO: JsonObject
    secret: SecretVolume
    storageos: JsonObject
    vsphereVolume: JsonObject


class ConfigMapVolume(TypedDict, total=False):
    defaultMode: int
    items: list[KeyToPath]
    name: str
    optional: bool


class SecretVolume(TypedDict, total=False):
    defaultMode: int
    items: list[KeyToPath]
    optional: bool
    secretName: str


class KeyToPath(TypedDict, total=False):
    key: str
    mode: int
    path: str


class ClaimVolume(TypedDict, total=False):
    claimName: str
    readOnly: bool


class HostPathVolume(TypedDict, total=False):
    path: str
    type: str


class DownwardVolume(TypedDict, total=False):
    defaultMode: int
    items: list[DownwardFile]


class DownwardFile(TypedDict, total=False):
    fieldRef: FieldRef
    mode: int
    path: str
    resourceFieldRef: ResourceFieldRef


class ProjectedVolume(TypedDict, total=False):
    defaultMode: int
    sources: list[ProjectedSource]


class ProjectedSource(TypedDict, total=False):
    clusterTrustBundle: JsonObject
    configMap: ProjectedObject
    downwardAPI: ProjectedDownward
    podCertificate: JsonObject
    secret: ProjectedObject
    serviceAccountToken: JsonObject


class ProjectedObject(TypedDict, total=False):
    items: list[KeyToPath]
    name: str
    optional: bool


class ProjectedDownward(TypedDict, total=False):
    items: list[DownwardFile]
