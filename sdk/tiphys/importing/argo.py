"""Argo's Workflows, WorkflowTemplates and CronWorkflows as Python: each document a Pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tiphys.argo.reader import Document, read_file, read_text
from tiphys.errors import RefusedError
from tiphys.importing.argo_document import DocumentWriter
from tiphys.importing.check import differences
from tiphys.importing.python_text import imports_of, lines_of
from tiphys.importing.told import Imported, Notes
from tiphys.jsontypes import JsonObject

__all__ = ["import_argo"]

KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")


def import_argo(source: str | os.PathLike[str]) -> Imported:
    """The Python of the workflows in a YAML file (or in a text with a line break).

    The graph, its values, order, conditions and loops are said in words of ours; what has no word stays in Argo's
    (``argo_template``, ``raw``, ``patch=``), and is told with its line. What is written is compiled and compared with
    the source before it is given, and what differs is told, too: nothing is lost silently.

    Raises
    ------
    RefusedError
        TIP201 to TIP207 the file cannot be read; TIP247 there is no workflow in it, or one without templates.
    """
    text = isinstance(source, str) and "\n" in source
    documents = read_text(str(source)) if text else read_file(source)
    file = "<text>" if text else os.fspath(source)
    found = [each for each in documents if each.kind in KINDS and isinstance(each.data, dict)]
    notes = Notes()
    for each in documents:
        if each not in found:
            line, _ = each.position(())
            notes.add(
                "dropped", line, f"the {each.kind or 'document'} {_name(each.data)}", "it is no workflow"
            )
    if not found:
        raise RefusedError(
            "TIP247",
            f"{file} holds no workflow",
            where=file,
            cause=f"kinds that become pipelines: {', '.join(KINDS)}",
            fix="give the file of a workflow",
        )
    written = list(_written(found, file, notes))
    words = {word for each in written for word in each.words}
    imports = imports_of(words, {name for each in written for name in each.imports})
    name = "Argo YAML" if text else Path(file).name
    head = f'"""A first pipeline, from {name}."""\n\n{imports}'
    source = lines_of(head, (block for each in written for block in each.blocks))
    return Imported(source, tuple(notes.found))


def _written(documents: list[Document], file: str, notes: Notes) -> Iterator[DocumentWriter]:
    """Each document in words of ours; where what comes of it is not the source, with its graph in Argo's words."""
    for index, document in enumerate(documents):
        suffix = "" if len(documents) == 1 else f"_{index + 1}"
        trials = [Notes() for _ in range(2)]
        for kept, trial in enumerate(trials):
            writer = DocumentWriter(document, file, suffix, trial, plain=bool(kept))
            writer.write()
            found = differences(writer)
            if not found or kept:
                break
            trial.add(
                "kept", document.position(())[0], "the whole graph", f"in words it would differ: {found[0]}"
            )
            trials[1].found += [each for each in trial.found if each.what == "the whole graph"]
        for path in found:
            trial.add("changed", document.position(())[0], path, "it differs from the source")
        notes.found += [each for each in trial.found if each not in notes.found]
        yield writer


def _name(data: object) -> str:
    metadata = data.get("metadata") if isinstance(data, dict) else None
    name: JsonObject = metadata if isinstance(metadata, dict) else {}
    return repr(name.get("name") or name.get("generateName") or "")
