"""Input and output artifacts of a step: from and to the local store, under the keys Argo would use.

The store's bucket (``artifacts/keys``) plays the object store.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tiphys.argo.artifacts import key_of, location_of
from tiphys.engine.pods.host import Host
from tiphys.engine.pods.locations import (
    REMOTE,
    LocationError,
    clone,
    download,
    fetch_object,
    names_a_store,
    over_http,
    upload,
)
from tiphys.engine.runners.base import StartProblem
from tiphys.engine.runners.places import held
from tiphys.errors import StoreError
from tiphys.store.artifacts import Packing, Stored, members

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact


__all__ = ["load_artifact", "save_artifact"]


def save_artifact(
    host: Host,
    artifact: Artifact,
    source: Path,
    *,
    pod: str,
    laid: Mapping[str, Path] | None = None,
) -> Artifact:
    """Store an output artifact; returns it as it is written on the node. ``laid``: what is mounted below it. Raises
    StoreError, or LocationError with what the executor's wait container says."""
    if artifact.get("raw") is not None or artifact.get("git") is not None:
        raise LocationError("key unsupported: cannot get key for artifact location, because it is invalid")
    archive = artifact.get("archive") or {}
    name = str(artifact["name"])
    path = str(artifact.get("path") or "")
    packing: Packing
    if "none" in archive:
        packing, default = "none", PurePosixPath(path).name
    elif "zip" in archive:
        packing, default = "zip", f"{name}.zip"
    else:
        packing, default = "tar", f"{name}.tgz"
    called = PurePosixPath(os.path.normpath(path)).name
    level = (archive.get("tar") or {}).get("compressionLevel")
    result = artifact.copy()
    result.pop("from", None)
    result.pop("fromExpression", None)
    if packing == "none":
        if source.is_symlink():
            _check_links(source, {})
            source = Path(os.path.realpath(source))
        _check_links(source, laid or {})
    key = key_of(artifact)

    def put() -> Stored:
        wanted = 6 if level is None else int(level)
        return host.store.artifacts.put(source, packing, level=wanted, name=called, laid=laid)

    if (place := artifact.get("http")) is not None:
        stored = put()
        upload(host, place, host.store.artifacts.path(stored.digest))
        return result
    if not key:
        key = f"{host.workflow}/{pod}/{default}"
        result.setdefault("s3", {})["key"] = key
    bucket = host.store.bucket
    if packing == "none" and source.is_dir():
        # an object store has no folders: one object a file
        for file, inside in members(source, ".", laid):
            if file.is_file():
                stored = host.store.artifacts.put(file, "none")
                bucket.put(f"{key.rstrip('/')}/{inside[2:]}", stored.digest, stored.size)
        return result
    stored = put()
    bucket.put(key, stored.digest, stored.size)
    return result


def _check_links(source: Path, laid: Mapping[str, Path]) -> None:
    """What is not packed must not lead out of itself: object stores have no links, and what one points to is not
    the step's. Raises LocationError in the executor's words."""
    folder = source.is_dir() and not source.is_symlink()
    own = [Path(os.path.realpath(each)) for each in ([source, *laid.values()] if folder else [source.parent])]
    for path, name in members(source, "." if folder else "", laid):
        if not path.is_symlink():
            continue
        link = os.readlink(path)
        inside = name[2:] if folder else name
        place = os.path.normpath(os.path.join(os.path.dirname(inside), link))
        out = os.path.isabs(link) or place == ".." or place.startswith("../")
        # what is mounted lies elsewhere here: a link out of it would be followed to what is no part of this
        if out or not any(Path(os.path.realpath(path)).is_relative_to(each) for each in own):
            raise LocationError(f"illegal symlink target: {inside} -> {link}")


def load_artifact(host: Host, artifact: Artifact, target: Path) -> None:
    """Lay an input artifact out at ``target``. Raises StartProblem with the text of the failed init container."""
    found = location_of(artifact)
    if found is None:
        if artifact.get("optional"):
            return
        raise StartProblem(f"artifact {artifact.get('name')} has no location", phase="Error")
    kind, _ = found
    mode = int(artifact["mode"]) if artifact.get("mode") is not None else None
    recurse = bool(artifact.get("recurseMode"))
    unpack = "none" not in (artifact.get("archive") or {})
    try:
        if kind == "raw":
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # a link that is there is not written through
                target.unlink()
            with target.open("x", encoding="utf-8") as stream:
                stream.write(str(artifact["raw"].get("data", "")))
            if mode is not None:
                target.chmod(mode)
        elif kind == "http":
            _fetched(host, target, mode, recurse, lambda path: download(host, artifact["http"], path))
        elif kind == "git":
            if target.is_symlink():
                target.unlink()
            clone(host, artifact["git"], target)
        elif kind == "artifactory" and not host.store.bucket.digest(key_of(artifact)):
            place = over_http(artifact["artifactory"])
            _fetched(host, target, mode, recurse, lambda path: download(host, place, path))
        else:
            _from_store(host, kind, artifact, target, mode, recurse, unpack)
    except (OSError, StoreError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and artifact.get("optional"):
            return
        text = f"artifact {artifact.get('name')} failed to load: {error}"
        raise StartProblem(f"init: Error (exit code 64): {text}", phase="Error") from error


def _from_store(
    host: Host,
    kind: str,
    artifact: Artifact,
    target: Path,
    mode: int | None,
    recurse: bool,
    unpack: bool,
) -> None:
    """From the local store, which stands for every object store; else from the one that the artifact names itself."""
    try:
        _from_bucket(host, key_of(artifact), target, mode, recurse, unpack)
    except FileNotFoundError:
        if kind not in REMOTE or not names_a_store(artifact):
            raise
        box = _beside(target)
        box.parent.mkdir(parents=True, exist_ok=True)
        try:
            fetch_object(host, kind, artifact, box)
            if box.is_dir():
                shutil.move(box, target)
            else:
                host.store.artifacts.lay_out(box, target, mode=mode, recurse_mode=recurse, unpack=unpack)
        finally:
            if box.is_file():
                box.unlink()
            shutil.rmtree(box, ignore_errors=True)


def _from_bucket(host: Host, key: str, target: Path, mode: int | None, recurse: bool, unpack: bool) -> None:
    bucket = host.store.bucket
    digest = bucket.digest(key)
    if digest:
        problem = host.store.artifacts.verify(digest)
        if problem:
            raise StoreError("TIP445", problem, where=key)
        host.store.artifacts.get(digest, target, mode=mode, recurse_mode=recurse, unpack=unpack)
        return
    below = bucket.keys(key.rstrip("/") + "/") if key else []
    if not below:
        raise FileNotFoundError("The specified key does not exist.")
    prefix = len(key.rstrip("/")) + 1
    for each in below:
        if ".." in each[prefix:].split("/") or each[prefix:].startswith("/"):
            raise LocationError(f"the key {each!r} leads out of the folder {key!r}")
    if target.is_symlink():
        target.unlink()
    target.mkdir(parents=True, exist_ok=True)
    for each in below:
        with held(each[prefix:], target) as place:
            host.store.artifacts.get(bucket.digest(each), place, mode=mode, unpack=unpack)


def _beside(target: Path) -> Path:
    """A name that no step can have taken before."""
    return target.with_name(f".tiphys-{secrets.token_hex(12)}")


def _fetched(
    host: Host, target: Path, mode: int | None, recurse: bool, fetch: Callable[[Path], None]
) -> None:
    temporary = _beside(target)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch(temporary)
        host.store.artifacts.lay_out(temporary, target, mode=mode, recurse_mode=recurse)
    finally:
        temporary.unlink(missing_ok=True)
