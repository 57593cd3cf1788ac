"""Whether the files that a pipeline takes from elsewhere can be had on this machine: asked before anything runs."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.artifacts import key_of, location_of
from tiphys.argo.spec import calls, every_template, written
from tiphys.engine.pods.locations import REMOTE, names_a_store
from tiphys.errors import RefusedError
from tiphys.step.files import INPUTS
from tiphys.store.bucket import Bucket, stored_key

if TYPE_CHECKING:
    from tiphys.argo.types import Artifact, Workflow

__all__ = ["check_sources"]


def check_sources(workflow: Workflow, bucket: Bucket) -> None:
    """Refuse (RefusedError TIP449) a source that this machine certainly does not have: an object that is not in the
    store where nothing can fetch it, or a repository without git.

    What is decided while running (a key with a tag, a step with a condition, an optional file) is not asked for, and
    YAML that nobody here wrote ends as Argo ends it.
    """
    if not _ours(workflow):
        return
    made = list(_made(workflow))
    for where, artifact in _taken(workflow):
        kind, _ = location_of(artifact) or ("", {})
        key = stored_key(artifact)
        if kind == "git":
            if shutil.which("git") is None:
                raise _missing(where, "git is not installed on this machine", "install git")
        elif key and "{{" not in key and not _has(bucket, key) and not _covers(made, key):
            if not names_a_store(artifact):
                raise _missing(
                    where,
                    f"the store of this machine has no object {key!r}",
                    "run the pipeline that makes it in the same store, or say where it lies: "
                    'S3("bucket", "key", endpoint=…)',
                )
            _, package = REMOTE.get(kind, ("", ""))
            if package and importlib.util.find_spec(package) is None:
                raise _missing(
                    where,
                    f"{key!r} is not in the store of this machine, and {package} is not installed to fetch it",
                    f"pip install 'tiphys[{kind}]'",
                )


def _ours(workflow: Workflow) -> bool:
    """Whether a step finds its files where those of Tiphys do."""
    return any(
        str(artifact.get("path")).startswith(f"{INPUTS}/")
        for _, template in every_template((workflow.get("spec") or {}).get("templates"))
        for artifact in (template.get("inputs") or {}).get("artifacts") or []
    )


def _missing(where: str, cause: str, fix: str) -> RefusedError:
    return RefusedError(
        "TIP449", "a file that a step takes cannot be had here", where=where, cause=cause, fix=fix
    )


def _has(bucket: Bucket, key: str) -> bool:
    return bool(bucket.digest(key) or bucket.keys(key.rstrip("/") + "/"))


def _covers(made: list[str], key: str) -> bool:
    """Whether a step of this workflow may put something there."""
    return any("{{" in each or each == key or each.startswith(key.rstrip("/") + "/") for each in made)


def _made(workflow: Workflow) -> Iterator[str]:
    """The keys under which steps store what they return."""
    for _, template in every_template((workflow.get("spec") or {}).get("templates")):
        for artifact in (template.get("outputs") or {}).get("artifacts") or []:
            if key := key_of(artifact):
                yield key


def _taken(workflow: Workflow) -> Iterator[tuple[str, Artifact]]:
    """The artifacts with a place that tasks are given, or templates say themselves, with where that is written."""
    spec = workflow.get("spec") or {}
    for path, template in every_template(spec.get("templates")):
        where = f"spec.{written(path)} ({template.get('name')})"
        for call in calls(template):
            if call.holder.get("when"):
                continue
            for artifact in (call.holder.get("arguments") or {}).get("artifacts") or []:
                if not artifact.get("optional"):
                    yield f"{where}: {call.holder.get('name')}({artifact.get('name')}=…)", artifact
