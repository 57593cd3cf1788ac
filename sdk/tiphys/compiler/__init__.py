"""From what an author wrote to Argo YAML."""

from __future__ import annotations

from tiphys.compiler.compile import documents, to_yaml
from tiphys.compiler.emit import emit, emit_all
from tiphys.compiler.load import load, load_with

__all__ = ["documents", "emit", "emit_all", "load", "load_with", "to_yaml"]
