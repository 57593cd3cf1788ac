"""KFP pipelines as Python: from the IR that kfp's compiler writes, or from Python that kfp compiles first."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tiphys.argo.reader import Document, read_file
from tiphys.dsl.names import suggest
from tiphys.errors import RefusedError, TiphysError
from tiphys.importing.check import made_by
from tiphys.importing.json_parts import at
from tiphys.importing.kfp_graph import KfpGraphs, converted
from tiphys.importing.kfp_tasks import TYPES, KfpComponents
from tiphys.importing.python_text import PythonNames, call, imports_of, lines_of, value
from tiphys.importing.told import Imported, Notes
from tiphys.jsontypes import JsonObject

__all__ = ["import_kfp"]

_ROOT = {"dag", "inputDefinitions", "outputDefinitions"}


def import_kfp(source: str | os.PathLike[str]) -> Imported:
    """The Python of a KFP v2 pipeline: the YAML that ``kfp dsl compile`` writes, or the Python that it reads.

    Functions become components with their own source, loops ``for_each``, conditions ``when``, files
    (``Input[Dataset]``) ``pathlib.Path``, and so on. Images and packages are told; a component that does more with a
    file than to read or write it, or a container with files, becomes a step that fails and says what is to be written.

    Raises
    ------
    RefusedError
        TIP201 to TIP207 the file cannot be read; TIP247 it is no pipeline of KFP 2; TIP248 a part of the graph has no
        word of ours; TIP249 it is Python, and kfp is not installed or does not compile it.
    """
    file = os.fspath(source)
    documents = [each.data for each in (_compiled(file) if file.endswith(".py") else read_file(source))]
    ir = next((each for each in documents if isinstance(each, dict) and "root" in each), None)
    if ir is None or "deploymentSpec" not in ir:
        raise RefusedError(
            "TIP247",
            f"{file} is no pipeline of KFP 2",
            where=file,
            cause="it has no root and no deploymentSpec",
            fix="give what `kfp dsl compile --py FILE --output FILE.yaml` writes",
        )
    for caches in (True, False):
        notes = Notes()
        text = _written(ir, file, notes, caches=caches)
        for each in documents:
            if each is not ir and isinstance(each, dict):
                notes.add("dropped", 1, f"the document of {', '.join(each)}", "settings of one platform")
        try:
            made_by(text, "pipeline")
        except TiphysError as error:
            if caches and error.code in ("TIP126", "TIP128"):
                first = error
                continue
            raise RefusedError(
                "TIP248",
                f"the pipeline cannot be said: {error.message}",
                where=file,
                cause=error.cause,
                fix=error.fix,
            ) from error
        if not caches:
            notes.add("dropped", 1, "caching", f"{first.message}; see docs/reuse.md")
        return Imported(text, tuple(notes.found))
    raise AssertionError("not reached")


def _written(ir: JsonObject, file: str, notes: Notes, *, caches: bool) -> str:
    names = PythonNames(("pipeline", "Any", "NamedTuple"))
    components = KfpComponents(ir, file, names, notes, caches)
    graphs = KfpGraphs(components, names, notes)
    graphs.name_all()
    root, info = at(ir, "root"), at(ir, "pipelineInfo")
    if "outputDefinitions" in root:
        notes.add("dropped", 1, "outputs of the pipeline", "a run's outputs are those of its steps")
    if other := set(root) - _ROOT:
        raise graphs.refuse("the pipeline", f"its root has {', '.join(sorted(other))}")
    inputs, lines = {}, []
    for key in at(root, "inputDefinitions", "parameters"):
        row = at(root, "inputDefinitions", "parameters", key)
        kind = TYPES.get(str(row.get("parameterType")), "str")
        variable = names.take(key)
        default = row.get("defaultValue")
        if default is None:
            parts = [value(key), f"type={kind}"]
            if row.get("isOptional"):
                notes.add("changed", 1, f"the parameter {key!r}", "it has no default, and must be given")
        else:
            parts = [value(key), value(converted(default, kind))]
            parts += [f"type={kind}"] if kind in ("list", "dict") and not default else []
        inputs[key] = variable
        lines.append(call("pipeline.param", parts, "    ", f"{variable} = "))
    tasks = at(root, "dag", "tasks")
    handler = _handler(tasks)
    rest: JsonObject = {"tasks": {key: each for key, each in tasks.items() if key != handler}}
    body, _ = graphs.lines(rest, inputs, names.inner())
    end: list[str] = []
    if handler:
        task = {
            k: each for k, each in at(tasks, handler).items() if k not in ("dependentTasks", "triggerPolicy")
        }
        end, _ = graphs.lines({"tasks": {handler: task}}, inputs, names.inner())
        end = ['with pipeline.exit_handler("at-end"):', *end]
    parts = [value(suggest(str(info.get("name")))[:57].strip("-"))]
    if info.get("description"):
        parts.append(f"description={value(str(info['description']))}")
    main = "\n".join([call("Pipeline", parts, "", "with ", " as pipeline:"), *lines, *body, *end])
    imported = components.imports | graphs.imports
    head = f'"""A first pipeline, from {Path(file).name}."""\n\n'
    head += imports_of(components.words | graphs.words, imported)
    return lines_of(head, [*components.blocks, *graphs.blocks, main])


def _handler(tasks: JsonObject) -> str:
    """The task that is the pipeline's exit handler: the only one beside one group, whatever becomes of that."""
    if len(tasks) != 2:
        return ""
    for name in tasks:
        task, (other,) = at(tasks, name), (each for each in tasks if each != name)
        given = str(task.get("inputs"))
        waits = at(task, "triggerPolicy").get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
        own = "taskOutputParameter" not in given and "taskFinalStatus" not in given
        if waits and own and task.get("dependentTasks") == [other]:
            return name
    return ""


def _compiled(file: str) -> list[Document]:
    """What kfp makes of a Python file, in a process of its own. Raises RefusedError TIP249."""
    if importlib.util.find_spec("kfp") is None:
        raise RefusedError(
            "TIP249",
            f"kfp is not installed, and {file} is Python for it",
            where=file,
            fix="pip install kfp; or compile it where kfp is, and give the YAML: "
            f"kfp dsl compile --py {file} --output pipeline.yaml",
        )
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "pipeline.yaml")
        words = [sys.executable, "-m", "kfp", "dsl", "compile", "--py", file, "--output", target]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode or not os.path.isfile(target):
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["it wrote nothing"]
            raise RefusedError(
                "TIP249", f"kfp does not compile {file}", where=file, cause=last[0], fix="mend it first"
            )
        return list(read_file(target))
