"""What the pod of one step has that others have not: its account, labels, volumes, and any field of Kubernetes."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from tiphys.compiler.line import Site, caller
from tiphys.dsl.names import check_label, check_label_key, check_mount_path, check_object_name
from tiphys.dsl.pod import Volume
from tiphys.dsl.pod_fields import check_pod
from tiphys.dsl.resources import check_quantity
from tiphys.errors import DefinitionError

if TYPE_CHECKING:
    from tiphys.argo.pod_types import HostAlias, VolumeMount
    from tiphys.argo.volume_types import VolumeSpec
    from tiphys.jsontypes import JsonObject

__all__ = ["PodSettings", "Scratch"]

_Pairs = Mapping[str, str] | tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder of the pod's own at ``path``, empty at its start and gone at its end.

    ``on="node"``: on the node's disk; ``"memory"``: in memory, which counts as the container's; ``"claim"``: a volume
    of ``size`` that is made for the pod, of the cluster's usual ``storage_class`` or another.

    Raises DefinitionError: TIP101 for a path that is none, TIP104 for a claim without a size, TIP109 for no quantity.
    """

    path: str
    size: str = ""
    on: Literal["node", "memory", "claim"] = "node"
    storage_class: str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_mount_path(self.path, "a Scratch", self.site)
        if self.size:
            check_quantity("size", self.size, self.site)
        if self.on not in ("node", "memory", "claim"):
            raise self._wrong("TIP109", f"on={self.on!r}", 'give "node", "memory" or "claim"')
        if self.on == "claim" and not self.size:
            raise self._wrong(
                "TIP104", "a claim needs a size", f'write Scratch({self.path!r}, "10Gi", on="claim")'
            )
        if self.storage_class:
            if self.on != "claim":
                raise self._wrong("TIP105", "only a claim has a storage class", 'add on="claim"')
            check_object_name(self.storage_class, "a storage class", self.site)

    def _wrong(self, code: str, what: str, fix: str) -> DefinitionError:
        return DefinitionError(code, f"the Scratch at {self.path}: {what}", where=str(self.site), fix=fix)

    @property
    def mount_path(self) -> str:
        return self.path

    def volume(self, name: str) -> VolumeSpec:
        if self.on == "claim":
            claim: JsonObject = {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": self.size}},
            }
            if self.storage_class:
                claim["storageClassName"] = self.storage_class
            return {"name": name, "ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
        made: JsonObject = {"medium": "Memory"} if self.on == "memory" else {}
        if self.size:
            made["sizeLimit"] = self.size
        return {"name": name, "emptyDir": made}

    def mount(self, name: str) -> VolumeMount:
        return {"name": name, "mountPath": self.path}


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the pod of a step has beside its image, resources, secrets and scheduling.

    ``service_account`` is its account; the author's code gets a token of it only with ``token=True`` (the account must
    then be allowed what Argo's executor does: manifests/base). ``labels`` and ``annotations`` are the pod's;
    ``volumes`` are claims and :class:`Scratch` that only this step has; ``host_aliases`` are names for addresses,
    ``{"10.0.0.7": ["db"]}``. ``patch`` is any part of a pod's spec, as Kubernetes has it: it is merged into the pod as
    the last, containers by their names (the step's own is ``main``).

    Raises DefinitionError: TIP101 for names, labels and paths that Kubernetes refuses, TIP103 and TIP105 for fields of
    ``patch`` that a pod does not have.
    """

    service_account: str = ""
    token: bool = False
    labels: _Pairs = ()
    annotations: _Pairs = ()
    volumes: Sequence[Volume | Scratch] = ()
    host_aliases: Mapping[str, Sequence[str]] | tuple[tuple[str, tuple[str, ...]], ...] = ()
    patch: Mapping[str, object] | str = ""
    site: Site = field(default_factory=caller, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.service_account:
            check_object_name(self.service_account, "a service account", self.site)
        for name in ("labels", "annotations"):
            object.__setattr__(self, name, self._pairs(name))
        object.__setattr__(self, "volumes", self._own_volumes())
        object.__setattr__(self, "host_aliases", self._aliases())
        if self.patch and not isinstance(self.patch, Mapping | str):
            raise self._another("patch", '{"dnsPolicy": "Default"}')
        if isinstance(self.patch, Mapping):
            object.__setattr__(self, "patch", check_pod(self.patch, "patch", self.site))

    def _pairs(self, name: str) -> tuple[tuple[str, str], ...]:
        given = getattr(self, name)
        if not isinstance(given, Mapping | tuple):
            raise self._another(name, '{"team": "vision"}')
        pairs = tuple(sorted(given.items())) if isinstance(given, Mapping) else given
        for key, value in pairs:
            check_label_key(key, f"the {name} of a pod", self.site)
            if not isinstance(value, str):
                raise self._another(name, f'{{"{key}": "{value}"}}: values are text')
            if name == "labels":
                check_label(value, f"the label {key!r}", self.site)
        return pairs

    def _own_volumes(self) -> tuple[Volume | Scratch, ...]:
        given = self.volumes
        if isinstance(given, Volume | Scratch):
            return (given,)
        several = isinstance(given, Sequence) and not isinstance(given, str)
        if not several or not all(isinstance(each, Volume | Scratch) for each in given):
            raise self._another("volumes", '[Volume("datasets"), Scratch("/scratch", "20Gi")]')
        return tuple(given)

    def _aliases(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        given = self.host_aliases
        fix = '{"10.0.0.7": ["db.example"]}'
        if not isinstance(given, Mapping | tuple):
            raise self._another("host_aliases", fix)
        pairs = given.items() if isinstance(given, Mapping) else given
        for _, names in pairs:
            if isinstance(names, str) or not all(isinstance(each, str) for each in names):
                raise self._another("host_aliases", fix)
        for address, _ in pairs:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise self._another("host_aliases", f"{fix}: {address!r} is no address") from None
        return tuple((address, tuple(names)) for address, names in pairs)

    def _another(self, name: str, fix: str) -> DefinitionError:
        given = getattr(self, name)
        return DefinitionError(
            "TIP105", f"PodSettings({name}={given!r})", where=str(self.site), fix=f"write {name}={fix}"
        )

    def aliases(self) -> list[HostAlias]:
        pairs = cast("tuple[tuple[str, tuple[str, ...]], ...]", self.host_aliases)  # since it was made
        return [{"ip": address, "hostnames": [*names]} for address, names in pairs]
