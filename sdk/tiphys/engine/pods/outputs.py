"""Collecting what a finished step leaves: output parameters and artifacts, by Argo's rules."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tiphys.argo.any_string import any_string
from tiphys.engine.pods.artifacts import save_artifact
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.locations import LocationError
from tiphys.engine.runners.base import Container, StartProblem, absolute
from tiphys.errors import StoreError
from tiphys.reference import open_file
from tiphys.store.artifacts import Unreadable

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, Outputs, Template, ValueFrom, WorkflowSpec


__all__ = ["REQUEST_LIMIT", "RESULT_LIMIT", "archives_logs", "collect", "has_artifacts", "trim_result"]

RESULT_LIMIT = 256 * 1024  # bytes of stdout that outputs.result keeps
REQUEST_LIMIT = 3 << 19  # bytes that etcd takes in one request: all parameters of a node, or a manifest


class Missing(Exception):
    """An output that is not there; the text is what the executor's wait container ends with."""


def has_artifacts(template: Template) -> bool:
    """Whether outputs must be packed (work for a thread)."""
    return bool((template.get("outputs") or {}).get("artifacts"))


def archives_logs(template: Template, spec: WorkflowSpec) -> bool:
    """Whether ``archiveLogs`` is set, of the template before the workflow."""
    for own in ((template.get("archiveLocation") or {}).get("archiveLogs"), spec.get("archiveLogs")):
        if own is not None:
            return bool(own)
    return False


def collect(
    host: Host,
    template: Template,
    container: Container | None,
    *,
    pod: str,
    logs: Path | None = None,
) -> tuple[Outputs, str]:
    """The node's outputs and, when something is missing, the message of the failed wait container.

    ``logs``: the log to keep as the artifact ``main-logs`` (``archiveLogs``). Parameters that were found are
    returned even then. Raises StoreError when the store cannot be written, StartProblem when a file may not be read.
    """
    declared = template.get("outputs") or {}
    outputs: Outputs = {}
    problem = ""
    if (parameters := declared.get("parameters")) is not None:
        values = []
        room = REQUEST_LIMIT
        for parameter in parameters:
            item = copy.deepcopy(parameter)
            source: ValueFrom = item.get("valueFrom") or {}
            if source.get("path") and container is not None:
                try:
                    item["value"] = _read(container, str(source["path"]), room)
                    room -= len(item["value"])
                except Missing as error:
                    if source.get("default") is not None:
                        item["value"] = any_string(source["default"])
                    else:
                        problem = problem or str(error)
            elif "value" not in item and source.get("default") is not None and "path" in source:
                item["value"] = any_string(source["default"])
            values.append(item)
        outputs["parameters"] = values
    artifacts: list[Artifact] = []
    errors = []
    for artifact in declared.get("artifacts") or []:
        path = artifact.get("path")
        if not path or container is None:
            artifacts.append(artifact.copy())
            continue
        place = _place(container, str(path), plain="none" in (artifact.get("archive") or {}))
        if place is None:
            if not artifact.get("optional"):
                errors.append(
                    f"open /var/run/argo/outputs/artifacts{absolute(str(path))}.tgz: no such file or directory"
                )
            continue
        try:
            laid = container.below(absolute(str(path)))
            artifacts.append(save_artifact(host, artifact, place, pod=pod, laid=laid))
        except LocationError as error:
            errors.append(str(error))
        except Unreadable as error:
            raise _unpacked(container.name, absolute(str(path)), error.name) from error
    if logs is not None and logs.is_file():
        key = f"{host.workflow}/{pod}/main.log"
        stored = host.store.artifacts.put(logs, "none")
        host.store.bucket.put(key, stored.digest, stored.size)
        artifacts.append({"name": "main-logs", "s3": {"key": key}})
    if artifacts:
        outputs["artifacts"] = artifacts
    if errors:
        problem = problem or "".join(f"{error}; " for error in errors)
    return outputs, problem


def _unpacked(name: str, path: str, file: str) -> StartProblem:
    """It is the main container's own process that packs, and ends so."""
    place = f"/var/run/argo/outputs/artifacts{path}.tgz"
    why = f"open {os.path.join(os.path.dirname(path), file)}: permission denied"
    text = f"{name}: Error (exit code 64): failed to tarball the output {path} to {place}: {why}"
    return StartProblem(text, code=64)


def trim_result(data: bytes) -> str:
    """stdout as ``outputs.result``: the last 256 kB, one trailing newline cut."""
    text = data[-RESULT_LIMIT:].decode(errors="replace")
    return text[:-1] if text.endswith("\n") else text


def _place(container: Container, path: str, *, plain: bool) -> Path | None:
    """Where an output is, or None. Of a link to a file the file is kept, and of one to a folder the link, as by the
    executor; a volume's link that is not packed stays one, too."""
    path = absolute(path)
    target = _seen(container, path)
    if target is None or not target.exists():
        return None
    volume = any(f"{path}/".startswith(f"{mount.path.rstrip('/')}/") for mount in container.mounts)
    if target.is_file() and not (plain and volume):
        return Path(os.path.realpath(target))
    # a folder, or the link to it
    return container.found(path, follow=False) if target != Path(path) and container.confined else target


def _seen(container: Container, path: str) -> Path | None:
    """What the step saw at a path: what is its own, made or mounted, else what its runner shows it of the image, never
    the empty folder in which that is mounted. A link that the step made must not lead to what the step could not see;
    a plain process sees this machine's files anyway."""
    place: Path | None
    if container.confined:
        place = container.found(path)
    else:
        place = container.on_host(path)
        place = place if place.exists() else None
    if path not in container.shown:
        return place
    # a folder that was made for what is declared below it is not the step's
    above = any(absolute(each).startswith(f"{path}/") for each in [*container.declared, container.workdir])
    if place is None or (above and not any(each.is_symlink() or not each.is_dir() for each in _all(place))):
        return Path(path)
    return place


def _all(place: Path) -> Iterator[Path]:
    yield place
    yield from place.rglob("*")


def _read(container: Container, path: str, room: int) -> str:
    """A parameter's file, of ``room`` bytes at most."""
    place = _seen(container, absolute(path))
    try:
        if place is None:
            raise FileNotFoundError(path)
        with open_file(place, follow=not container.confined) as stream:
            data = stream.read(room + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        shown = f"/var/run/argo/outputs/parameters{absolute(path)}"
        raise Missing(f"open {shown}: no such file or directory") from error
    except IsADirectoryError as error:
        raise Missing(f"read /var/run/argo/outputs/parameters{absolute(path)}: is a directory") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError("TIP446", f"output {path} cannot be read: {why}", where=str(place)) from error
    if len(data) > room:
        raise StoreError(
            "TIP446",
            f"output {path} cannot be kept: the parameters of a node hold {REQUEST_LIMIT} bytes at most",
            where=str(place),
            cause="a cluster has no room for more: etcdserver: request is too large",
            fix="write it as an artifact",
        )
    text = data.decode(errors="replace")
    return text[:-1] if text.endswith("\n") else text
