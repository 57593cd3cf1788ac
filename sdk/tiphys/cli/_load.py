"""A ``FILE|PIPELINE`` of the command line: Argo YAML, or a pipeline that is compiled first.

What runs, is drawn or linted is always the YAML: a pipeline is compiled to text and the text is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiphys.errors import RefusedError

__all__ = ["RUNNABLE", "Loaded", "load_text", "load_workflow"]

RUNNABLE = ("Workflow", "CronWorkflow", "WorkflowTemplate", "ClusterWorkflowTemplate")


@dataclass(frozen=True)
class Loaded:
    """The first runnable document, the others (ConfigMaps, templates), and the run-time parameters."""

    workflow: dict[str, Any]
    context: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""
    project: Path | None = None  # the folder whose packages the steps import


def load_workflow(
    source: str, parameters: Mapping[str, str], context_files: tuple[str, ...] | list[str] = ()
) -> Loaded:
    """Read or compile ``source``. Raises RefusedError or DefinitionError."""
    text, runtime, project = load_text(source, parameters)
    from tiphys.reader import read, read_text

    documents = [document.data for document in read_text(text, file=source)]
    for file in context_files:
        documents.extend(document.data for document in read(Path(file)))
    objects = [item for item in documents if isinstance(item, dict)]
    found = [item for item in objects if item.get("kind") in RUNNABLE]
    found.sort(key=lambda item: RUNNABLE.index(item["kind"]))
    if not found:
        kinds = ", ".join(sorted({str(item.get("kind")) for item in objects})) or "nothing"
        raise RefusedError(
            "TIP292",
            f"there is no workflow in {source}",
            cause=f"it holds: {kinds}",
            fix=f"give a file with a document of kind {', '.join(RUNNABLE[:-1])} or {RUNNABLE[-1]}",
        )
    workflow = found[0]
    return Loaded(workflow, [item for item in objects if item is not workflow], runtime, text, project)


def load_text(source: str, parameters: Mapping[str, str]) -> tuple[str, dict[str, str], Path | None]:
    """The YAML of ``source``, the parameters that are left for run time, and the project folder."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml", ".json"):
        from tiphys.reader import text_of

        return text_of(source), dict(parameters), None
    from tiphys.compiler import load, split_parameters, to_yaml

    settings, runtime = split_parameters(source, dict(parameters))
    return to_yaml(load(source, settings)), runtime, path.resolve().parent.parent if path.is_file() else None
