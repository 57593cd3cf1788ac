"""One Argo object as the blocks of a Python module: its templates, its graphs, the pipeline around them."""

from __future__ import annotations

import copy
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tiphys.argo.reader import Document
from tiphys.compiler.emit import emit
from tiphys.dsl.kept import PRINTS, parameters_of, python_name
from tiphys.dsl.names import suggest
from tiphys.dsl.pod import POD_SECURITY
from tiphys.dsl.types import kebab
from tiphys.errors import RefusedError
from tiphys.importing.argo_graph import PlainGraph, graph_of
from tiphys.importing.argo_leaf import leaf
from tiphys.importing.argo_object import object_blocks
from tiphys.importing.argo_parameters import parameter_lines
from tiphys.importing.argo_python import Called, GraphWriter
from tiphys.importing.argo_values import TagScope
from tiphys.importing.python_text import PythonNames, call, record, text_block, value
from tiphys.importing.told import CannotSay, Notes
from tiphys.jsontypes import Json, JsonObject

__all__ = ["DocumentWriter"]


@dataclass(slots=True)
class DocumentWriter:
    """Writes one document. ``plain``: all templates stay in Argo's words."""

    document: Document
    file: str
    suffix: str
    notes: Notes
    plain: bool = False
    words: set[str] = field(default_factory=lambda: {"Pipeline"})
    imports: set[str] = field(default_factory=set)
    blocks: list[str] = field(default_factory=list)
    templates: dict[str, JsonObject] = field(default_factory=dict)
    graphs: dict[str, PlainGraph] = field(default_factory=dict)
    leaves: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)
    called: dict[str, Called] = field(default_factory=dict)
    names: PythonNames = field(
        default_factory=lambda: PythonNames(("pipeline", "build", "Any", "NamedTuple"))
    )
    parameters: dict[str, str] = field(default_factory=dict)
    spec: JsonObject = field(default_factory=dict)
    patch: JsonObject = field(default_factory=dict)
    entry: str = ""
    wrapped: bool = False

    # -- where things stand ------------------------------------------------------------------------------------------

    @property
    def spec_path(self) -> tuple[str, ...]:
        return ("spec", "workflowSpec") if self.document.kind == "CronWorkflow" else ("spec",)

    def line(self, *path: str | int) -> int:
        return self.document.position((*self.spec_path, *path), key=True)[0]

    def template_line(self, name: str) -> int:
        rows = self.spec.get("templates")
        for index, each in enumerate(rows if isinstance(rows, list) else ()):
            if isinstance(each, dict) and each.get("name") == name:
                return self.line("templates", index)
        return self.line()

    def where(self, *path: str) -> str:
        return f"{self.file}:{self.line(*path)}"

    # -- the document ------------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Fill ``blocks``. Raises RefusedError (TIP247)."""
        spec: Json = self.document.data
        for step in self.spec_path:
            spec = spec.get(step) if isinstance(spec, dict) else None
        self.spec = spec if isinstance(spec, dict) else {}
        rows = self.spec.get("templates")
        listed = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
        self.templates = {str(each.get("name")): each for each in listed}
        if not listed or len(self.templates) < len(listed):
            raise RefusedError(
                "TIP247",
                f"{self.document.kind} {self._name()!r} has no templates of its own"
                if not listed
                else f"two templates of {self._name()!r} have one name",
                where=self.where(),
                cause="it starts a WorkflowTemplate" if "workflowTemplateRef" in self.spec else "",
                fix="import the WorkflowTemplate that it starts; the YAML itself runs as it is: tiphys run FILE",
            )
        self.entry = str(self.spec.get("entrypoint") or "")
        self.patch = {
            key: copy.deepcopy(each)
            for key, each in self.spec.items()
            if key not in ("templates", "entrypoint", "arguments", "onExit")
        }
        security = self.patch.get("securityContext")
        if isinstance(security, dict):  # a pipeline's own is merged with it
            self.patch["securityContext"] = {
                **{key: None for key in POD_SECURITY if key not in security},
                **security,
            }
        else:
            self.patch["securityContext"] = None
        head = self._parameters()
        self._choose()
        self._templates()
        body, exit_lines = self._main()
        self._pipeline(head, body, exit_lines)

    def _name(self) -> str:
        metadata = self.document.data.get("metadata") or {}
        return str(metadata.get("name") or metadata.get("generateName") or "workflow")

    def _parameters(self) -> list[str]:
        """The declarations of the parameters; those with more than we say stay in the patch."""
        arguments = self.spec.get("arguments")
        if not arguments:
            return []
        try:
            if self.plain:
                raise CannotSay("the whole workflow is kept")
            lists = self._looped_parameters()
            lines, self.parameters, changed = parameter_lines(arguments, lists, self.names)
        except CannotSay as reason:
            self.notes.add("kept", self.line("arguments"), "the arguments of the workflow", str(reason))
            self.patch["arguments"] = copy.deepcopy(arguments)
            return []
        for name in changed:
            why = "as JSON it is written in one way, with other blanks"
            self.notes.add("changed", self.line("arguments"), f"the list {name!r}", why)
        return lines

    def _calls(self) -> str:
        """The text of all tasks of graphs in words."""
        rows = [self.templates[name] for name in self.graphs]
        return str([each.get("dag") or each.get("steps") for each in rows])

    def _looped_parameters(self) -> set[str]:
        text = str([each.get("dag") or each.get("steps") for each in self.templates.values()])
        return set(re.findall(r"'withParam': '\{\{(?:workflow|inputs)\.parameters\.([\w-]+)\}\}'", text))

    def _choose(self) -> None:
        """Which templates are said in words: graphs all of whose parts have one, and that do not call themselves."""
        for name, template in self.templates.items():
            if "dag" not in template and "steps" not in template:
                continue
            try:
                if self.plain:
                    raise CannotSay("the whole graph is kept")
                graph = graph_of(template, self.templates)
                if suggest(name) != name or len(name) > 63:
                    raise CannotSay("its name is no name of ours (lower-case letters, digits and dashes)")
                self.graphs[name] = graph
            except CannotSay as reason:
                self._keep(name, str(reason))
        for name in list(self.graphs):
            if name in self._reached(name):
                self._keep(name, "it calls itself")
        for name in self._callable():
            for what, names in (("input", self.graphs[name].inputs), ("output", self.graphs[name].outputs)):
                for each in names:
                    if kebab(each.replace("-", "_")) != each or not each.replace("-", "_").isidentifier():
                        self._keep(name, f"its {what} {each!r} is no name that Python spells")
        self.leaves = {name for name in self.templates if name not in self.graphs}

    def _callable(self) -> list[str]:
        return [name for name in self.graphs if name not in (self.entry, self.spec.get("onExit"))]

    def _reached(self, name: str) -> set[str]:
        found: set[str] = set()
        rest = [task.template for task in self.graphs[name].tasks.values()]
        while rest:
            other = rest.pop()
            if other not in found:
                found.add(other)
                if other in self.graphs:
                    rest += [task.template for task in self.graphs[other].tasks.values()]
        return found

    def _keep(self, name: str, why: str) -> None:
        self.graphs.pop(name, None)
        if why != "the whole graph is kept":
            self.notes.add("kept", self.template_line(name), f"the template {name!r}", why)

    # -- templates ---------------------------------------------------------------------------------------------------

    def _templates(self) -> None:
        top = {self.entry, self.spec.get("onExit")}
        called = {
            target
            for graph in self.graphs.values()
            for task in graph.tasks.values()
            for target in (task.template, *([task.exit[0]] if task.exit else []))
        }
        for name in [each for each in top if each in self.graphs and each in called]:
            self._keep(str(name), "it is where the workflow starts or ends, and is called by others, too")
            self.leaves.add(str(name))
        for name in [name for name in self.templates if name in self.leaves]:
            self._leaf(name)
        for name in self._callable():
            graph = self.graphs[name]
            inputs = {each: each.replace("-", "_") for each in graph.inputs}
            self.called[name] = Called(self.names.take(name), inputs, frozenset(graph.outputs), name)
        for name in self._callable():
            try:
                self.blocks.append(self._dag(name))
            except CannotSay as reason:
                self._keep(name, str(reason))
                self.leaves.add(name)
                self._leaf(name)

    def _leaf(self, name: str) -> None:
        template = self.templates[name]
        variable = self.called[name].variable if name in self.called else self.names.take(name)
        if not self.plain and "dag" not in template and "steps" not in template:
            try:
                said = leaf(template, variable, self._calls())
            except CannotSay as reason:
                if str(reason):
                    self.notes.add("kept", self.template_line(name), f"the template {name!r}", str(reason))
            else:
                self.words |= said.words - {"Any"}
                self.imports |= said.words & {"Any"}
                self.blocks.append(said.text)
                self.called[name] = said.called
                self.said.add(name)
                for why in said.changed:
                    self.notes.add("changed", self.template_line(name), f"the template {name!r}", why)
                return
        text = emit(template, typed=True)
        self.words.add("argo_template")
        self.blocks.append(
            call("argo_template", [text_block("\n" + text)], "", f"{variable} = ")
            .replace("(\n    ", "(")
            .replace(",\n)", ")")
        )
        self.called[name] = Called(variable, _inputs(template), _outputs(template), name)

    def _dag(self, name: str) -> str:
        graph = self.graphs[name]
        called = self.called[name]
        python = {each: each.replace("-", "_") for each in graph.inputs}
        busy = {each.variable for each in self.called.values()} | {
            *self.parameters.values(),
            *keyword.kwlist,
            "raw",
        }
        if mine := sorted(busy & set(python.values())):
            raise CannotSay(f"its input {mine[0]!r} has a name that Python has for something else")
        names = self.names.inner()
        for each in python.values():
            names.take(each)
        scope = TagScope(parameters=self.parameters, inputs=python)
        writer = GraphWriter(graph, self.called, scope, names)
        lines = writer.lines()
        self.words |= writer.words | {"dag"}
        self.imports.add("Any")
        head = [*(f"{python[n]}: Any" for n, d in graph.inputs.items() if d is None)]
        head += [f"{python[n]}: Any = {value(d)}" for n, d in graph.inputs.items() if d is not None]
        blocks, kind = [], "None"
        if graph.outputs:
            said = {key: scope.text(text) for key, text in graph.outputs.items()}
            if bad := [
                key for key, each in said.items() if each.python.startswith(("raw(", "compose(", '"'))
            ]:
                raise CannotSay(f"its output {bad[0]!r} is not the output of a task")
            if list(graph.outputs) == ["result"]:
                kind = "Any"
                lines.append(f"    return {said['result'].python}")
            else:
                kind = "".join(part.title() for part in re.split(r"\W|_", name)) + "Outputs"
                self.imports |= {"Any", "NamedTuple"}
                fields = [key.replace("-", "_") for key in graph.outputs]
                blocks.append(record(kind, dict.fromkeys(fields, "Any")))
                given = [f"{key.replace('-', '_')}={each.python}" for key, each in said.items()]
                lines.append(call(kind, given, "    ", "return "))
        self._tell_steps(name)
        signature = call(called.variable, head, "", "def ", f" -> {kind}:")
        blocks.append("\n".join([f"@dag(name={value(name)})", signature, *lines]))
        return "\n\n\n".join(blocks)

    def _tell_steps(self, name: str) -> None:
        graph, line = self.graphs[name], self.template_line(name)
        if graph.steps:
            self.notes.add(
                "changed",
                line,
                f"the template {name!r}",
                "its steps are a DAG in the same order (a step in Error ends it in Error, not Failed)",
            )
        for old, new in graph.renamed.items():
            self.notes.add(
                "changed", line, f"the task {old!r} of {name!r}", f"it is named {new!r} (a DNS label)"
            )

    # -- the pipeline ------------------------------------------------------------------------------------------------

    def _main(self) -> tuple[list[str], list[str]]:
        """The lines of the main graph and of the exit handler."""
        body: list[str] = []
        if self.entry in self.graphs:
            try:
                body = self._graph(self.entry, self._entry_inputs(self.graphs[self.entry].inputs))
            except CannotSay as reason:
                self._keep(self.entry, str(reason))
                self._leaf(self.entry)
        if not body and not self.plain and self.entry in self.called and self._is_pod(self.entry):
            body = self._alone()
        exit_lines: list[str] = []
        handler = self.spec.get("onExit")
        if handler in self.graphs:
            name = str(handler)
            try:
                exit_lines = self._graph(name, self._entry_inputs(self.graphs[name].inputs))
            except CannotSay as reason:
                self._keep(name, str(reason))
                self._leaf(name)
        if handler and not exit_lines:
            self.patch["onExit"] = handler
        return body, exit_lines

    def _is_pod(self, name: str) -> bool:
        return "dag" not in self.templates[name] and "steps" not in self.templates[name]

    def _entry_inputs(self, inputs: dict[str, str | None]) -> dict[str, str]:
        """Inputs of where it starts are the parameters of the workflow of their names."""
        found = {}
        for name in inputs:
            if name not in self.parameters:
                raise CannotSay(
                    f"it starts the workflow with an input {name!r} that is no parameter of the workflow"
                )
            found[name] = self.parameters[name]
        return found

    def _graph(self, name: str, inputs: dict[str, str]) -> list[str]:
        graph = self.graphs[name]
        if graph.outputs:
            raise CannotSay("it is where the workflow starts or ends, and has outputs")
        texts = [t for task in graph.tasks.values() for t in (*task.arguments.values(), task.when)]
        if any("inputs.parameters" in text for text in texts) and any("{{=" in text for text in texts):
            raise CannotSay("an expression names its inputs")
        scope = TagScope(parameters=self.parameters, inputs=inputs)
        names = self.names.inner()
        writer = GraphWriter(graph, self.called, scope, names)
        lines = writer.lines()
        if any("raw(" in line and "inputs.parameters" in line for line in lines):
            lines = [line.replace("{{inputs.parameters.", "{{workflow.parameters.") for line in lines]
        self.words |= writer.words
        self._tell_steps(name)
        return lines

    def _alone(self) -> list[str]:
        """A pipeline of the one task that the workflow is."""
        called = self.called[self.entry]
        artifacts = self.spec.get("arguments")
        if isinstance(artifacts, dict) and artifacts.get("artifacts"):
            return []
        given = [
            f"{python}={self.parameters[n]}" for n, python in called.inputs.items() if n in self.parameters
        ]
        if any(not each.partition("=")[0].isidentifier() for each in given):
            return []
        if _required(self.templates[self.entry]) - self.parameters.keys():
            return []
        main = "main" if "main" not in self.templates else "pipeline"
        if main in self.templates:
            return []
        why = f"it is a task of the graph {main!r}, which a pipeline has around it"
        self.notes.add("changed", self.template_line(self.entry), f"the template {self.entry!r}", why)
        self.wrapped = True
        return [call(called.variable, given, "    ")]

    def _pipeline(self, head: list[str], body: list[str], exit_lines: list[str]) -> None:
        data = self.document.data
        metadata = dict(data.get("metadata") or {})
        wish = str(metadata.get("generateName") or metadata.get("name") or "workflow")
        name = suggest(wish)[:57].strip("-") or "workflow"
        kind = self.document.kind
        if kind == "Workflow" and wish != f"{name}-":
            line = self.document.position(("metadata",))[0]
            self.notes.add(
                "changed", line, f"the name {wish!r}", f"runs are named {name}- and five characters"
            )
        parts = [value(name)]
        main = ("main" if "main" not in self.templates else "pipeline") if self.wrapped else self.entry
        if main and main != "main":
            parts.append(f"entrypoint={value(main)}")
        if not main:
            self.patch["entrypoint"] = None
        if any("resource" in each for each in self.templates.values()):
            parts.append('service_account=""')
        for key in ("labels", "annotations"):
            given = metadata.pop(key, None) if kind == "Workflow" else None
            if given:
                parts.append(f"{key}={value(given)}")
        parts.append(f"patch={value(self.patch, '    ')}")
        variable = f"pipeline{self.suffix}"
        lines = [call("Pipeline", parts, "", "with ", f" as {variable}:")]
        declared = [line.replace("pipeline.", f"{variable}.", 1) for line in head]
        lines += [*declared, *body] or ["    pass"]
        if exit_lines:
            lines += [f"with {variable}.exit_handler({value(str(self.spec['onExit']))}):", *exit_lines]
        lines += self._others(variable, bool(body), bool(exit_lines))
        if metadata.get("namespace") and kind == "Workflow":
            lines.append(f"{variable}.namespace = {value(metadata['namespace'])}")
        self.blocks.append("\n".join(lines))
        self.blocks += object_blocks(self.document, self.notes, variable, self.suffix, metadata)

    def _others(self, variable: str, body: bool, exit_lines: bool) -> Iterator[str]:
        """Templates that no task of the graphs calls."""
        used: set[str] = set()
        starts = [self.entry] * body + [str(self.spec.get("onExit"))] * exit_lines
        for name in starts:
            used |= (self._reached(name) if name in self.graphs else set()) | {name}
            for other in [name, *used]:
                if other in self.graphs:
                    used |= {t.exit[0] for t in self.graphs[other].tasks.values() if t.exit}
        rest = [
            self.called[name].variable for name in self.templates if name not in used and name in self.called
        ]
        if rest:
            yield f"{variable}.templates += {'[' + ', '.join(rest) + ']'}"


def _inputs(template: JsonObject) -> dict[str, str]:
    return {name: python_name(name) for name in parameters_of(template, "inputs")}


def _required(template: JsonObject) -> set[str]:
    given = parameters_of(template, "inputs")
    return {name for name, each in given.items() if not {"value", "default", "valueFrom"} & set(each)}


def _outputs(template: JsonObject) -> frozenset[str]:
    prints = {"*result"} if any(kind in template for kind in PRINTS) else set()
    return frozenset({*parameters_of(template, "outputs"), *prints})
