"""From anything that stands for a workflow to Argo's objects, and to their YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiphys.compiler.emit import emit_all
from tiphys.compiler.load import load
from tiphys.compiler.objects import objects_of
from tiphys.garbage import never_collected

__all__ = ["documents", "to_yaml"]


def to_yaml(x: Any) -> str:
    """The YAML of ``x``: a Pipeline, a Hera workflow (of any kind), a mapping, a list of mappings, or a path.

    The result may have several documents: ConfigMaps with the limits of semaphores come first, since their
    keys must exist before the run, then the workflow. The bytes are the same every time. Raises
    DefinitionError.
    """
    with never_collected():
        return emit_all(documents(x), typed=True)


def documents(x: Any) -> list[dict[str, Any]]:
    """The Argo and Kubernetes objects of ``x`` as mappings, in the order of the YAML."""
    if isinstance(x, (str, Path)):
        return _from_path(Path(x))
    if isinstance(x, (list, tuple)):
        return [document for item in x for document in documents(item)]
    return objects_of(x)


def _from_path(path: Path) -> list[dict[str, Any]]:
    if path.suffix in (".yaml", ".yml", ".json"):
        from tiphys.argo.reader import read_file

        return [document.data for document in read_file(path) if document.data is not None]
    return documents(load(str(path), {}))
