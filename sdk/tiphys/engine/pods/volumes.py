"""What a pod's volumes are on this machine."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tiphys.argo.paths import host_problem, key_problem, label_problem, local_problem
from tiphys.engine.pods.host import Host
from tiphys.engine.runners.base import StartProblem, absolute
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.argo.volume_types import (
        ConfigMapVolume,
        DownwardVolume,
        ProjectedDownward,
        ProjectedObject,
        SecretVolume,
        VolumeSpec,
    )
    from tiphys.engine.pods.environment import Resource

    _Source: TypeAlias = ConfigMapVolume | SecretVolume | ProjectedObject

__all__ = ["SUPPORTED", "Volume", "check_volume", "make_volume"]

_MODE = 0o644  # of a file whose volume gives none
Volume = tuple[Path, bool]  # the folder, and whether it is read-only

SUPPORTED = (
    "persistentVolumeClaim", "emptyDir", "configMap", "secret", "projected", "downwardAPI", "hostPath", "ephemeral",
)  # fmt: skip


def check_volume(volume: VolumeSpec, where: str) -> None:
    """Refuse a kind of volume that has no stand-in."""
    kinds = [key for key in volume if key != "name"]
    for kind in kinds:
        if kind not in SUPPORTED:
            raise RefusedError(
                "TIP223",
                f"volume {volume.get('name')!r} is of kind {kind!r}, which has no local stand-in",
                where=where,
                fix="use a persistentVolumeClaim, emptyDir, configMap or secret",
            )


def make_volume(
    host: Host, volume: VolumeSpec, folder: Path, fields: Mapping[str, str], resource: Resource
) -> Volume:
    """Make the folder of one volume. ``folder``: the pod's own; ``fields`` and ``resource``: what references name.

    Raises StartProblem when a ConfigMap or Secret is missing.
    """
    name = str(volume.get("name", ""))
    _accept("volumes.name", name, label_problem(name))
    if claim := volume.get("persistentVolumeClaim"):
        return host.store.volume(str(claim.get("claimName"))), bool(claim.get("readOnly"))
    if (path := volume.get("hostPath")) is not None:
        # nothing on this machine may be changed: a private folder for the run, seeded by nothing
        where = str(path.get("path", ""))
        _accept(f"volumes ({name}).hostPath.path", where, host_problem(where))
        target = host.folder / "hostpath" / urllib.parse.quote(absolute(where), safe="")
        target.mkdir(parents=True, exist_ok=True)
        return target, False
    target = folder / "volumes" / name
    target.mkdir(parents=True, exist_ok=True)
    if (config := volume.get("configMap")) is not None:
        _project(
            target,
            _keys(host, "ConfigMap", str(config.get("name")), config),
            config,
            config.get("defaultMode"),
        )
        return target, True
    if (secret := volume.get("secret")) is not None:
        _project(
            target,
            _keys(host, "Secret", str(secret.get("secretName")), secret),
            secret,
            secret.get("defaultMode"),
        )
        return target, True
    if (downward := volume.get("downwardAPI")) is not None:
        _downward(target, downward, fields, resource, downward.get("defaultMode"))
        return target, True
    if (projected := volume.get("projected")) is not None:
        mode = projected.get("defaultMode")
        for part in projected.get("sources") or []:
            for kind, inner in (("ConfigMap", part.get("configMap")), ("Secret", part.get("secret"))):
                if inner is not None:
                    _project(target, _keys(host, kind, str(inner.get("name")), inner), inner, mode)
            if (own := part.get("downwardAPI")) is not None:
                _downward(target, own, fields, resource, mode)
        return target, True
    return target, False


def _accept(where: str, value: str, problem: str) -> None:
    """What was written with a tag is known only now."""
    if problem:
        raise StartProblem(f'the pod is invalid: {where}: Invalid value: "{value}": {problem}', phase="Error")


def _keys(host: Host, kind: str, name: str, source: _Source) -> dict[str, bytes]:
    data = host.objects.configmap(name) if kind == "ConfigMap" else host.objects.secret(name)
    if data is None:
        if source.get("optional"):
            return {}
        host.not_given(kind, name)
        raise StartProblem(f'{kind.lower()} "{name}" not found', phase="Error")
    return data


def _project(target: Path, data: Mapping[str, bytes], source: _Source, default: int | None) -> None:
    items = source.get("items")
    mode = int(default or _MODE)
    chosen = (
        [(str(item["key"]), str(item["path"]), int(item.get("mode") or mode)) for item in items]
        if items
        else [(key, key, mode) for key in data]
    )
    for key, path, permissions in chosen:
        if key not in data:
            if source.get("optional"):
                continue
            raise StartProblem(f"references non-existent config key: {key}", phase="Error")
        _accept("volumes.items.path", path, local_problem(path) if items else key_problem(path))
        place = target / path
        _put(target, place, data[key], permissions)


def _downward(
    target: Path,
    source: DownwardVolume | ProjectedDownward,
    fields: Mapping[str, str],
    resource: Resource,
    default: int | None,
) -> None:
    for item in source.get("items") or []:
        path = str((item.get("fieldRef") or {}).get("fieldPath", ""))
        _accept("volumes.items.path", str(item["path"]), local_problem(str(item["path"])))
        place = target / str(item["path"])
        if (amount := item.get("resourceFieldRef")) is not None:
            text = resource(amount)
        elif path in ("metadata.labels", "metadata.annotations"):
            prefix = path + "['"
            text = "\n".join(
                f'{key[len(prefix) : -2]}="{value}"'
                for key, value in fields.items()
                if key.startswith(prefix)
            )
        else:
            text = fields.get(path, "")
        _put(target, place, text.encode(), int(item.get("mode") or default or _MODE))


def _put(target: Path, place: Path, data: bytes, mode: int) -> None:
    """A file is whole or not there: a container that goes on after its engine was killed may be reading it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    whole = target.with_name(f"{target.name}+")  # no volume has such a name
    whole.write_bytes(data)
    whole.chmod(mode)
    whole.replace(place)
