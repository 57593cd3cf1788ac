"""The front door: from anything that stands for a workflow to its YAML text, and from there to a run.

What runs, is drawn or linted is always the YAML: a pipeline is compiled to text and the text is read back.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiphys.admission import admit
from tiphys.errors import RefusedError

if TYPE_CHECKING:
    from tiphys.engine import RunOptions, RunResult
    from tiphys.reader import Document

__all__ = ["RUNNABLE", "Source", "load_source", "next_runs", "run", "run_source"]

RUNNABLE = ("Workflow", "CronWorkflow", "WorkflowTemplate", "ClusterWorkflowTemplate")
_YAML = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Source:
    """A workflow that is ready to run.

    ``workflow`` is the first runnable document, ``context`` the others (ConfigMaps, Secrets, templates),
    ``parameters`` those for run time, ``text`` the YAML, ``project`` the folder whose packages steps import.
    ``documents`` are all of them with the places of their parts, ``document`` the one that runs.
    """

    workflow: dict[str, Any]
    context: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    text: str = ""
    project: Path | None = None
    documents: list[Document] = field(default_factory=list, repr=False)
    document: Document | None = field(default=None, repr=False)


def load_source(
    x: Any, parameters: Mapping[str, str] | None = None, context: Iterable[str | os.PathLike[str]] = ()
) -> Source:
    """Compile or read ``x``: a Pipeline, a Hera workflow, a mapping, ``path.py``, ``module:object`` or YAML.

    ``context`` are files with further documents. Raises DefinitionError or RefusedError.
    """
    text, runtime, project, name = _text(x, dict(parameters or {}))
    from tiphys.reader import read, read_text

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
    if first["kind"] in ("WorkflowTemplate", "ClusterWorkflowTemplate"):
        return Source(_of_template(first), objects, runtime, text, project, documents, found[0])
    rest = [item for item in objects if item is not first]
    return Source(first, rest, runtime, text, project, documents, found[0])


def _of_template(template: dict[str, Any]) -> dict[str, Any]:
    """The Workflow that `argo submit --from` makes of a template."""
    name = str((template.get("metadata") or {}).get("name") or "template")
    reference: dict[str, Any] = {"name": name}
    if template["kind"] == "ClusterWorkflowTemplate":
        reference["clusterScope"] = True
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": f"{name}-"},
        "spec": {"workflowTemplateRef": reference},
    }


def _text(x: Any, parameters: dict[str, str]) -> tuple[str, dict[str, str], Path | None, str]:
    """The YAML, the parameters that are left for run time, the project folder, and a name for messages."""
    if isinstance(x, os.PathLike):
        x = os.fspath(x)
    if isinstance(x, str):
        path = Path(x)
        if path.suffix in _YAML:
            from tiphys.reader import text_of

            return text_of(x), parameters, None, x
        from tiphys.compiler import load, split_parameters, to_yaml

        settings, runtime = split_parameters(x, parameters)
        file = Path(x.partition(":")[0])
        project = _project(file) if file.suffix == ".py" else None
        return to_yaml(load(x, settings)), runtime, project, x
    from tiphys.compiler import to_yaml

    return to_yaml(x), parameters, None, ""


def _project(file: Path) -> Path:
    """The nearest folder upwards that looks like a project's root, else the file's own folder."""
    folder = file.resolve().parent
    for candidate in (folder, *folder.parents):
        if (candidate / "pyproject.toml").is_file() or (candidate / ".git").exists():
            return candidate
    return folder


def run(x: Any, *, options: RunOptions | None = None, **parameters: object) -> RunResult:
    """Run ``x`` on this machine and wait for its end.

    Parameters
    ----------
    x:
        A Pipeline, any Hera workflow object, a mapping, ``path.py``, ``module:object`` or a path to YAML.
    options:
        The store, the runner, images, an observer: see :class:`tiphys.engine.RunOptions`.
    parameters:
        The workflow's parameters; underscores stand for dashes (``batch_size=64``).

    Returns
    -------
    RunResult
        ``phase``, ``succeeded`` and ``workflow``, the Workflow object with ``status`` as Argo writes it.

    Raises
    ------
    DefinitionError, RefusedError
        Before anything runs.

    Example
    -------
    >>> result = tiphys.run("pipelines/fashion_mnist.py", epochs=12)  # doctest: +SKIP
    """
    texts = {name: _parameter(value) for name, value in parameters.items()}
    return run_source(load_source(x, _named_as_declared(x, texts)), options)


def run_source(source: Source, options: RunOptions | None = None) -> RunResult:
    """Run what :func:`load_source` returned; a CronWorkflow once, as the run that is due now. See :func:`run`."""
    from tiphys.engine import RunOptions
    from tiphys.engine import run as execute

    chosen = options or RunOptions()
    if source.workflow["kind"] == "CronWorkflow":
        source = _once(source)
    invalid = admit(source, chosen.observer)
    if source.project is not None and not chosen.project:
        chosen = replace(chosen, project=source.project)
    return execute(
        source.workflow,
        parameters=source.parameters,
        options=chosen,
        context=source.context,
        invalid=invalid,
    )


def _once(source: Source) -> Source:
    from tiphys.engine.core.cron import child_workflow

    return replace(source, workflow=child_workflow(source.workflow, time.time()))


def next_runs(source: Source, count: int = 5) -> list[datetime]:
    """Return when the CronWorkflow in ``source`` is due next.

    Raises
    ------
    RefusedError
        TIP265: a schedule cannot be read; TIP299: the workflow it would make is invalid.
    """
    from tiphys.engine.core.cron import next_times

    invalid = admit(_once(source))
    if invalid:
        raise RefusedError(
            "TIP299",
            f"each run of this CronWorkflow would fail: invalid spec: {invalid}",
            where=source.document.file if source.document else "",
            fix="`tiphys lint` tells the line",
        )
    moments = itertools.islice(next_times(source.workflow, time.time()), count)
    return [datetime.fromtimestamp(moment, UTC) for moment in moments]


def _named_as_declared(x: Any, given: dict[str, str]) -> dict[str, str]:
    """``batch_size`` becomes ``batch-size`` where only that is declared."""
    if not any("_" in name for name in given):
        return given
    workflow = load_source(x).workflow
    arguments = (workflow.get("spec") or {}).get("arguments") or {}
    declared = {str(item.get("name")) for item in arguments.get("parameters") or []}

    def name_of(name: str) -> str:
        dashed = name.replace("_", "-")
        return dashed if name not in declared and dashed in declared else name

    return {name_of(name): value for name, value in given.items()}


def _parameter(value: object) -> str:
    """A parameter as Argo's text: true/false, numbers and strings as they are, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None or not isinstance(value, int | float):
        return json.dumps(value)
    return str(value)
