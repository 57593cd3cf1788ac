"""Sources of workflows: anything that stands for one, made into YAML text and read back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.argo.parameters import declared, named_as_declared
from tiphys.compiler.project import project_of
from tiphys.errors import RefusedError
from tiphys.frozen import frozen

if TYPE_CHECKING:
    from tiphys.argo.reader import Document
    from tiphys.argo.types import GivenObject, Workflow, WorkflowTemplateRef

__all__ = ["RUNNABLE", "Source", "load_source"]

RUNNABLE = ("Workflow", "CronWorkflow", "WorkflowTemplate", "ClusterWorkflowTemplate")
_YAML = (".yaml", ".yml", ".json")


@frozen
class Source:
    """A workflow that is ready to run.

    ``workflow`` is the first runnable document, ``context`` the others (ConfigMaps, Secrets, templates),
    ``parameters`` those for run time, ``text`` the YAML, ``project`` the folder whose packages steps import.
    ``documents`` are all of them with the places of their parts, ``document`` the one that runs.
    """

    workflow: Workflow
    context: list[GivenObject] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""
    project: Path | None = None
    documents: list[Document] = field(default_factory=list, repr=False)
    document: Document | None = field(default=None, repr=False)


def load_source(
    x: Any,
    parameters: Mapping[str, str] | None = None,
    context: Iterable[str | os.PathLike[str]] = (),
    *,
    python_names: bool = False,
) -> Source:
    """Compile or read ``x``: a Pipeline, a Hera workflow, a mapping, ``path.py``, ``module:object`` or YAML.

    It is made once, whatever is given. ``context`` are files with further documents; ``python_names``: a parameter
    ``batch_size`` stands for ``batch-size`` where only that is declared. Raises DefinitionError or RefusedError.
    """
    text, runtime, project, name = _text(x, dict(parameters or {}), python_names)
    from tiphys.argo.reader import read, read_text

    documents = [item for item in read_text(text, file=name) if isinstance(item.data, dict)]
    for file in context:
        documents.extend(item for item in read(Path(file)) if isinstance(item.data, dict))
    objects = [item.data for item in documents]
    found = [item for item in documents if item.kind in RUNNABLE]
    found.sort(key=lambda item: RUNNABLE.index(item.kind))
    if not found:
        kinds = ", ".join(sorted({str(item.get("kind")) for item in objects})) or "nothing"
        raise RefusedError(
            "TIP292",
            f"there is no workflow in {name or 'this'}",
            cause=f"it holds: {kinds}",
            fix=f"give a document of kind {', '.join(RUNNABLE[:-1])} or {RUNNABLE[-1]}",
        )
    first = found[0].data
    if python_names:
        runtime = named_as_declared(runtime, declared(first))
    if first["kind"] in ("WorkflowTemplate", "ClusterWorkflowTemplate"):
        return Source(_of_template(first), objects, runtime, text, project, documents, found[0])
    rest = [item for item in objects if item is not first]
    return Source(first, rest, runtime, text, project, documents, found[0])


def _of_template(template: GivenObject) -> Workflow:
    """The Workflow that `argo submit --from` makes of a template."""
    name = str((template.get("metadata") or {}).get("name") or "template")
    reference: WorkflowTemplateRef = {"name": name}
    if template["kind"] == "ClusterWorkflowTemplate":
        reference["clusterScope"] = True
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"{name}-"},
        "spec": {"workflowTemplateRef": reference},
    }


def _text(
    x: Any, parameters: dict[str, str], python_names: bool
) -> tuple[str, dict[str, str], Path | None, str]:
    """The YAML, the parameters that are left for run time, the project folder, and a name for messages."""
    if isinstance(x, os.PathLike):
        x = os.fspath(x)
    if isinstance(x, str):
        path = Path(x)
        if path.suffix in _YAML:
            from tiphys.argo.reader import text_of

            return text_of(x), parameters, None, x
        from tiphys.compiler.compile import to_yaml
        from tiphys.compiler.load import load_with

        made, runtime = load_with(x, parameters, python_names=python_names)
        file = Path(x.partition(":")[0])
        project = project_of(file) if file.suffix == ".py" else None
        return to_yaml(made), runtime, project, x
    from tiphys.compiler.compile import to_yaml

    return to_yaml(x), parameters, None, ""
