"""The components of a KFP pipeline in Python: functions and containers, with what their tasks ask for."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from tiphys.importing.json_parts import at, items_of
from tiphys.importing.kfp_functions import KfpFunction, function_of, packages_of
from tiphys.importing.python_text import PythonNames, call, record, value
from tiphys.importing.told import CannotSay, Notes
from tiphys.jsontypes import JsonObject

__all__ = ["TYPES", "KfpComponents"]

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\[['\"]([^'\"]+)['\"]\]\}\}\Z")
_FILE = re.compile(r"\{\{\$\.outputs\.parameters\[['\"]([^'\"]+)['\"]\]\.output_file\}\}\Z")
TYPES = {
    "STRING": "str", "NUMBER_INTEGER": "int", "NUMBER_DOUBLE": "float", "BOOLEAN": "bool", "LIST": "list",
    "STRUCT": "dict",
}  # fmt: skip


@dataclass(slots=True)
class KfpComponents:
    """Writes each function or program once, however many components of the IR run it."""

    ir: JsonObject
    file: str
    names: PythonNames
    notes: Notes
    caches: bool = True
    words: set[str] = field(default_factory=lambda: {"Pipeline"})
    imports: set[str] = field(default_factory=set)
    blocks: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    functions: dict[str, KfpFunction] = field(default_factory=dict)
    stubs: dict[str, list[str]] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)

    def component(self, name: str) -> JsonObject:
        return at(self.ir, "components", name)

    def annotation(self, component: str, key: str) -> str:
        """How the function annotates an input; empty for what is no function."""
        function = self.functions.get(component)
        return function.annotations.get(key, "") if function else ""

    def input_name(self, key: str) -> str:
        return key.replace("-", "_")

    def file_inputs(self, component: str) -> list[str]:
        """The files that a function takes."""
        function = self.functions.get(component)
        return [name for name, way in function.files.items() if way == "Input"] if function else []

    def output_name(self, component: str, key: str) -> str:
        """What an output is called here."""
        function = self.functions.get(component)
        return "result" if key == "Output" or (function and function.made_files == [key]) else key

    def dropped(self, component: str) -> list[str]:
        """Inputs that its stub has not."""
        return self.stubs.get(component, [])

    def _container(self, component: str) -> JsonObject:
        label = str(self.component(component).get("executorLabel"))
        return at(self.ir, "deploymentSpec", "executors", label, "container")

    def variable(self, component: str) -> str:
        """The variable of a component, which is written at its first use."""
        if component in self.variables:
            return self.variables[component]
        container = self._container(component)
        what = f"the component {component.removeprefix('comp-')!r}"
        try:
            if not container:
                raise CannotSay("it is no container (an importer, or a part of a cloud service)")
            function = function_of(container)
            made = (
                self._function(component, function, what) if function else self._program(component, container)
            )
        except CannotSay as reason:
            made = self._stub(component, str(reason), what)
        self.variables[component] = made
        return made

    def _function(self, component: str, function: KfpFunction, what: str) -> str:
        container = self._container(component)
        self.functions[component] = function
        for key in sorted(set(container) - {"args", "command", "env", "image", "resources"}):
            self.notes.add("dropped", 1, f"{key} of {function.name!r}", json.dumps(container[key]))
        image, packages = str(container.get("image")), packages_of(container)
        why = f"runs in the pipeline's image, not in {image}; image=… names one that has Tiphys in it"
        self.notes.add("changed", 1, f"the function {function.name!r}", why)
        if packages:
            self.notes.add(
                "dropped", 1, f"packages of {function.name!r}", f"an image must have {', '.join(packages)}"
            )
        key = function.text(function.name, "")
        if key in self.written:
            return self.written[key]
        variable = self.written[key] = self.names.take(function.name)
        self.words.add("component")
        self.imports |= function.imports
        options = self._options(container, self._only_task(component, key))
        decorator = call("component", options, "", "@") if options else "@component"
        self.blocks.append(function.text(variable, decorator))
        return variable

    def _tasks(self) -> list[JsonObject]:
        """All tasks of all graphs."""
        graphs = [at(self.ir, "root"), *(self.component(name) for name in at(self.ir, "components"))]
        rows = [at(each, "dag", "tasks") for each in graphs]
        return [at(each, name) for each in rows for name in each]

    def _only_task(self, component: str, key: str) -> JsonObject | None:
        """The task, where all tasks of the function ask for the same."""
        mine = []
        for task in self._tasks():
            name = str(at(task, "componentRef").get("name"))
            if "dag" in self.component(name):
                continue
            try:
                other = function_of(self._container(name))
            except CannotSay:
                continue
            if other is not None and other.text(other.name, "") == key:
                mine.append((self._options(self._container(name), task), task))
        return mine[0][1] if mine and all(each[0] == mine[0][0] for each in mine) else None

    def using(self, component: str, task: JsonObject) -> str:
        """``.using(…)`` of a call, where tasks of one function ask for different things."""
        if component in self.stubs:
            return ""
        function = self.functions.get(component)
        options = self._options(self._container(component), task)
        if not options:
            return ""
        if function is None:
            return f".using({', '.join(options)})"
        return (
            ""
            if self._only_task(component, function.text(function.name, ""))
            else f".using({', '.join(options)})"
        )

    def _options(self, container: JsonObject, task: JsonObject | None) -> list[str]:
        if task is None:
            return []
        parts = []
        caching = task.get("cachingOptions")
        if (
            self.caches
            and isinstance(caching, dict)
            and caching.get("enableCache")
            and function_of(container)
        ):
            self.words.add("Cache")
            parts.append("cache=Cache.by_content()")
        if env := self._environment(container):
            parts.append(f"env={value({**env})}")
        if resources := self._resources(container):
            self.words.add("Resources")
            parts.append(f"resources=Resources({', '.join(resources)})")
        retry = task.get("retryPolicy")
        if isinstance(retry, dict) and int(float(str(retry.get("maxRetryCount") or 0))) > 0:
            self.words.add("Retry")
            given = [str(int(float(str(retry["maxRetryCount"]))))]
            if str(retry.get("backoffDuration") or "0s") not in ("0s", "0"):
                given.append(f"backoff={value(str(retry['backoffDuration']))}")
                if retry.get("backoffMaxDuration"):
                    given.append(f"max_backoff={value(str(retry['backoffMaxDuration']))}")
                if float(str(retry.get("backoffFactor") or 2)) != 2:
                    why = f"waits double each time, and do not grow by {retry['backoffFactor']}"
                    self.notes.add("changed", 1, "a retry", why)
            parts.append(f"retry=Retry({', '.join(given)})")
        return parts

    def _environment(self, container: JsonObject) -> dict[str, str]:
        found = {}
        for each in items_of(container.get("env")):
            if isinstance(each, dict) and set(each) == {"name", "value"} and "{{" not in str(each):
                found[str(each["name"])] = str(each["value"])
            else:
                self.notes.add("dropped", 1, "a variable of the environment", json.dumps(each))
        return found

    def _resources(self, container: JsonObject) -> list[str]:
        given = container.get("resources")
        if not isinstance(given, dict):
            return []
        parts = {}
        for kind, word in (("Cpu", "cpu"), ("Memory", "memory")):
            limit, request = given.get(f"resource{kind}Limit"), given.get(f"resource{kind}Request")
            if request or limit:
                parts[word] = value(str(request or limit))  # without a request it is the limit
            if (limit and request) or limit:
                parts[f"{word}_limit"] = value(str(limit))
        gpu = given.get("accelerator")
        if isinstance(gpu, dict) and (gpu.get("resourceCount") or gpu.get("count")):
            parts["gpu"] = str(int(float(str(gpu.get("resourceCount") or gpu.get("count")))))
            kind = str(gpu.get("resourceType") or gpu.get("type") or "")
            if kind and kind != "nvidia.com/gpu":
                if "/" in kind:
                    parts["gpu_resource"] = value(kind)
                else:
                    why = f"name its nodes: Pipeline(gpu_nodes=Scheduling(node_selector=…)), for {kind}"
                    self.notes.add("dropped", 1, "the kind of an accelerator", why)
        return [f"{key}={text}" for key, text in parts.items()]

    def _program(self, component: str, container: JsonObject) -> str:
        body = self.component(component)
        if env := container.get("env"):
            raise CannotSay(f"it has an environment: {json.dumps(env)}")
        inputs = self._definitions(body, "inputDefinitions")
        outputs = self._definitions(body, "outputDefinitions")
        words = []
        for part in [*items_of(container.get("command")), *items_of(container.get("args"))]:
            text = str(part)
            if match := _INPUT.match(text):
                words.append(f"ContainerStep.input({value(match[1])})")
                self.words.add("ContainerStep")
            elif match := _FILE.match(text):
                words.append(value(f"/tmp/{match[1]}"))
            elif "{{$" in text or text.startswith('{"'):
                raise CannotSay(f"a part of its command is {text!r}")
            else:
                words.append(value(text))
        if not words:
            raise CannotSay("its command is the image's own")
        variable = self.names.take(component.removeprefix("comp-"))
        parts = [value(str(container.get("image"))), "[" + ", ".join(words) + "]"]
        if inputs:
            parts.append("inputs={" + ", ".join(f"{value(k)}: {kind}" for k, kind in inputs.items()) + "}")
        if outputs:
            rows = [f"{value(k)}: ({kind}, {value(f'/tmp/{k}')})" for k, kind in outputs.items()]
            parts.append("outputs={" + ", ".join(rows) + "}")
        parts.append(f"name={value(component.removeprefix('comp-'))}")
        self.words.add("container")
        self.blocks.append(call("container", parts, "", f"{variable} = "))
        return variable

    def _definitions(self, body: JsonObject, place: str) -> dict[str, str]:
        if artifacts := at(body, place, "artifacts"):
            raise CannotSay(f"it has artifacts: {', '.join(artifacts)}")
        rows = at(body, place, "parameters")
        return {key: TYPES.get(str(at(rows, key).get("parameterType")), "str") for key in rows}

    def _stub(self, component: str, reason: str, what: str) -> str:
        """A step that fails and says what is to be written, in the place of one that has no word."""
        self.notes.add("dropped", 1, what, f"{reason}; a step that fails and says so has its place")
        body = self.component(component)
        variable = self.names.take(component.removeprefix("comp-"))
        rows = at(body, "inputDefinitions", "parameters")
        self.imports.add("Any")
        given = [f"{key}: Any = None" for key in rows if key.isidentifier()]
        self.stubs[component] = [key for key in rows if not key.isidentifier()]
        files = list(at(body, "outputDefinitions", "artifacts"))
        self.imports |= {"Path"} if files else set()
        outputs = [*at(body, "outputDefinitions", "parameters"), *files]
        kind, before = "None", ""
        if outputs == ["Output"]:
            kind = "Any"
        elif outputs:
            self.imports.add("NamedTuple")
            kind = "".join(each.title() for each in re.split(r"\W|_", variable)) + "Outputs"
            kinds = {each: "Path" if each in files else "Any" for each in outputs}
            before = record(kind, kinds) + "\n\n\n"
        self.words.add("component")
        sources = [str(each) for each in items_of(self._container(component).get("command"))]
        source = next((each for each in sources if "\ndef " in each), "").strip()
        kept = [line for line in source.splitlines() if not re.match(r"(import|from) ", line)]
        lines = [f"    # {line}".rstrip() for line in "\n".join(kept).strip().splitlines()]
        failing = call("NotImplementedError", [value(reason)], "    ", "raise ")
        head = call(variable, given, "", "def ", f" -> {kind}:")
        self.blocks.append(before + "\n".join(["@component", head, *lines, failing]))
        return variable
