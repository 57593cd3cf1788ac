"""The objects inside resource templates: read once, with their place in the workflow's text."""

from __future__ import annotations

import re

from tiphys.lint.model import Template
from tiphys.reader import Document, scan_text

__all__ = ["Manifest", "resource_objects"]

_EXPRESSION = re.compile(r"\{\{\s*=\s*(.+?)\s*\}\}")
_TAG = re.compile(r"\{\{[^{}\n]*\}\}")


class Manifest:
    """One object of a manifest: ``data`` with expressions replaced by a word."""

    __slots__ = ("document", "problems", "template")

    def __init__(self, template: Template, document: Document) -> None:
        self.template = template
        self.document = document
        self.problems = document.problems


def resource_objects(template: Template) -> list[Manifest]:
    """The objects in the manifest of a resource template; empty where it is decided at run time."""
    cached = template.workflow.cache.setdefault("manifests", {})
    if template.path not in cached:
        text = (template.data.get("resource") or {}).get("manifest", "")
        cached[template.path] = _read(template, text)
    found: list[Manifest] = cached[template.path]
    return found


def _read(template: Template, text: str) -> list[Manifest]:
    if not text.strip() or _TAG.fullmatch(text.strip()) or _EXPRESSION.fullmatch(text.strip()):
        return []
    text = _EXPRESSION.sub("expression", text)
    names = {f"inputs.parameters.{item.get('name', '')}" for item in template.inputs("parameters")}

    def fill(match: re.Match[str]) -> str:
        name = match.group(0)[2:-2].strip()
        known = name in names or name.startswith(("workflow.", "pod.", "retries", "lastRetry."))
        return "placeholder" if known else match.group(0)

    text = _TAG.sub(fill, text)
    return [Manifest(template, document) for document in scan_text(text)]
