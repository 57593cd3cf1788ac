"""Artifacts: their paths and where they are kept."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tiphys.argo.reader import Path
from tiphys.lazy import regex
from tiphys.lint.model import TemplateView
from tiphys.lint.registry import Issue, rule

if TYPE_CHECKING:
    from tiphys.argo.types import ArchiveLocation, Artifact

_VALIDATE = "argo-workflows v4.1.2, workflow/validate/validate.go"
_DOTS_AT_END = regex(r"/..\Z")


@rule(
    "L250",
    "artifact-path",
    "error",
    what="An artifact of a template that does work itself (container, script, ...) needs a path inside it.",
    why="The path says where the file is put or taken; `..` could reach outside.",
    source="argo-workflows v4.1.2, Artifact.CleanPath",
    scope="template",
    needs="artifacts",
)
def artifact_path(template: TemplateView) -> Iterator[Issue]:
    if not template.leaf:
        return
    for label, path, item in _artifacts(template):
        place = item.get("path", "")
        if not place:
            words = f"{label}: Artifact {item.get('name', '')!r} did not specify a path"
            yield Issue(path, words, fix="add a path such as /tmp/data")
        elif _escapes(place):
            words = f"{label}: Artifact {item.get('name', '')!r} attempted to use a path containing '..'"
            yield Issue((*path, "path"), words, fix=f"write {posixpath.normpath(place)!r}")


@rule(
    "L251",
    "path-outside-leaf",
    "error",
    what="An artifact of a steps, DAG or suspend template must not have a path.",
    why="Such a template has no file system; its artifacts come from its steps (`from`).",
    source=_VALIDATE,
    scope="template",
    needs="artifacts",
)
def path_outside_leaf(template: TemplateView) -> Iterator[Issue]:
    if template.leaf or not template.type:
        return
    for label, path, item in _artifacts(template):
        if item.get("path"):
            words = f"{label}.path only valid in container/script templates"
            yield Issue((*path, "path"), words, fix="remove the path", key=True)


@rule(
    "L252",
    "from-in-inputs",
    "error",
    what="`from` in an input artifact.",
    why="The caller decides where an input comes from, in its arguments.",
    source=_VALIDATE,
    scope="template",
    needs="artifacts",
)
def from_in_inputs(template: TemplateView) -> Iterator[Issue]:
    for index, item in enumerate(template.inputs("artifacts")):
        if item.get("from"):
            words = f"{template.label}.inputs.artifacts.{item.get('name', '')}.from not valid in inputs"
            path = (*template.path, "inputs", "artifacts", index, "from")
            yield Issue(path, words, fix="move it to the caller's arguments", key=True)


@rule(
    "L253",
    "artifact-location",
    "error",
    what="A git location without a repository, or an HDFS location without addresses or an absolute path.",
    why="The artifact could not be found.",
    source=_VALIDATE,
    scope="template",
    needs="artifact",
)
def artifact_location(template: TemplateView) -> Iterator[Issue]:
    places: list[tuple[str, Path, Artifact | ArchiveLocation]] = []
    for index, item in enumerate(template.inputs("artifacts")):
        path = (*template.path, "inputs", "artifacts", index)
        places.append((f"{template.label}.inputs.artifacts.{item.get('name', '')}", path, item))
    if "archiveLocation" in template.data:
        path = (*template.path, "archiveLocation")
        places.append((f"{template.label}.archiveLocation", path, template.data["archiveLocation"]))
    for label, path, where in places:
        if "git" in where and not where["git"].get("repo"):
            yield Issue((*path, "git"), f"{label}.git.repo is required", fix="add the repository's address")
        if "hdfs" in where:
            place = where["hdfs"]
            if not place.get("addresses"):
                yield Issue((*path, "hdfs"), f"{label}.hdfs.addresses is required")
            elif not place.get("path"):
                yield Issue((*path, "hdfs"), f"{label}.hdfs.path is required")
            elif not place["path"].startswith("/") and "{{" not in place["path"]:
                yield Issue((*path, "hdfs", "path"), f"{label}.hdfs.path must be a absolute file path")


def _artifacts(template: TemplateView) -> Iterator[tuple[str, Path, Artifact]]:
    for way, items in (("inputs", template.inputs("artifacts")), ("outputs", template.outputs("artifacts"))):
        for index, item in enumerate(items):
            label = f"{template.label}.{way}.artifacts.{item.get('name', '')}"
            yield label, (*template.path, way, "artifacts", index), item


def _escapes(path: str) -> bool:
    """Argo's own test: whether `..` leads out of what stands before it."""
    if "/../" in path:
        safe = path[: path.index("/../")]
    else:
        match = _DOTS_AT_END.search(path)
        safe = path[: match.start()] if match else ""
    clean = posixpath.normpath(path)
    return bool(safe) and (not clean.startswith(safe) or len(clean) <= len(safe))
