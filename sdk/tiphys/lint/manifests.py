"""The objects inside resource templates: read once, with their place in the workflow's text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from tiphys.argo.decode import Misfit, decode
from tiphys.argo.reader import Document, Path, Problem, ScalarNode, scan_text
from tiphys.argo.schema import table
from tiphys.lazy import regex
from tiphys.lint.model import TemplateView
from tiphys.lint.registry import Issue

if TYPE_CHECKING:
    from tiphys.argo.pod_types import ContainerSpec
    from tiphys.jsontypes import JsonObject

__all__ = ["Manifest", "resource_objects"]

_EXPRESSION = regex(r"\{\{\s*=\s*(.+?)\s*\}\}")
_TAG = regex(r"\{\{[^{}\n]*\}\}")


class Manifest:
    """One object of a manifest. Tags are filled with words of the same length, so that places stay right."""

    def __init__(self, template: TemplateView, document: Document, text: str) -> None:
        self.template = template
        self.document = document
        self.problems: list[Problem] = document.problems
        self.text = text  # as written, with its tags
        data = document.data if isinstance(document.data, dict) else {}
        self.kind = str(data.get("kind") or "")
        self.api = str(data.get("apiVersion") or "")
        group, _, version = self.api.rpartition("/")
        self.reference = table().objects.get(f"{group}/{version}/{self.kind}", "")
        self.misfits: list[Misfit] = []
        self.data: JsonObject = data
        if self.reference:
            partial = self.action not in ("create", "replace")  # apply may complete what exists
            kept, self.misfits = decode(data, self.reference, required=not partial)
            self.data = cast("JsonObject", kept or {})
        elif self.kind == "TFJob":  # of a version that is not served: its rules read it as the one that is
            self.data = cast("JsonObject", decode(data, table().objects["kubeflow.org/v1/TFJob"])[0] or {})

    @property
    def action(self) -> str:
        """What kubectl does with it."""
        return self.template.data["resource"].get("action", "")

    @property
    def label(self) -> str:
        """How messages name it."""
        node = self.document.find(("metadata", "name"))
        name = (
            self.text[node.start.index : node.end.index].strip("\"'") if isinstance(node, ScalarNode) else ""
        )
        return f"{self.template.label}.resource.manifest ({self.kind}{f' {name}' if name else ''})"

    @property
    def path(self) -> Path:
        """The path of the manifest in its workflow."""
        return (*self.template.path, "resource", "manifest")

    def get(self, *steps: str) -> object:
        """What stands at a path of the decoded object, or None."""
        value: object = self.data
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def jobs(self) -> Iterator[tuple[Path, JsonObject]]:
        """The specs of the Jobs of a JobSet, with their paths."""
        items = self.get("spec", "replicatedJobs") if self.kind == "JobSet" else None
        for index, item in enumerate(items if isinstance(items, list) else ()):
            template = item.get("template") if isinstance(item, dict) else None
            spec = template.get("spec") if isinstance(template, dict) else None
            if isinstance(spec, dict):
                yield ("spec", "replicatedJobs", index, "template", "spec"), spec

    def templated(self, *steps: str | int) -> bool:
        """Whether the value at a path holds a tag."""
        node = self.document.find(steps)
        if not isinstance(node, ScalarNode):
            return False
        return "{{" in self.text[node.start.index : node.end.index]

    def issue(self, path: Path, message: str, *, key: bool = False, **more: Any) -> Issue:
        """An issue at a path inside the manifest."""
        line, column = self.document.position(path, key=key)
        return Issue(self.path, message, key=False, at=self.place(line, column), **more)

    def place(self, line: int, column: int) -> tuple[int, int]:
        """A line and column of the manifest's text, in the workflow's text."""
        outer = self.template.workflow.document
        node = outer.find(self.path)
        if not isinstance(node, ScalarNode) or node.style not in ("|", ">"):
            return outer.position(self.path)
        lines = outer.text.split("\n")
        first = node.start.line + 1
        indent = next((len(row) - len(row.lstrip(" ")) for row in lines[first:] if row.strip()), 0)
        return first + line + outer.line_offset, column + indent

    def containers(self) -> Iterator[tuple[Path, ContainerSpec]]:
        """Every container in the object's pod templates, with its path."""
        for path, item in _containers(self.data, ()):
            # of an object that has no type here it may be anything
            known = (
                item
                if self.reference
                else decode(item, table().fields(table().roots["Template"])["container"])[0]
            )
            yield path, cast("ContainerSpec", known)


def _containers(data: object, path: Path) -> Iterator[tuple[Path, JsonObject]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("containers", "initContainers") and isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, dict):
                        yield (*path, key, index), item
            else:
                yield from _containers(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _containers(value, (*path, index))


def resource_objects(template: TemplateView) -> list[Manifest]:
    """The objects in the manifest of a resource template; empty where it is decided at run time."""
    key = ("manifests", template.path)
    found = template.workflow.cache.get(key)
    if not isinstance(found, list):
        text = (template.data.get("resource") or {}).get("manifest", "")
        found = template.workflow.cache[key] = _read(template, text)
    return found


def _read(template: TemplateView, text: str) -> list[Manifest]:
    if not text.strip() or _TAG.fullmatch(text.strip()) or _EXPRESSION.fullmatch(text.strip()):
        return []
    names = {f"inputs.parameters.{item.get('name', '')}" for item in template.inputs("parameters")}

    def fill(match: re.Match[str]) -> str:
        name = match.group(0)[2:-2].strip()
        known = name in names or name.startswith(("workflow.", "pod.", "retries", "lastRetry."))
        return "x" * len(match.group(0)) if known else match.group(0)

    filled = _EXPRESSION.sub(lambda match: "x" * len(match.group(0)), text)
    filled = _TAG.sub(fill, filled)
    found = []
    for document in scan_text(filled):
        start = 0
        for _ in range(document.line_offset):
            start = text.index("\n", start) + 1
        found.append(Manifest(template, document, text[start + (3 if document.line_offset else 0) :]))
    return found
