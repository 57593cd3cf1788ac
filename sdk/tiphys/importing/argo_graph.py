"""An Argo DAG or steps as plain tasks with clear edges; one reader for what is imported and what is compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tiphys.dsl.names import suggest
from tiphys.dsl.task import RESULTS
from tiphys.importing.json_parts import at, items_of, rows_of
from tiphys.importing.told import CannotSay
from tiphys.jsontypes import Json, JsonObject

__all__ = ["PLAIN", "GraphTask", "PlainGraph", "graph_of", "parameters_of", "text_of_value"]

PLAIN = frozenset({"Skipped", "Succeeded"})
"""What a name alone means in ``depends``, but for daemons, which have no word."""
_TASK = {
    "name", "template", "arguments", "dependencies", "depends", "when", "withItems", "withParam", "continueOn", "hooks",
}  # fmt: skip
_TEMPLATE = {"name", "dag", "steps", "inputs", "outputs"}
_REFERENCE = re.compile(r"\b(steps|tasks)(\.|\[')([A-Za-z0-9_-]+)")
_TAG = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(slots=True)
class GraphTask:
    """A task: its waits are the tasks before it, and the results of each that let it start."""

    name: str
    template: str
    arguments: dict[str, str]
    waits: dict[str, frozenset[str]] = field(default_factory=dict)
    when: str = ""
    items: list[Json] | None = None
    param: str = ""
    exit: tuple[str, dict[str, str]] | None = None

    @property
    def may_skip(self) -> bool:
        return bool(self.when or self.items is not None or self.param)


@dataclass(slots=True)
class PlainGraph:
    """The tasks of a template, its inputs with their defaults (None: required), and its outputs with their tags."""

    tasks: dict[str, GraphTask]
    inputs: dict[str, str | None]
    outputs: dict[str, str]
    renamed: dict[str, str]
    steps: bool

    def waits(self) -> dict[str, dict[str, frozenset[str]]]:
        """The edges that say something: without ``Skipped`` of what always runs, and without what others imply."""
        clear = {
            task.name: {
                other: results if self.tasks[other].may_skip else results - {"Skipped"} or results
                for other, results in task.waits.items()
            }
            for task in self.tasks.values()
        }
        sure: dict[str, set[str]] = {}

        def reach(name: str) -> set[str]:
            if name not in sure:
                sure[name] = set()
                for other, results in clear[name].items():
                    if results == {"Succeeded"}:
                        sure[name] |= {other} | reach(other)
            return sure[name]

        said = {}
        for name, edges in clear.items():
            through = {
                each for other, results in edges.items() if results == {"Succeeded"} for each in reach(other)
            }
            said[name] = {o: r for o, r in edges.items() if not (o in through and "Succeeded" in r)}
        return said


def text_of_value(item: Json) -> str:
    """A value of Argo's AnyString as the text that it is."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, float) and item == int(item):
        return str(int(item))
    return str(item)


def parameters_of(place: Json, what: str, allowed: Iterable[str] = ("name", "value")) -> dict[str, Json]:
    """Parameters by name with their values (None: none). Raises CannotSay for anything else, such as artifacts."""
    if place is None:
        return {}
    if not isinstance(place, dict):
        raise CannotSay(f"{what} are no mapping")
    if other := {key for key, each in place.items() if each} - {"parameters"}:
        raise CannotSay(f"{what} hold {', '.join(sorted(other))}, which tasks of a Pipeline do not hand on")
    found: dict[str, Json] = {}
    for each in rows_of(place.get("parameters")):
        if other := set(each) - set(allowed):
            raise CannotSay(f"the parameter {each.get('name')!r} of {what} has {', '.join(sorted(other))}")
        if each["name"] in found:
            raise CannotSay(f"{what} name {each['name']!r} twice")
        found[str(each["name"])] = each.get("value", each.get("default"))
    return found


def _arguments(place: Json, what: str) -> dict[str, str]:
    given = parameters_of(place, what)
    if missing := [name for name, each in given.items() if each is None]:
        raise CannotSay(f"{what} give {missing[0]!r} no value")
    return {name: text_of_value(each) for name, each in given.items()}


def graph_of(template: JsonObject, templates: Mapping[str, JsonObject]) -> PlainGraph:
    """The graph of a template. Raises CannotSay with the reason where a part of it has no word of ours."""
    template = {key: each for key, each in template.items() if each not in ({}, [], "", None, False)}
    if other := set(template) - _TEMPLATE:
        raise CannotSay(f"it has {', '.join(sorted(other))}, which a graph of ours has not")
    inputs: dict[str, str | None] = {}
    for name, default in parameters_of(
        template.get("inputs"), "its inputs", ("name", "value", "default")
    ).items():
        inputs[name] = None if default is None else text_of_value(default)
        if "{{" in (inputs[name] or ""):
            raise CannotSay(f"the default of its input {name!r} holds a tag")
    tasks, steps = _tasks(template, templates)
    renamed = _legal(list(tasks))
    outputs = _outputs(template)
    if steps or renamed:
        tasks = {renamed.get(name, name): _renamed(task, renamed) for name, task in tasks.items()}
        outputs = {name: _text(text, renamed) for name, text in outputs.items()}
    return PlainGraph(tasks, inputs, outputs, renamed, steps)


def _outputs(template: JsonObject) -> dict[str, str]:
    made = template.get("outputs")
    if not made:
        return {}
    if not isinstance(made, dict) or {key for key, each in made.items() if each} - {"parameters"}:
        raise CannotSay("its outputs hold artifacts")
    found = {}
    for each in rows_of(made.get("parameters")):
        source = each.get("valueFrom")
        if set(each) - {"name", "valueFrom"} or not isinstance(source, dict) or set(source) != {"parameter"}:
            raise CannotSay(f"its output {each.get('name')!r} is more than the output of a task")
        found[str(each["name"])] = str(source["parameter"])
    return found


def _tasks(template: JsonObject, templates: Mapping[str, JsonObject]) -> tuple[dict[str, GraphTask], bool]:
    if "dag" in template:
        dag = at(template, "dag")
        if other := set(dag) - {"tasks"}:
            raise CannotSay(f"its DAG has {', '.join(sorted(other))}")
        rows = rows_of(dag.get("tasks"))
        tasks = {str(row.get("name")): _task(row, templates) for row in rows}
        _dag_edges(rows, tasks)
        if len(tasks) < len(rows):
            raise CannotSay("two tasks have one name")
        return tasks, False
    groups: list[list[Json]] = [e if isinstance(e, list) else [e] for e in items_of(template.get("steps"))]
    return _steps(groups, templates), True


def _task(row: JsonObject, templates: Mapping[str, JsonObject]) -> GraphTask:
    name = str(row.get("name"))
    row = {key: each for key, each in row.items() if each not in ({}, "", None)}
    if other := set(row) - _TASK:
        raise CannotSay(f"the task {name!r} has {', '.join(sorted(other))}")
    target = str(row.get("template"))
    if target not in templates:
        raise CannotSay(f"the task {name!r} is of the template {target!r}, which is not here")
    if templates[target].get("daemon"):
        raise CannotSay(f"the task {name!r} is a daemon")
    given = _arguments(row.get("arguments"), f"the arguments of {name!r}")
    param = row.get("withParam")
    items = row.get("withItems")
    if items is not None and not (isinstance(items, list) and items and "{{" not in str(items)):
        raise CannotSay(f"the loop of {name!r} has no fixed items")
    if isinstance(items, list) and param:
        raise CannotSay(f"the task {name!r} has two loops")
    task = GraphTask(name, target, given, when=text_of_value(row.get("when") or ""))
    task.items = items if isinstance(items, list) else None
    task.param = text_of_value(param) if param else ""
    hooks = row.get("hooks")
    if hooks:
        exit_hook = hooks.get("exit") if isinstance(hooks, dict) and set(hooks) == {"exit"} else None
        if not isinstance(exit_hook, dict) or set(exit_hook) - {"template", "arguments"}:
            raise CannotSay(f"the task {name!r} has hooks beside that for its end")
        if exit_hook["template"] not in templates:
            raise CannotSay(f"the hook of {name!r} is of a template that is not here")
        task.exit = (
            str(exit_hook["template"]),
            _arguments(exit_hook.get("arguments"), f"the hook of {name!r}"),
        )
    return task


def _goes_on(row: JsonObject) -> frozenset[str]:
    """The results after which those that wait for it go on."""
    more = row.get("continueOn")
    if not isinstance(more, dict):
        return PLAIN
    extra = {word for key, word in (("failed", "Failed"), ("error", "Errored")) if more.get(key)}
    return PLAIN | extra


def _dag_edges(rows: list[JsonObject], tasks: Mapping[str, GraphTask]) -> None:
    by_name = {str(row.get("name")): row for row in rows}
    for row in rows:
        task = tasks[str(row.get("name"))]
        depends = row.get("depends")
        if depends:
            task.waits = _clauses(str(depends), tasks)
        listed = row.get("dependencies")
        for other in listed if isinstance(listed, list) else ():
            if other not in by_name:
                raise CannotSay(f"{task.name!r} waits for {other!r}, which is not here")
            task.waits[str(other)] = _goes_on(by_name[str(other)])
    waited = {other for task in tasks.values() for other in task.waits}
    for row in rows:
        if row.get("continueOn") and row["name"] not in waited:
            raise CannotSay(f"the last task {row['name']!r} may fail (continueOn)")


def _clauses(depends: str, tasks: Mapping[str, GraphTask]) -> dict[str, frozenset[str]]:
    """``A && (B.Failed || B.Errored)`` as results by task."""
    waits: dict[str, frozenset[str]] = {}
    for clause in depends.split("&&"):
        inner = clause.strip()
        bare = inner[1:-1] if inner.startswith("(") and inner.endswith(")") else inner
        words = [word.strip().partition(".") for word in bare.split("||")]
        names = {name for name, _, _ in words}
        name = names.pop()
        if (
            names
            or name in waits
            or name not in tasks
            or (len(words) > 1 and bare == inner and "&&" in depends)
        ):
            raise CannotSay(f"a task starts when `{depends}`, which is more than results of single tasks")
        results = {result for _, _, result in words}
        if results - {*RESULTS.values()} - {""}:
            raise CannotSay(f"a task starts when `{depends}`")
        waits[name] = frozenset(results - {""} | (PLAIN if "" in results else set()))
    return waits


def _steps(groups: list[list[Json]], templates: Mapping[str, JsonObject]) -> dict[str, GraphTask]:
    tasks: dict[str, GraphTask] = {}
    before: list[JsonObject] = []
    for group in groups:
        rows = rows_of(group)
        for row in rows:
            if "depends" in row or "dependencies" in row:
                raise CannotSay(f"the step {row.get('name')!r} has an order of its own")
            task = _task(row, templates)
            if task.name in tasks:
                raise CannotSay(f"two steps are named {task.name!r}")
            task.waits = {str(other["name"]): _goes_on(other) for other in before}
            tasks[task.name] = task
        before = rows or before
    if any(row.get("continueOn") for row in before):
        raise CannotSay("a step of the last group may fail (continueOn)")
    return tasks


def _legal(names: list[str]) -> dict[str, str]:
    """PythonNames that are no DNS labels, and what they become."""
    taken = {name for name in names if suggest(name) == name and len(name) < 64}
    renamed = {}
    for name in names:
        if name in taken:
            continue
        base = new = suggest(name)[:58].strip("-")
        number = 1
        while new in taken:
            number += 1
            new = f"{base}-{number}"
        taken.add(new)
        renamed[name] = new
    return renamed


def _text(text: str, renamed: Mapping[str, str]) -> str:
    def tag(match: re.Match[str]) -> str:
        return _REFERENCE.sub(lambda m: f"tasks{m[2]}{renamed.get(m[3], m[3])}", match[0])

    return _TAG.sub(tag, text)


def _renamed(task: GraphTask, renamed: Mapping[str, str]) -> GraphTask:
    given = {key: _text(text, renamed) for key, text in task.arguments.items()}
    waits = {renamed.get(other, other): results for other, results in task.waits.items()}
    made = GraphTask(
        renamed.get(task.name, task.name), task.template, given, waits, _text(task.when, renamed)
    )
    made.items, made.param = task.items, _text(task.param, renamed)
    if task.exit is not None:
        made.exit = (task.exit[0], {key: _text(text, renamed) for key, text in task.exit[1].items()})
    return made
