"""Input and output artifacts of a step: from and to the local store, under the keys Argo would use.

The store's bucket (``artifacts/keys``) plays the object store.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tiphys.engine.runners.base import StartProblem
from tiphys.engine.runners.host import Host
from tiphys.errors import StoreError

__all__ = ["LOCATIONS", "key_of", "load_artifact", "location_of", "save_artifact"]

Json = Any
LOCATIONS = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "raw", "http", "git", "plugin")


def location_of(artifact: Mapping[str, Json]) -> tuple[str, Mapping[str, Json]] | None:
    """The kind of place an artifact names, with its settings."""
    for kind in LOCATIONS:
        if artifact.get(kind) is not None:
            return kind, artifact[kind]
    return None


def key_of(artifact: Mapping[str, Json]) -> str:
    """The key (or path) of an artifact in its store; empty when it has none."""
    found = location_of(artifact)
    if found is None:
        return ""
    kind, settings = found
    field = {"hdfs": "path", "artifactory": "url", "azure": "blob"}.get(kind, "key")
    return str(settings.get(field) or "")


def save_artifact(host: Host, artifact: Mapping[str, Json], source: Path, *, pod: str) -> dict[str, Json]:
    """Store an output artifact; returns it as it is written on the node. Raises StoreError."""
    archive = artifact.get("archive") or {}
    name = str(artifact["name"])
    path = str(artifact.get("path") or "")
    if "none" in archive:
        packing, default = "none", PurePosixPath(path).name
    elif "zip" in archive:
        packing, default = "zip", f"{name}.zip"
    else:
        packing, default = "tar", f"{name}.tgz"
    level = (archive.get("tar") or {}).get("compressionLevel")
    result = {key: value for key, value in artifact.items() if key not in ("from", "fromExpression")}
    key = key_of(artifact)
    if not key:
        key = f"{host.workflow}/{pod}/{default}"
        result.setdefault("s3", {})["key"] = key
    bucket = host.store.bucket
    if packing == "none" and source.is_dir():
        # an object store has no folders: one object a file
        for file in sorted(each for each in source.rglob("*") if each.is_file()):
            stored = host.store.artifacts.put(file, "none")
            bucket.put(f"{key.rstrip('/')}/{file.relative_to(source).as_posix()}", stored.digest, stored.size)
        return result
    stored = host.store.artifacts.put(source, packing, level=6 if level is None else int(level))  # type: ignore[arg-type]
    bucket.put(key, stored.digest, stored.size)
    return result


def load_artifact(host: Host, artifact: Mapping[str, Json], target: Path) -> None:
    """Lay an input artifact out at ``target``. Raises StartProblem with the text of the failed init container."""
    found = location_of(artifact)
    if found is None:
        if artifact.get("optional"):
            return
        raise StartProblem(f"artifact {artifact.get('name')} has no location", phase="Error")
    kind, settings = found
    mode = int(artifact["mode"]) if artifact.get("mode") is not None else None
    recurse = bool(artifact.get("recurseMode"))
    try:
        if kind == "raw":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(str(settings.get("data", "")))
            if mode is not None:
                target.chmod(mode)
        elif kind == "http":
            _fetched(host, target, mode, recurse, lambda path: _download(settings, path))
        elif kind == "git":
            _clone(settings, target)
        elif kind == "artifactory" and not host.store.bucket.digest(key_of(artifact)):
            _fetched(host, target, mode, recurse, lambda path: _download(settings, path))
        else:
            _from_bucket(host, key_of(artifact), target, mode, recurse)
    except (OSError, StoreError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and artifact.get("optional"):
            return
        text = f"artifact {artifact.get('name')} failed to load: {error}"
        raise StartProblem(f"init: Error (exit code 64): {text}", phase="Error") from error


def _from_bucket(host: Host, key: str, target: Path, mode: int | None, recurse: bool) -> None:
    bucket = host.store.bucket
    digest = bucket.digest(key)
    if digest:
        problem = host.store.artifacts.verify(digest)
        if problem:
            raise StoreError("TIP445", problem, where=key)
        host.store.artifacts.get(digest, target, mode=mode, recurse_mode=recurse)
        return
    below = bucket.keys(key.rstrip("/") + "/") if key else []
    if not below:
        raise FileNotFoundError("The specified key does not exist.")
    prefix = len(key.rstrip("/")) + 1
    for each in below:
        host.store.artifacts.get(bucket.digest(each), target / each[prefix:], mode=mode)


def _fetched(
    host: Host, target: Path, mode: int | None, recurse: bool, fetch: Callable[[Path], None]
) -> None:
    temporary = target.with_name(f".{target.name}.download")
    temporary.parent.mkdir(parents=True, exist_ok=True)
    try:
        fetch(temporary)
        host.store.artifacts.lay_out(temporary, target, mode=mode, recurse_mode=recurse)
    finally:
        temporary.unlink(missing_ok=True)


def _download(settings: Mapping[str, Json], path: Path) -> None:
    import urllib.request  # rarely wanted, and slow to import

    url = str(settings.get("url", ""))
    if not url.startswith(("http://", "https://")):
        raise OSError(f"unsupported URL {url!r}")
    headers = {str(item["name"]): str(item["value"]) for item in settings.get("headers") or []}
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer, path.open("wb") as stream:
        shutil.copyfileobj(answer, stream, 1 << 20)


def _clone(settings: Mapping[str, Json], target: Path) -> None:
    if shutil.which("git") is None:
        raise OSError("git is not installed on this machine")
    repository, revision = str(settings.get("repo", "")), str(settings.get("revision") or "")
    if repository.startswith("-") or revision.startswith("-"):
        raise OSError(f"refused git repository {repository!r}")
    command = ["git", "clone", "--quiet"]
    if depth := settings.get("depth"):
        command += ["--depth", str(int(depth))]
    if settings.get("singleBranch") and settings.get("branch"):
        command += ["--single-branch", "--branch", str(settings["branch"])]
    target.parent.mkdir(parents=True, exist_ok=True)
    for step in (
        [*command, "--", repository, str(target)],
        ["git", "-C", str(target), "checkout", "-q", revision],
    ):
        if step[-1]:
            done = subprocess.run(step, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                raise OSError(done.stderr.strip() or f"git failed with code {done.returncode}")
