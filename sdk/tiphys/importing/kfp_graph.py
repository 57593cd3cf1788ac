"""The graphs of a KFP pipeline in Python: its root as the pipeline, loops, conditions and the like as ``@dag``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tiphys.dsl.types import kebab
from tiphys.errors import RefusedError
from tiphys.importing.json_parts import at, items_of
from tiphys.importing.kfp_tasks import TYPES, KfpComponents
from tiphys.importing.python_text import PythonNames, call, keywords, record, task_lines, value
from tiphys.importing.told import Notes
from tiphys.jsontypes import Json, JsonObject

__all__ = ["KfpGraphs", "converted"]

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\[['\"]([^'\"]+)['\"]\]\}\}")
_VALUE = r"inputs\.parameter_values\[['\"]([^'\"]+)['\"]\]"
_COMPARISON = re.compile(
    rf"\s*(?:int|float)?\(?{_VALUE}\)?\s*(==|!=|<=|>=|<|>)\s*"
    rf"(?:(?:int|float)?\(?{_VALUE}\)?|(true|false)|(-?[\d.]+(?:e[+-]?\d+)?)|'([^']*)'|\"([^\"]*)\")\s*\Z"
)
_FIELD = "::"
_ANY_END = '("succeeded", "failed", "errored", "skipped")'


def converted(item: Json, kind: str) -> Json:
    """A constant, whose numbers are all floats in the IR, as its type has it."""
    if isinstance(item, float) and item == int(item) and "float" not in kind:
        return int(item)
    if isinstance(item, int) and not isinstance(item, bool) and kind == "float":
        return float(item)
    if isinstance(item, list):
        return [converted(each, kind) for each in item]
    if isinstance(item, dict):
        return {key: converted(each, kind) for key, each in item.items()}
    return item


@dataclass(slots=True)
class _Scope:
    inputs: dict[str, str]
    names: PythonNames
    used: set[str]
    tasks: dict[str, str] = field(default_factory=dict)
    components: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class KfpGraphs:
    """Writes the graphs; what a structure has no word for is refused (TIP248), for an order or a condition that is
    left out would be another pipeline."""

    components: KfpComponents
    names: PythonNames
    notes: Notes
    words: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    blocks: list[str] = field(default_factory=list)
    dags: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, dict[str, str]] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    returned: dict[str, dict[str, str]] = field(default_factory=dict)

    def refuse(self, what: str, why: str) -> RefusedError:
        return RefusedError(
            "TIP248",
            f"{what} has no word in Tiphys",
            where=self.components.file,
            cause=why,
            fix="take it out of the KFP pipeline, import it again, and write that part by hand",
        )

    def kind(self, component: str, key: str) -> str:
        """The type of an input."""
        said = self.components.annotation(component, key)
        if said:
            return said
        rows = at(self.components.component(component), "inputDefinitions", "parameters", key)
        return TYPES.get(str(rows.get("parameterType")), "str")

    def name_all(self) -> None:
        """Give all components their names, before parameters and tasks take theirs."""
        rows = at(self.components.ir, "components")
        for name, body in rows.items():
            if isinstance(body, dict) and "dag" in body:
                self.dags[name] = self.names.take(name.removeprefix("comp-"))
            else:
                self.components.variable(name)
        self.names = self.names.inner()

    # -- graphs ------------------------------------------------------------------------------------------------------

    def lines(
        self, dag: JsonObject, inputs: Mapping[str, str], names: PythonNames
    ) -> tuple[list[str], _Scope]:
        """The calls of a graph's tasks."""
        rows = at(dag, "outputs", "parameters").values()
        used = {str(at(row, "valueFromParameter").get("producerSubtask")) for row in rows}
        scope = _Scope(dict(inputs), names, used)
        tasks = {str(key): each for key, each in at(dag, "tasks").items() if isinstance(each, dict)}
        found: list[str] = []
        for name in _sorted(tasks):
            found += self._task(name, tasks[name], scope, tasks)
        return found, scope

    def dag(self, component: str) -> str:
        """The variable of a component that is a graph; it is written once."""
        variable = self.dags[component]
        if component in self.written:
            return variable
        self.written.add(component)
        body = self.components.component(component)
        name = component.removeprefix("comp-")
        names = self.names.inner()
        text = json.dumps(body.get("dag"))
        keys = [
            key
            for key in at(body, "inputDefinitions", "parameters")
            if f'"{key}"' in text or f"'{key}'" in text
        ]
        files = list(at(body, "inputDefinitions", "artifacts"))
        if given := at(body, "dag", "outputs", "artifacts"):
            self.notes.add(
                "dropped", 1, f"files of the graph {name!r}", f"{', '.join(given)} are not handed out"
            )
        fields = _fields(at(body, "dag"))
        keys = [key for key in keys if key not in fields] + [
            each for key in keys for each in fields.get(key, ())
        ]
        inputs = self.inputs[component] = {key: names.take(_short(key)) for key in [*keys, *files]}
        lines, scope = self.lines(at(body, "dag"), inputs, names)
        head = [f"{python}: {self._input_kind(component, key)}" for key, python in inputs.items()]
        kind, block = self._outputs(component, body, scope, lines)
        self.words.add("dag")
        signature = call(variable, head, "", "def ", f" -> {kind}:")
        made = "\n".join([f"@dag(name={value(name)})", signature, *lines])
        self.blocks.append(f"{block}\n\n\n{made}" if block else made)
        return variable

    def _input_kind(self, component: str, key: str) -> str:
        if key in at(self.components.component(component), "inputDefinitions", "artifacts"):
            self.imports.add("Path")
            return "Path"
        kind = self.kind(component, key)
        if kind in ("list", "dict") or _FIELD in key:
            self.imports.add("Any")
            return "Any"
        return kind

    def _outputs(self, component: str, body: JsonObject, scope: _Scope, lines: list[str]) -> tuple[str, str]:
        rows = at(body, "dag", "outputs", "parameters")
        made: dict[str, str] = {}
        for key, row in rows.items():
            source = row.get("valueFromParameter") if isinstance(row, dict) else None
            if not isinstance(source, dict):
                raise self.refuse(
                    f"the output {key!r} of {component!r}", "it is one of several tasks (dsl.OneOf)"
                )
            made[key] = self._output(scope, str(source["producerSubtask"]), str(source["outputParameterKey"]))
        if not made:
            return "None", ""
        self.imports.add("Any")
        if len(made) == 1:
            self.returned[component] = {next(iter(made)): "result"}
            lines.append(f"    return {next(iter(made.values()))}")
            return "Any", ""
        self.imports.add("NamedTuple")
        title = "".join(part.title() for part in component.removeprefix("comp-").split("-")) + "Outputs"
        fields = {key: PythonNames().take(_short(key)) for key in made}
        self.returned[component] = fields
        lines.append(call(title, [f"{fields[key]}={text}" for key, text in made.items()], "    ", "return "))
        return title, record(title, dict.fromkeys(fields.values(), "Any"))

    def _output(self, scope: _Scope, task: str, key: str) -> str:
        component = scope.components[task]
        name = self.returned.get(component, {}).get(key) or self.components.output_name(component, key)
        return f"{scope.tasks[task]}.{name}"

    # -- tasks -------------------------------------------------------------------------------------------------------

    def _task(self, name: str, task: JsonObject, scope: _Scope, tasks: Mapping[str, JsonObject]) -> list[str]:
        known = {
            "cachingOptions", "componentRef", "dependentTasks", "inputs", "taskInfo", "triggerPolicy", "retryPolicy",
            "parameterIterator", "iteratorPolicy",
        }  # fmt: skip
        if other := set(task) - known:
            raise self.refuse(f"the task {name!r}", f"it has {', '.join(sorted(other))}")
        component = str(at(task, "componentRef").get("name"))
        lines: list[str] = []
        arguments: dict[str, str] = {}
        produced: set[str] = set()
        given = at(task, "inputs", "parameters")
        if "dag" in self.components.component(component):
            variable = self.dag(component)
            keys = self.inputs[component]
        else:
            variable = self.components.variable(component)
            declared = at(self.components.component(component), "inputDefinitions", "parameters")
            keys = {key: self.components.input_name(key) for key in given if key in declared}
        item = self._loop(name, task, scope, lines)
        for key, row in given.items():
            if key in keys and key not in item:
                if key in self.components.dropped(component):
                    continue
                if isinstance(row, dict) and "taskFinalStatus" in row:
                    self.notes.add(
                        "dropped", 1, f"the input {key!r} of {name!r}", "write workflow_status there"
                    )
                    continue
                arguments[keys[key]] = self._value(
                    name, row, scope, self.kind(component, key), produced, given
                )
        for key in keys:
            base, mark, part = key.partition(_FIELD)
            if base in item:
                arguments[keys[key]] = item[base] + (f"[{value(part)}]" if mark else "")
        if item and not any(key.partition(_FIELD)[0] in item for key in keys):
            raise self.refuse(f"the loop {name!r}", "nothing in it takes its item")
        arguments |= self._files(name, component, task, scope, produced)
        using = "" if component in self.dags else self.components.using(component, task)
        same = [each for each in tasks.values() if at(each, "componentRef") == at(task, "componentRef")]
        own = kebab(variable) == name and len(same) == 1 and component.removeprefix("comp-") == name
        methods = [using, "" if own else f".named({value(name)})", self._when(name, task, scope, produced)]
        methods.append(self._after(task, scope, produced))
        mine = scope.names.take(name)
        used = name in scope.used or any(
            name in items_of(each.get("dependentTasks")) for each in tasks.values()
        )
        given_methods = [each for each in methods if each]
        lines += task_lines(variable, keywords(arguments), given_methods, mine, used=used)
        scope.tasks[name], scope.components[name] = mine, component
        return lines

    def _files(
        self, name: str, component: str, task: JsonObject, scope: _Scope, produced: set[str]
    ) -> dict[str, str]:
        """The files of a task: of a step that makes them, or of the graph that it is in."""
        known = self.inputs.get(component) or {key: key for key in self.components.file_inputs(component)}
        found = {}
        for key, row in at(task, "inputs", "artifacts").items():
            if key not in known:
                self.notes.add("dropped", 1, f"the file {key!r} of {name!r}", "nothing takes it here")
                continue
            source = at(row, "taskOutputArtifact") if isinstance(row, dict) else {}
            if source:
                producer = str(source["producerTask"])
                produced.add(producer)
                found[known[key]] = self._output(scope, producer, str(source["outputArtifactKey"]))
            elif isinstance(row, dict) and str(row.get("componentInputArtifact")) in scope.inputs:
                found[known[key]] = scope.inputs[str(row["componentInputArtifact"])]
            else:
                raise self.refuse(f"the file {key!r} of {name!r}", "it is of neither a step nor the graph")
        return found

    def _loop(self, name: str, task: JsonObject, scope: _Scope, lines: list[str]) -> dict[str, str]:
        if "parameterIterator" not in task:
            return {}
        iterator = at(task, "parameterIterator")
        source = at(iterator, "items")
        if "raw" in source:
            items: Json = json.loads(str(source["raw"]))
            over = value(items)
        else:
            row = at(task, "inputs", "parameters", str(source["inputParameter"]))
            over = self._value(name, row, scope, "list", set())
        self.words.add("for_each")
        each = scope.names.take(f"each_{name}")
        limit = at(task, "iteratorPolicy").get("parallelismLimit")
        parts = [over, f"parallel={int(float(str(limit)))}"] if limit else [over]
        lines.append(call("for_each", parts, "    ", f"{each} = "))
        return {str(iterator["itemInput"]): each}

    def _value(
        self,
        name: str,
        row: Json,
        scope: _Scope,
        kind: str,
        produced: set[str],
        given: Mapping[str, Json] | None = None,
    ) -> str:
        if not isinstance(row, dict):
            raise self.refuse(f"an input of {name!r}", "it has no value")
        if "componentInputParameter" in row:
            key = str(row["componentInputParameter"])
            return scope.inputs.get(f"{key}{_FIELD}{_part(row)}") or scope.inputs[key] + self._no_part(
                name, row
            )
        if "taskOutputParameter" in row:
            source = at(row, "taskOutputParameter")
            task = str(source["producerTask"])
            produced.add(task)
            return self._output(scope, task, str(source["outputParameterKey"])) + self._no_part(name, row)
        if "runtimeValue" in row:
            constant = converted(at(row, "runtimeValue").get("constant"), kind)
            if isinstance(constant, str) and "{{$" in constant:
                return self._composed(name, constant, scope, produced, given or {})
            return value(constant)
        raise self.refuse(f"an input of {name!r}", f"it is {', '.join(row)}")

    def _no_part(self, name: str, row: JsonObject) -> str:
        if selector := row.get("parameterExpressionSelector"):
            raise self.refuse(f"an input of {name!r}", f"it is a part of a value: {selector}")
        return ""

    def _composed(
        self, name: str, text: str, scope: _Scope, produced: set[str], given: Mapping[str, Json]
    ) -> str:
        """A text that names inputs of its task."""
        keys = list(dict.fromkeys(_INPUT.findall(text)))
        pattern = _INPUT.sub(lambda match: "{" + _short(match[1]) + "}", text)
        if "{{" in pattern or any(key not in given for key in keys):
            raise self.refuse(f"a text of {name!r}", f"it is {text!r}")
        self.words.add("compose")
        said = {_short(key): self._value(name, given[key], scope, "str", produced) for key in keys}
        return f"compose({', '.join([value(pattern), *(f'{key}={text}' for key, text in said.items())])})"

    def _when(self, name: str, task: JsonObject, scope: _Scope, produced: set[str]) -> str:
        condition = str(at(task, "triggerPolicy").get("condition") or "")
        if not condition:
            return ""
        rows = at(task, "inputs", "parameters")

        def side(key: str) -> str:
            return self._value(name, rows.get(key), scope, "", produced)

        return f".when({self._condition(name, condition, side)})"

    def _condition(self, name: str, text: str, side: object) -> str:
        text = text.strip()
        parts = _split(text)
        if len(parts) > 1:
            return " & ".join(f"({self._condition(name, each, side)})" for each in parts)
        if text.startswith("!(") and text.endswith(")"):
            return f"~({self._condition(name, text[2:-1], side)})"
        if text.startswith("(") and text.endswith(")"):
            return self._condition(name, text[1:-1], side)
        match = _COMPARISON.match(text)
        if match is None or not callable(side):
            raise self.refuse(f"the condition of {name!r}", f"it is `{text}`")
        left, operator, right, truth, number, single, double = match.groups()
        if right is not None:
            other = side(right)
        elif truth is not None:
            other = truth.title()
        else:
            other = number if number is not None else value(single if single is not None else double)
        return f"{side(left)} {operator} {other}"

    def _after(self, task: JsonObject, scope: _Scope, produced: set[str]) -> str:
        others = [str(each) for each in items_of(task.get("dependentTasks"))]
        strategy = at(task, "triggerPolicy").get("strategy")
        if strategy == "ALL_UPSTREAM_TASKS_COMPLETED":
            names = ", ".join(scope.tasks[each] for each in others)
            return f".after({names}, on={_ANY_END})" if names else ""
        names = ", ".join(scope.tasks[each] for each in others if each not in produced)
        return f".after({names})" if names else ""


def _part(row: JsonObject) -> str:
    """``parseJson(string_value)["a"]``: a field of an item that is an object."""
    selector = str(row.get("parameterExpressionSelector") or "")
    match = re.fullmatch(r'parseJson\(string_value\)\["([^"]+)"\]', selector)
    return match[1] if match else ""


def _fields(dag: JsonObject) -> dict[str, list[str]]:
    """Inputs of which tasks take fields, as inputs of their own: a loop hands each field of its item on."""
    found: dict[str, list[str]] = {}
    whole = set()
    for name in at(dag, "tasks"):
        for row in at(dag, "tasks", name, "inputs", "parameters").values():
            if isinstance(row, dict) and "componentInputParameter" in row:
                key, part = str(row["componentInputParameter"]), _part(row)
                if not part:
                    whole.add(key)
                elif f"{key}{_FIELD}{part}" not in found.setdefault(key, []):
                    found[key].append(f"{key}{_FIELD}{part}")
    return {key: [*each, *([key] if key in whole else [])] for key, each in found.items()}


def _short(key: str) -> str:
    """``pipelinechannel--split-Output-loop-item`` as ``split_output_loop_item``."""
    return PythonNames().take(
        key.removeprefix("pipelinechannel--").removesuffix("-Output").replace("-Output-", "-")
    )


def _sorted(tasks: Mapping[str, JsonObject]) -> list[str]:
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in tasks:
            return
        for other in items_of(tasks[name].get("dependentTasks")):
            visit(str(other))
        order.append(name)

    for name in tasks:
        visit(name)
    return order


def _split(text: str) -> list[str]:
    """The parts that ``&&`` joins outside of parentheses."""
    parts, depth, start = [], 0, 0
    for index, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0 and text[index : index + 2] == "&&":
            parts.append(text[start:index])
            start = index + 2
    return [*parts, text[start:]]
