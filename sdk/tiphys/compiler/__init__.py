"""From what an author wrote to Argo YAML."""

from __future__ import annotations

from tiphys.compiler.compile import documents, to_yaml
from tiphys.compiler.emit import emit, emit_all
from tiphys.compiler.load import load, settings_of, split_parameters

__all__ = ["documents", "emit", "emit_all", "load", "settings_of", "split_parameters", "to_yaml"]
